import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The PostgreSQL schema that holds the record and nothing else. */
export const RECORD_SCHEMA = 'record';

/** Texts sort by code point, so that paging does not depend on the server's locale. */
const TABLES = `
  CREATE TABLE record.history (
    topic       text COLLATE "C" NOT NULL,
    "partition" integer          NOT NULL,
    "offset"    bigint           NOT NULL,
    append_time timestamptz      NOT NULL,
    gap_until   bigint,
    key_id      uuid,
    key         bytea,
    headers     text COLLATE "C",
    value       bytea,
    event_type  text COLLATE "C",
    event_id    text COLLATE "C",
    agent_id    text COLLATE "C",
    intent_id   text COLLATE "C",
    chain_id    text COLLATE "C",
    action_type text COLLATE "C",
    target      text COLLATE "C",
    outcome     text COLLATE "C",
    trace_id    text COLLATE "C",
    hash        bytea            NOT NULL,
    PRIMARY KEY (topic, "partition", "offset", append_time)
  ) PARTITION BY RANGE (append_time);

  CREATE TABLE record.chain_head (
    topic       text COLLATE "C" NOT NULL,
    "partition" integer          NOT NULL,
    next        bigint           NOT NULL DEFAULT 0,
    entries     bigint           NOT NULL DEFAULT 0,
    hash        bytea            NOT NULL,
    PRIMARY KEY (topic, "partition")
  );

  CREATE TABLE record.intent_key (
    id           uuid PRIMARY KEY,
    scope        text COLLATE "C" NOT NULL,
    agent_id     text COLLATE "C",
    intent_id    text COLLATE "C",
    wrapped      bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    destroyed_at timestamptz
  );
  CREATE UNIQUE INDEX intent_key_in_use ON record.intent_key (scope) WHERE wrapped IS NOT NULL;
  CREATE TABLE record.key_person (
    person bytea NOT NULL,
    key_id uuid  NOT NULL,
    PRIMARY KEY (person, key_id)
  );

  CREATE TABLE record.identity (
    one           boolean PRIMARY KEY DEFAULT true CHECK (one),
    id            uuid NOT NULL,
    master_key_id text NOT NULL
  );

  CREATE TABLE record.checkpoint (
    epoch     bigint PRIMARY KEY,
    body      text  NOT NULL,
    signature bytea NOT NULL
  );
  CREATE TABLE record.epoch_leaves (
    epoch       bigint           NOT NULL,
    topic       text COLLATE "C" NOT NULL,
    "partition" integer          NOT NULL,
    next        bigint           NOT NULL,
    hashes      bytea            NOT NULL,
    PRIMARY KEY (epoch, topic, "partition")
  );
  CREATE INDEX epoch_leaves_by_partition ON record.epoch_leaves (topic, "partition", next);
  CREATE TABLE record.published_checkpoint (epoch bigint PRIMARY KEY);

  CREATE TABLE record.retention (
    topic       text COLLATE "C" NOT NULL,
    "partition" integer          NOT NULL,
    kept_from   bigint           NOT NULL,
    PRIMARY KEY (topic, "partition")
  );

  CREATE TABLE record.agent_day (
    agent_id text COLLATE "C" NOT NULL,
    day      date             NOT NULL,
    intents  bigint NOT NULL, allowed bigint NOT NULL, denied bigint NOT NULL, held        bigint NOT NULL,
    executed bigint NOT NULL, failed  bigint NOT NULL, rolled_back bigint NOT NULL,
    PRIMARY KEY (agent_id, day)
  );
  CREATE TABLE record.projection_position (
    topic       text COLLATE "C" NOT NULL,
    "partition" integer          NOT NULL,
    next        bigint           NOT NULL,
    PRIMARY KEY (topic, "partition")
  )`;

const CREATED_TABLES = [...TABLES.matchAll(/CREATE TABLE record\.(\w+)/g)].flatMap(([, table]) => table ?? []);

const INDEXES = [
  'history_by_time ON record.history (append_time, topic, "partition", "offset")',
  ...['agent_id', 'action_type', 'target', 'outcome'].map(
    (term) => `history_by_${term} ON record.history (${term}, append_time) WHERE ${term} IS NOT NULL`,
  ),
  ...['chain_id', 'intent_id', 'trace_id', 'event_id'].map(
    (term) => `history_by_${term} ON record.history (${term}) WHERE ${term} IS NOT NULL`,
  ),
];

/**
 * What makes the record append-only for everyone, owner and superuser included, short of removing the triggers, which
 * the chain then betrays. A key may be destroyed, and a chain head may move forward; nothing else ever changes.
 */
const GUARDS = `
  CREATE FUNCTION record.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    RAISE EXCEPTION 'REMIT_RECORD_APPEND_ONLY: % of record.% is refused: what is recorded stays', TG_OP, TG_TABLE_NAME
      USING ERRCODE = 'insufficient_privilege';
  END $$;

  CREATE FUNCTION record.guard_key() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF OLD.wrapped IS NULL OR NEW.wrapped IS NOT NULL OR NEW.destroyed_at IS NULL
      OR (NEW.id, NEW.scope, NEW.agent_id, NEW.intent_id, NEW.created_at)
        IS DISTINCT FROM (OLD.id, OLD.scope, OLD.agent_id, OLD.intent_id, OLD.created_at) THEN
      RAISE EXCEPTION 'REMIT_RECORD_APPEND_ONLY: a key can only be destroyed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
  END $$;

  CREATE FUNCTION record.guard_head() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF NEW.next <= OLD.next OR NEW.entries <= OLD.entries THEN
      RAISE EXCEPTION 'REMIT_RECORD_APPEND_ONLY: a chain head only moves forward'
        USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
  END $$;

  CREATE TRIGGER forward_only BEFORE UPDATE ON record.chain_head FOR EACH ROW EXECUTE FUNCTION record.guard_head();
  CREATE TRIGGER destroy_only BEFORE UPDATE ON record.intent_key FOR EACH ROW EXECUTE FUNCTION record.guard_key()`;

