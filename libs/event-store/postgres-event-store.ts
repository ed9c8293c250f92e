import type { ClientBase, QueryResult } from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import type {
  Append,
  AppendResult,
  CommandIdentity,
  CommandResult,
  EventSchema,
  EventStore,
  PublishEvents,
  PublishTurn,
  PublishTurnResult,
  Snapshot,
  StoredEvent,
  StreamReading,
} from './event-store.js';
import { commandIdReused } from './command-id-reused.js';
import { openEventDatabase, type EventDatabaseOptions } from './event-database.js';
import { eventStoreErrorOf } from './event-store-error.js';
import { LogComparison, UNKNOWN_DIGEST } from './log-comparison.js';
import { eventOfRow, textOfEvent, type EventRow } from './event-text.js';

const EVENT_COLUMNS = 'stream, version, command_id AS "commandId", event AS text';
const PUBLISH_TURN_MS = 30_000;

/** What follows a stream that has just been given its new version, $3: the command and its events. */
const STORE_MOVED = `
  known AS (
    INSERT INTO event_store.command (stream, command_id, digest, from_version, to_version)
    SELECT $1, $4, $5, $2, $3 FROM moved
    RETURNING 1
  )
  INSERT INTO event_store.event (stream, version, command_id, event)
  SELECT $1, version, $4, event FROM unnest($6::integer[], $7::text[]) AS new (version, event)
  WHERE EXISTS (SELECT FROM known)
  RETURNING version`;

const IS_NEW = 'NOT EXISTS (SELECT FROM event_store.command WHERE stream = $1 AND command_id = $4)';

const APPEND_TO_STREAM = `
  WITH moved AS (
    UPDATE event_store.stream SET version = $3 WHERE stream = $1 AND version = $2 AND ${IS_NEW}
    RETURNING 1
  ), ${STORE_MOVED}`;

const BEGIN_STREAM = `
  WITH moved AS (
    INSERT INTO event_store.stream AS kept (stream, version) SELECT $1, $3::integer WHERE $2::integer = 0 AND ${IS_NEW}
    ON CONFLICT (stream) DO UPDATE SET version = excluded.version WHERE kept.version = 0
    RETURNING 1
  ), ${STORE_MOVED}`;

async function rowsOf<Row>(manager: EntityManager, sql: string, parameters: readonly unknown[]): Promise<Row[]> {
  return manager.query<Row[]>(sql, [...parameters]);
}

async function coded<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw eventStoreErrorOf(error);
  }
}

/** The event store on PostgreSQL. Any number of replicas may share a database. */
export class PostgresEventStore<Event> implements EventStore<Event> {
  private constructor(
    private readonly schema: EventSchema<Event>,
    private readonly source: DataSource,
    private readonly publishTurnMs: number,
  ) {}

  /** Connects and brings the tables up to date. */
  static async open<Event>(
    schema: EventSchema<Event>,
    options: EventDatabaseOptions,
  ): Promise<PostgresEventStore<Event>> {
    const source = await coded(() => openEventDatabase(options));
    return new PostgresEventStore(schema, source, options.publishTurnMs ?? PUBLISH_TURN_MS);
  }

  /** The same store against the log that it publishes to. */
  get log(): LogComparison<Event> {
    return new LogComparison(this.schema, this.source);
  }

  readStream(stream: string, after = 0): Promise<StreamReading<Event>> {
    return coded(async () => {
      const sql = `SELECT ${EVENT_COLUMNS} FROM event_store.event WHERE stream = $1 AND version > $2 ORDER BY version`;
      const events = this.read(await rowsOf<EventRow>(this.source.manager, sql, [stream, after]));
      return { events, version: events.at(-1)?.version ?? after };
    });
  }

  append(stream: string, append: Append<Event>): Promise<AppendResult<Event>> {
    return coded(async () => {
      const texts = append.events.map((event) => textOfEvent(this.schema, stream, event));
      if (await this.isAppendedAtOnce(stream, append, texts)) {
        return { status: 'appended', events: this.read(rowsToStore(stream, append, texts)) };
      }
      return this.source.transaction(async (manager) => {
        const version = await lockStream(manager, stream);
        const before = await this.resultOfCommand(manager, stream, append);
        if (before !== undefined) return before;
        if (version !== append.expectedVersion) return { status: 'conflict', version };
        if (texts.length === 0) return { status: 'appended', events: [] };
        return { status: 'appended', events: await this.insert(manager, stream, version, append, texts) };
      });
    });
  }

