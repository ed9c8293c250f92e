import type { Checkpoint } from '#domain';
import { Checkpoints } from './checkpoints.js';
import { RecordConnection } from './record-connection.js';
import type { RecordDatabaseOptions } from './record-database.js';
import { RecordError } from './record-error.js';
import { RECORD_RIGHTS } from './record-rights.js';

/** Whose content is to become unreadable. */
export type ErasureOf =
  | { readonly of: 'intent'; readonly intentId: string }
  | { readonly of: 'agent'; readonly agentId: string }
  | { readonly of: 'person'; readonly person: string };

export interface Erasure {
  readonly of: ErasureOf['of'];
  /** Intent id or agent id; of a person the keyed tag. */
  readonly subject: string;
  /** Keys destroyed. */
  readonly keys: number;
  /** Stored values that can never be read again. */
  readonly values: number;
}

const DESTROY = (where: string): string => `
  UPDATE record.intent_key SET wrapped = NULL, destroyed_at = now()
  WHERE wrapped IS NOT NULL AND (${where}) RETURNING id, intent_id AS "intentId"`;

/** Scopes begin with whose they are, so the one index over them leads to the keys of an agent, too. */
const DESTROY_OF = {
  intent: DESTROY(`scope IN (SELECT DISTINCT 'intent ' || agent_id || '/' || intent_id FROM record.history
    WHERE intent_id = $1 AND agent_id IS NOT NULL)`),
  agent: DESTROY(`agent_id = $1 AND (scope ^@ ('intent ' || $1 || '/') OR scope ^@ ('message ' || $1 || ' '))`),
  person: DESTROY('id IN (SELECT key_id FROM record.key_person WHERE person = $1)'),
};

const VALUES = `
  SELECT count(*) FROM record.history WHERE intent_id = ANY($1::text[]) AND key_id = ANY($2::uuid[])`;

export interface Dropping {
  /** `2026-01` */
  readonly months: readonly string[];
  readonly entries: number;
  /** It says from where on each partition is kept. */
  readonly checkpoint: Checkpoint;
}

const DAY_BEFORE = `
  SELECT topic, "partition", count(*) AS entries, max(coalesce(gap_until, "offset" + 1)) AS until
  FROM record.history WHERE append_time < $1 GROUP BY topic, "partition" ORDER BY topic, "partition"`;

/** The last entry of each partition from before; every part of it is a step along the primary key. */
const LAST_BEFORE = `
  SELECT head.topic, head."partition", old."offset" FROM record.chain_head AS head JOIN LATERAL (
    SELECT "offset" FROM record.history
    WHERE topic = head.topic AND "partition" = head."partition" AND append_time < $1 ORDER BY "offset" DESC LIMIT 1
  ) AS old ON true`;

const TORN = `
  SELECT last.topic, last."partition", later."offset" FROM (${LAST_BEFORE}) AS last JOIN LATERAL (
    SELECT "offset" FROM record.history
    WHERE topic = last.topic AND "partition" = last."partition" AND append_time >= $1 AND "offset" < last."offset"
    ORDER BY "offset" LIMIT 1
  ) AS later ON true LIMIT 1`;

/** Epochs end between entries, so what no checkpoint covers begins behind the last of them. */
const UNSIGNED = `
  SELECT last.topic, last."partition" FROM (${LAST_BEFORE}) AS last
  WHERE last."offset" >= coalesce((
    SELECT max(next) FROM record.epoch_leaves AS signed
    WHERE signed.topic = last.topic AND signed."partition" = last."partition"), 0) LIMIT 1`;

const MONTHS = `
  SELECT replace(substr(child.relname, 9), '_', '-') AS month
  FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
  WHERE inhparent = 'record.history'::regclass AND child.relname < 'history_' || replace($1, '-', '_') ORDER BY 1`;

/** What a role may do to a table, or a guard that is missing. */
export interface RoleFinding {
  readonly ok: boolean;
  readonly what: string;
}

const GUARDED = ['history', 'checkpoint', 'epoch_leaves', 'chain_head', 'intent_key'];

/** What is done to the record rarely and on purpose: erasure, retention, and a look at who could do more. */
export class RecordKeeping {
  readonly #record: RecordConnection;
  readonly #writer: RecordConnection;
  readonly #checkpoints: Checkpoints;

  constructor(options: RecordDatabaseOptions) {
    // whatever is kept for years and dropped at once takes its time
    this.#record = new RecordConnection({ ...options, statementMs: null }, 'keeper');
    this.#writer = new RecordConnection(options, 'writer');
    this.#checkpoints = new Checkpoints(this.#writer);
  }