/** Tables whose rows are never updated, and those whose rows are never deleted. */
const NEVER_UPDATED = ['history', 'checkpoint', 'epoch_leaves', 'published_checkpoint', 'identity'];
const NEVER_DELETED = [...NEVER_UPDATED, 'chain_head', 'intent_key', 'retention'];

const APPEND_ONLY = [
  ...NEVER_UPDATED.map(
    (table) => `CREATE TRIGGER no_update BEFORE UPDATE ON record.${table}
      FOR EACH ROW EXECUTE FUNCTION record.refuse_change()`,
  ),
  ...NEVER_DELETED.map(
    (table) => `CREATE TRIGGER no_delete BEFORE DELETE ON record.${table}
      FOR EACH ROW EXECUTE FUNCTION record.refuse_change()`,
  ),
  ...NEVER_DELETED.map(
    (table) => `CREATE TRIGGER no_truncate BEFORE TRUNCATE ON record.${table}
      FOR EACH STATEMENT EXECUTE FUNCTION record.refuse_change()`,
  ),
];

/** Any number will do as long as everybody uses the same: partitions are created one by one. */
const PARTITION_LOCK = 7_236_421;

/** The only ways to create and drop a month, for roles that may do nothing else to tables. Months are those of UTC. */
const MONTHS = `
  CREATE FUNCTION record.ensure_month(moment timestamptz) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET TimeZone = 'UTC' AS $$
  DECLARE
    first timestamptz := date_trunc('month', moment);
    name  text := 'history_' || to_char(first, 'YYYY_MM');
  BEGIN
    IF to_regclass('record.' || name) IS NOT NULL THEN RETURN; END IF;
    PERFORM pg_advisory_xact_lock(${String(PARTITION_LOCK)});
    IF to_regclass('record.' || name) IS NOT NULL THEN RETURN; END IF;
    EXECUTE format('CREATE TABLE record.%I PARTITION OF record.history FOR VALUES FROM (%L) TO (%L)',
      name, first, first + interval '1 month');
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON record.%I
      FOR EACH STATEMENT EXECUTE FUNCTION record.refuse_change()', name);
  EXCEPTION WHEN duplicate_table THEN NULL;
  END $$;

  CREATE FUNCTION record.drop_month(month date) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET TimeZone = 'UTC' AS $$
  DECLARE
    name text := 'history_' || to_char(month, 'YYYY_MM');
  BEGIN
    IF to_regclass('record.' || name) IS NULL THEN RETURN false; END IF;
    EXECUTE format('DROP TABLE record.%I', name);
    RETURN true;
  END $$;

  REVOKE EXECUTE ON FUNCTION record.ensure_month(timestamptz), record.drop_month(date) FROM PUBLIC`;

class CreateRecord1764100000000 implements MigrationInterface {
  readonly name = 'CreateRecord1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(TABLES);
    for (const index of INDEXES) await runner.query(`CREATE INDEX ${index}`);
    await runner.query(GUARDS);
    for (const trigger of APPEND_ONLY) await runner.query(trigger);
    await runner.query(MONTHS);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE ${CREATED_TABLES.map((table) => `record.${table}`).join(', ')}`);
    for (const routine of ['refuse_change', 'guard_key', 'guard_head', 'ensure_month', 'drop_month']) {
      await runner.query(`DROP FUNCTION record.${routine}`);
    }
  }
}

class KeepWatchState1764300000000 implements MigrationInterface {
  readonly name = 'KeepWatchState1764300000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE record.watch_state (
        name    text COLLATE "C" PRIMARY KEY,
        version bigint NOT NULL,
        state   jsonb  NOT NULL
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE record.watch_state');
  }
}

/** Derived from entries while they can be read, compared by `remit audit rebuild`; a row that is missing costs an opening. */
class KeepOutlines1764400000000 implements MigrationInterface {
  readonly name = 'KeepOutlines1764400000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE record.outline (
        append_time   timestamptz      NOT NULL,
        topic         text COLLATE "C" NOT NULL,
        "partition"   integer          NOT NULL,
        "offset"      bigint           NOT NULL,
        kind          text COLLATE "C" NOT NULL,
        decision_id   text COLLATE "C",
        action_digest text COLLATE "C",
        valid_until   bigint,
        PRIMARY KEY (append_time, topic, "partition", "offset")
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE record.outline');
  }
}

export const RECORD_MIGRATIONS = [CreateRecord1764100000000, KeepWatchState1764300000000, KeepOutlines1764400000000];
export const NEWEST_MIGRATION = new KeepOutlines1764400000000().name;

/** Every table of the audit log. */
export const RECORD_TABLES: readonly string[] = [...CREATED_TABLES, 'watch_state', 'outline', 'migration'];
