import { TOPICS } from '#contracts';
import { byPosition } from '#domain';
import { appendToChains } from './chain-append.js';
import { readChain } from './chain-events.js';
import type {
  History,
  HistoryEntry,
  HistorySearch,
  HistoryStream,
  OutlinedEntry,
  PartitionReading,
  PartitionRun,
  PlaceOfEntry,
  Position,
  RecordedChain,
  RecordedMessage,
  StoredPositions,
} from './history.js';
import { storedPositions } from './history-order.js';
import { ENTRIES_PER_PAGE } from './history-reading.js';
import { APPEND_ORDER, openRows, ROW_COLUMNS, type HistoryRow } from './history-rows.js';
import { PostgresOutlines } from './outlines.js';
import { PostgresReading } from './postgres-reading.js';
import { RecordConnection } from './record-connection.js';
import type { RecordDatabaseOptions } from './record-database.js';
import { findingOf, searchTerm } from './search-terms.js';

const COLUMN_OF = {
  agentId: 'agent_id',
  actionType: 'action_type',
  target: 'target',
  outcome: 'outcome',
  chainId: 'chain_id',
  traceId: 'trace_id',
  eventId: 'event_id',
} as const;

function monthOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 7);
}

/**
 * History in PostgreSQL. It connects (and creates or updates its tables) when first used and again after the
 * server was away, so a process may start before its database does.
 */