  resultOf(stream: string, command: CommandIdentity): Promise<CommandResult<Event> | undefined> {
    return coded(() => this.resultOfCommand(this.source.manager, stream, command));
  }

  readSnapshot(stream: string, format: string): Promise<Snapshot | undefined> {
    return coded(async () => {
      const sql = 'SELECT version, state FROM event_store.snapshot WHERE stream = $1 AND format = $2';
      const [saved] = await rowsOf<{ version: number; state: string }>(this.source.manager, sql, [stream, format]);
      return saved && { version: saved.version, state: JSON.parse(saved.state) as unknown };
    });
  }

  saveSnapshot(stream: string, format: string, { version, state }: Snapshot): Promise<void> {
    return coded(async () => {
      const sql = `
        INSERT INTO event_store.snapshot AS kept (stream, format, version, state) VALUES ($1, $2, $3, $4)
        ON CONFLICT (stream, format) DO UPDATE SET version = excluded.version, state = excluded.state
        WHERE kept.version < excluded.version`;
      await this.source.query(sql, [stream, format, version, JSON.stringify(state)]);
    });
  }

  streams(page: { after?: string; limit: number }): Promise<readonly string[]> {
    const sql = `SELECT stream FROM event_store.stream WHERE version > 0 AND stream > $1 ORDER BY stream LIMIT $2`;
    return this.names(sql, page);
  }

  unpublished(limit: number): Promise<readonly StoredEvent<Event>[]> {
    return coded(async () => {
      const sql = `
        SELECT ${EVENT_COLUMNS} FROM event_store.event WHERE published_at IS NULL ORDER BY stream, version LIMIT $1`;
      return this.read(await rowsOf<EventRow>(this.source.manager, sql, [limit]));
    });
  }

  unpublishedStreams(page: { after?: string; limit: number }): Promise<readonly string[]> {
    const sql = `
      SELECT DISTINCT stream FROM event_store.event WHERE published_at IS NULL AND stream > $1 ORDER BY stream LIMIT $2`;
    return this.names(sql, page);
  }

  /**
   * The lock ends with the transaction, so it is free again whenever this process dies or the server loses it. Two round
   * trips: people wait for what is published.
   */
  async publishTurn(stream: string, turn: PublishTurn, publish: PublishEvents<Event>): Promise<PublishTurnResult> {
    const runner = this.source.createQueryRunner();
    let refusal: { readonly error: unknown } | undefined;
    let client: ClientBase | undefined;
    try {
      client = (await runner.connect()) as ClientBase;
      const { isLocked, rows } = await this.beginTurn(client, stream, turn);
      if (!isLocked) {
        await client.query('COMMIT');
        return { status: 'busy' };
      }
      const events = this.read(rows);
      const last = events.at(-1);
      if (last === undefined) {
        await client.query('COMMIT');
        return { status: 'published', count: 0, more: false };
      }
      try {
        await publish(events);
      } catch (error) {
        refusal = { error };
        throw error;
      }
      await client.query(
        `UPDATE event_store.event SET published_at = clock_timestamp()
         WHERE stream = ${client.escapeLiteral(stream)} AND version <= ${String(last.version)} AND published_at IS NULL;
         COMMIT`,
      );
      return { status: 'published', count: events.length, more: events.length === turn.limit };
    } catch (error) {
      // where the connection is gone, so is the transaction
      await client?.query('ROLLBACK').catch(() => undefined);
      if (refusal !== undefined) throw refusal.error;
      throw eventStoreErrorOf(error);
    } finally {
      await runner.release();
    }
  }

  ping(): Promise<void> {
    return coded(async () => {
      await this.source.query('SELECT 1 FROM event_store.stream LIMIT 1');
    });
  }

  close(): Promise<void> {
    return coded(() => this.source.destroy());
  }

  private read(rows: readonly EventRow[]): StoredEvent<Event>[] {
    return rows.map((row) => eventOfRow(this.schema, row));
  }

  private names(sql: string, page: { after?: string; limit: number }): Promise<readonly string[]> {
    return coded(async () => {
      const rows = await rowsOf<{ stream: string }>(this.source.manager, sql, [page.after ?? '', page.limit]);
      return rows.map((row) => row.stream);
    });
  }