  /** Destroys keys. `announce` is awaited before it counts: when it throws, nothing has been destroyed. */
  async erase(what: ErasureOf, announce: (erasure: Erasure) => Promise<void>): Promise<Erasure> {
    const master = await this.#record.keys.master();
    const wanted =
      what.of === 'intent' ? what.intentId : what.of === 'agent' ? what.agentId : master.personTag(what.person);
    const erasure = await this.#record.transaction(async (query) => {
      const destroyed = await query<{ id: string; intentId: string | null }>(
        `WITH destroyed AS (${DESTROY_OF[what.of]}) SELECT * FROM destroyed`,
        [wanted],
      );
      const ids = destroyed.map(({ id }) => id);
      const intents = [...new Set(destroyed.flatMap(({ intentId }) => intentId ?? []))];
      const [values] = await query<{ count: string }>(VALUES, [intents, ids]);
      await query('DELETE FROM record.key_person WHERE key_id = ANY($1::uuid[])', [ids]);
      const ofMessages = destroyed.filter(({ intentId }) => intentId === null).length;
      const done: Erasure = {
        of: what.of,
        subject: typeof wanted === 'string' ? wanted : wanted.toString('hex'),
        keys: ids.length,
        values: Number(values?.count ?? 0) + ofMessages,
      };
      await announce(done);
      return done;
    });
    // Otherwise the wrapped keys would stay in the table's file until the server tidies up by itself.
    await this.#record.query('VACUUM record.intent_key', []);
    return erasure;
  }

  /**
   * Drops all months before this one, `2026-11`. What is dropped must be under a checkpoint, and no later entry may lie
   * before it in its partition. Throws `REMIT_RECORD_NOT_DROPPABLE`. May be repeated when it was interrupted.
   */
  async dropBefore(month: string, now: number, announce: (dropping: Dropping) => Promise<void>): Promise<Dropping> {
    const before = `${month}-01T00:00:00Z`;
    const months = (await this.#record.query<{ month: string }>(MONTHS, [month])).map((row) => row.month);
    const [unsigned] = await this.#record.query<{ topic: string; partition: number }>(UNSIGNED, [before]);
    if (unsigned !== undefined) {
      throw new RecordError(
        'REMIT_RECORD_NOT_DROPPABLE',
        `${unsigned.topic}/${String(unsigned.partition)} has entries before ${month} that no checkpoint covers yet`,
      );
    }
    const [torn] = await this.#record.query<{ topic: string; partition: number; offset: string }>(TORN, [before]);
    if (torn !== undefined) {
      throw new RecordError(
        'REMIT_RECORD_NOT_DROPPABLE',
        `${torn.topic}/${String(torn.partition)}/${torn.offset} is of ${month} or later, but lies before entries that ` +
          'are older (the broker’s clock went back); drop up to an earlier month',
      );
    }
    const old = await this.#record.query<{ topic: string; partition: number; entries: string; until: string }>(
      DAY_BEFORE,
      [before],
    );
    for (const { topic, partition, until } of old) {
      await this.#record.query(
        `INSERT INTO record.retention (topic, "partition", kept_from) VALUES ($1, $2, $3)
         ON CONFLICT (topic, "partition") DO UPDATE SET kept_from = greatest(retention.kept_from, EXCLUDED.kept_from)`,
        [topic, partition, until],
      );
    }
    const checkpoint = await this.#checkpoints.signNow({ now });
    const dropping: Dropping = {
      months,
      entries: old.reduce((sum, { entries }) => sum + Number(entries), 0),
      checkpoint,
    };
    await announce(dropping);
    for (const one of months) await this.#record.query('SELECT record.drop_month($1::date)', [`${one}-01`]);
    return dropping;
  }

  /** Whether the roles can do what they must and nothing else, and whether the guards stand. */
  async checkRoles(): Promise<readonly RoleFinding[]> {
    const findings: RoleFinding[] = [];
    for (const { role: name, tables } of Object.values(RECORD_RIGHTS)) {
      const [found] = await this.#writer.query('SELECT FROM pg_roles WHERE rolname = $1', [name]);
      if (found === undefined) {
        findings.push({ ok: false, what: `the role ${name} does not exist; see docs/guide/evidence.md` });
        continue;
      }
      for (const [table, wanted] of Object.entries(tables)) {
        const [has] = await this.#writer.query<{ privileges: string[] }>(
          `SELECT array(SELECT privilege FROM unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) AS privilege
             WHERE has_table_privilege($1, $2, privilege)) AS privileges`,
          [name, `record.${table}`],
        );
        const held = has?.privileges ?? [];
        const same = held.length === wanted.length && wanted.every((one) => held.includes(one));
        findings.push({
          ok: same,
          what: `${name} may ${held.join(', ') || 'nothing'} on record.${table}${same ? '' : `; it should: ${wanted.join(', ')}`}`,
        });
      }
    }
    for (const table of GUARDED) {
      const [guards] = await this.#writer.query<{ names: string[] }>(
        `SELECT array_agg(tgname::text ORDER BY tgname) AS names FROM pg_trigger
         WHERE tgrelid = $1::regclass AND NOT tgisinternal AND tgenabled IN ('O', 'A')`,
        [`record.${table}`],
      );
      const names = guards?.names ?? [];
      const missing = ['no_delete', 'no_truncate'].filter((guard) => !names.includes(guard));
      const ok = missing.length === 0 && names.some((guard) => guard !== 'no_delete' && guard !== 'no_truncate');
      findings.push({ ok, what: `record.${table} is guarded by ${names.join(', ') || 'nothing'}` });
    }
    return findings;
  }

  async close(): Promise<void> {
    await Promise.all([this.#record.close(), this.#writer.close()]);
  }
}