export class PostgresHistory implements History {
  readonly #record: RecordConnection;
  readonly #reading = new PostgresReading(
    (sql, parameters) => this.#entries(sql, parameters),
    (sql, parameters, read) => this.#allEntries(sql, parameters, read),
  );
  readonly #outlines = new PostgresOutlines(
    (sql, parameters) => this.#record.query(sql, parameters),
    (work) => this.#record.snapshot(work),
  );
  /** Months for which there is a partition, `2026-11`. */
  readonly #months = new Set<string>();

  constructor(options: RecordDatabaseOptions) {
    this.#record = new RecordConnection({ ...options, onConnecting: () => this.#months.clear() }, 'writer');
  }

  /** A history that is connected already; throws when the database does not answer. */
  static async open(databaseUrl: string): Promise<PostgresHistory> {
    const history = new PostgresHistory({ databaseUrl });
    await history.ping();
    return history;
  }

  async append(messages: readonly RecordedMessage[], reading?: PartitionReading): Promise<number> {
    if (messages.length === 0) return 0;
    // One order for all replicas: two that store the same messages cannot lock each other out.
    const ordered = [...messages].sort(byPosition);
    try {
      await this.#ensureMonths(ordered);
      return await this.#record.session((runner) => appendToChains(runner, ordered, this.#record.intentKeys, reading));
    } catch (error) {
      // What was remembered of the database may be why: look again next time.
      this.#months.clear();
      this.#record.intentKeys.clear();
      throw error;
    }
  }

  search(search: HistorySearch): Promise<readonly HistoryEntry[]> {
    const { from, to, after, limit, rule } = search;
    const values: unknown[] = [];
    const value = (one: unknown): string => `$${String(values.push(one))}`;
    const conditions = ['gap_until IS NULL'];
    if (from !== undefined) conditions.push(`append_time >= ${value(new Date(from))}`);
    if (to !== undefined) conditions.push(`append_time < ${value(new Date(to))}`);
    for (const term of Object.keys(COLUMN_OF) as (keyof typeof COLUMN_OF)[]) {
      const wanted = search[term];
      if (wanted !== undefined) conditions.push(`${COLUMN_OF[term]} = ${value(searchTerm(wanted))}`);
    }
    if (rule !== undefined) {
      conditions.push(
        `topic = ${value(TOPICS.agentDecisions.name)}`,
        `position(${value(findingOf(rule))} in value) > 0`,
      );
    }
    if (after !== undefined) {
      conditions.push(
        `(${APPEND_ORDER}) > (${value(new Date(after.appendTime))}::timestamptz, ${value(after.topic)}::text,
          ${value(after.partition)}::integer, ${value(after.offset)}::bigint)`,
      );
    }
    return this.#entries(
      `SELECT ${ROW_COLUMNS} FROM record.history WHERE ${conditions.join(' AND ')}
       ORDER BY ${APPEND_ORDER} LIMIT ${value(limit)}`,
      values,
    );
  }

  chain(chainId: string): Promise<RecordedChain> {
    return readChain(chainId, {
      inChain: (wanted, read) => this.#reading.inChain(wanted, read),
      aboutIntents: (ids, read) => this.aboutIntents(ids, read),
    });
  }

  stream(stream: HistoryStream): AsyncIterable<readonly HistoryEntry[]> {
    return this.#reading.stream(stream);
  }

  partition(run: PartitionRun): AsyncIterable<readonly HistoryEntry[]> {
    return this.#reading.partition(run);
  }

  at(positions: readonly Position[]): Promise<readonly HistoryEntry[]> {
    return this.#reading.at(positions);
  }

  aboutIntents(intentIds: readonly string[], read: (page: readonly HistoryEntry[]) => void): Promise<void> {
    return this.#reading.aboutIntents(intentIds, read);
  }

  firstSince(topics: readonly string[], from: number): Promise<readonly Position[]> {
    return this.#outlines.firstSince(topics, from);
  }

  places(run: PartitionRun): AsyncIterable<readonly PlaceOfEntry[]> {
    return this.#outlines.places(run);
  }

  outlinesAbout(intentIds: readonly string[], read: (page: readonly OutlinedEntry[]) => void): Promise<void> {
    return this.#outlines.outlinesAbout(intentIds, read);
  }

  forgetOutlines(before: number): Promise<void> {
    return this.#outlines.forgetOutlines(before);
  }

  async count(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#record.query<{ topic: string; count: string }>(
      'SELECT topic, count(*) FROM record.history WHERE gap_until IS NULL GROUP BY topic ORDER BY topic',
      [],
    );
    return new Map(rows.map(({ topic, count }) => [topic, Number(count)]));
  }

  async positions(): Promise<StoredPositions> {
    const rows = await this.#record.query<{ topic: string; partition: number; next: string }>(
      'SELECT topic, "partition", next FROM record.chain_head WHERE next > 0 ORDER BY topic, "partition"',
      [],
    );
    return storedPositions(rows.map(({ topic, partition, next }) => ({ topic, partition, next: Number(next) })));
  }

  async ping(): Promise<void> {
    await this.#record.query('SELECT FROM record.history LIMIT 1', []);
  }

  async close(): Promise<void> {
    await this.#record.close();
  }

  async #entries(sql: string, parameters: readonly unknown[]): Promise<readonly HistoryEntry[]> {
    const rows = await this.#record.query<HistoryRow>(sql, parameters);
    return openRows(rows, this.#record.intentKeys, this.#record.query);
  }

  /** The result of one statement, as it is at one moment, page by page. */
  #allEntries(
    sql: string,
    parameters: readonly unknown[],
    read: (page: readonly HistoryEntry[]) => void,
  ): Promise<void> {
    return this.#record.snapshot(async (query) => {
      await query(`DECLARE found NO SCROLL CURSOR FOR ${sql}`, parameters);
      for (;;) {
        const rows = await query<HistoryRow>(`FETCH ${String(ENTRIES_PER_PAGE)} FROM found`, []);
        if (rows.length > 0) read(await openRows(rows, this.#record.intentKeys, query));
        if (rows.length < ENTRIES_PER_PAGE) return;
      }
    });
  }

  async #ensureMonths(messages: readonly { readonly appendTime: number }[]): Promise<void> {
    const missing = new Set(
      messages.map(({ appendTime }) => monthOf(appendTime)).filter((month) => !this.#months.has(month)),
    );
    for (const month of [...missing].sort()) {
      await this.#record.query('SELECT record.ensure_month($1)', [`${month}-01T00:00:00Z`]);
      this.#months.add(month);
    }
  }
}