  private async resultOfCommand(
    manager: EntityManager,
    stream: string,
    { commandId, commandDigest }: CommandIdentity,
  ): Promise<CommandResult<Event> | undefined> {
    const [before] = await rowsOf<{ digest: string; from_version: number; to_version: number }>(
      manager,
      'SELECT digest, from_version, to_version FROM event_store.command WHERE stream = $1 AND command_id = $2',
      [stream, commandId],
    );
    if (before === undefined) return undefined;
    const isSame = before.digest === commandDigest || before.digest === UNKNOWN_DIGEST;
    if (!isSame) return commandIdReused(stream, commandId);
    const sql = `
      SELECT ${EVENT_COLUMNS} FROM event_store.event
      WHERE stream = $1 AND version > $2 AND version <= $3 ORDER BY version`;
    const rows = await rowsOf<EventRow>(manager, sql, [stream, before.from_version, before.to_version]);
    return { status: 'duplicate', events: this.read(rows) };
  }

  /**
   * One round trip when the stream is where the caller believes it to be and the command is new, as nearly always.
   * Otherwise nothing is changed. Whoever appends to the same stream meanwhile changes its version, so a command that
   * is not seen yet is not stored twice.
   */
  private async isAppendedAtOnce(
    stream: string,
    { expectedVersion, commandId, commandDigest }: Append<Event>,
    texts: readonly string[],
  ): Promise<boolean> {
    if (texts.length === 0) return false;
    const versions = texts.map((_, index) => expectedVersion + index + 1);
    const rows = await rowsOf(this.source.manager, expectedVersion === 0 ? BEGIN_STREAM : APPEND_TO_STREAM, [
      ...[stream, expectedVersion, expectedVersion + texts.length],
      ...[commandId, commandDigest, versions, texts],
    ]);
    return rows.length > 0;
  }

  /**
   * Locks the stream and reads what is unpublished, which must be a statement after the one that waits for the lock. A
   * replica that is frozen while it publishes must not keep the stream for ever.
   */
  private async beginTurn(
    client: ClientBase,
    stream: string,
    { whenBusy, limit }: PublishTurn,
  ): Promise<{ readonly isLocked: boolean; readonly rows: readonly EventRow[] }> {
    const name = client.escapeLiteral(stream);
    const lock = whenBusy === 'wait' ? 'pg_advisory_xact_lock' : 'pg_try_advisory_xact_lock';
    // several statements at once cannot have parameters
    const results = (await client.query(
      `BEGIN;
       SET LOCAL idle_in_transaction_session_timeout = ${String(Math.trunc(this.publishTurnMs))};
       SELECT ${lock}(hashtextextended('remit event store, publishing ' || ${name}, 0)) AS locked;
       SELECT ${EVENT_COLUMNS} FROM event_store.event WHERE stream = ${name} AND published_at IS NULL
       ORDER BY version LIMIT ${String(Math.trunc(limit))}`,
    )) as unknown as readonly QueryResult[];
    const [locked] = (results[2]?.rows ?? []) as { readonly locked: unknown }[];
    return { isLocked: locked !== undefined && locked.locked !== false, rows: (results[3]?.rows ?? []) as EventRow[] };
  }

  private async insert(
    manager: EntityManager,
    stream: string,
    version: number,
    append: Append<Event>,
    texts: readonly string[],
  ): Promise<StoredEvent<Event>[]> {
    const newVersion = version + texts.length;
    const { commandId, commandDigest } = append;
    await manager.query(
      `INSERT INTO event_store.command (stream, command_id, digest, from_version, to_version) VALUES ($1, $2, $3, $4, $5)`,
      [stream, commandId, commandDigest, version, newVersion],
    );
    const rows = rowsToStore(stream, append, texts);
    await manager.query(
      `INSERT INTO event_store.event (stream, version, command_id, event)
       SELECT $1, version, $2, event FROM unnest($3::integer[], $4::text[]) AS new (version, event)`,
      [stream, commandId, rows.map((row) => row.version), rows.map((row) => row.text)],
    );
    await manager.query('UPDATE event_store.stream SET version = $2 WHERE stream = $1', [stream, newVersion]);
    return this.read(rows);
  }
}

/** Makes every other append to the stream wait until this transaction ends; returns the stream's version. */
async function lockStream(manager: EntityManager, stream: string): Promise<number> {
  await manager.query('INSERT INTO event_store.stream (stream) VALUES ($1) ON CONFLICT DO NOTHING', [stream]);
  const sql = 'SELECT version FROM event_store.stream WHERE stream = $1 FOR UPDATE';
  const [row] = await rowsOf<{ version: number }>(manager, sql, [stream]);
  return row?.version ?? 0;
}

function rowsToStore(
  stream: string,
  { expectedVersion, commandId }: Append<unknown>,
  texts: readonly string[],
): EventRow[] {
  return texts.map((text, index) => ({ stream, version: expectedVersion + index + 1, commandId, text }));
}
