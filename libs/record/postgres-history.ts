import type { DataSource, SelectQueryBuilder } from 'typeorm';
import type { ChainEvent } from '#domain';
import { readChain } from './chain-events.js';
import type { History, HistoryEntry, HistorySearch, RecordedMessage, StoredPositions } from './history.js';
import { byPosition, storedPositions } from './history-order.js';
import { historyTable } from './history-table.js';
import { openRecordDatabase, type RecordDatabaseOptions } from './record-database.js';
import { recordErrorOf } from './record-error.js';
import { searchTerm, searchTermsOf } from './search-terms.js';
import { headersToText } from './stored-headers.js';

const ROWS_PER_INSERT = 500;
const BYTES_PER_INSERT = 4 * 1024 * 1024;

const INSERT = `
  INSERT INTO record.history (topic, "partition", "offset", append_time, key, headers, value, event_type, event_id,
    agent_id, intent_id, chain_id, action_type, target, outcome, trace_id)
  SELECT topic, "partition", "offset", to_timestamp(append_ms / 1000.0), key, headers, value, event_type, event_id,
    agent_id, intent_id, chain_id, action_type, target, outcome, trace_id
  FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bytea[], $6::text[], $7::bytea[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[])
    AS message (topic, "partition", "offset", append_ms, key, headers, value, event_type, event_id, agent_id,
      intent_id, chain_id, action_type, target, outcome, trace_id)
  ON CONFLICT (topic, "partition", "offset") DO NOTHING`;

/** Hops from partition to partition along the primary key instead of reading the whole table. */
const POSITIONS = `
  WITH RECURSIVE stored AS (
    (SELECT topic, "partition" FROM record.history ORDER BY topic, "partition" LIMIT 1)
    UNION ALL
    SELECT following.topic, following."partition"
    FROM stored CROSS JOIN LATERAL (
      SELECT history.topic, history."partition" FROM record.history
      WHERE (history.topic, history."partition") > (stored.topic, stored."partition")
      ORDER BY history.topic, history."partition" LIMIT 1
    ) AS following
  )
  SELECT topic, "partition", (
    SELECT "offset" + 1 FROM record.history
    WHERE history.topic = stored.topic AND history."partition" = stored."partition"
    ORDER BY "offset" DESC LIMIT 1
  ) AS next
  FROM stored`;

/** Runs of messages small enough for one statement each. */
function* insertable(messages: readonly RecordedMessage[]): Generator<RecordedMessage[]> {
  let run: RecordedMessage[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = message.value?.length ?? 0;
    if (run.length > 0 && (run.length === ROWS_PER_INSERT || bytes + size > BYTES_PER_INSERT)) {
      yield run;
      run = [];
      bytes = 0;
    }
    run.push(message);
    bytes += size;
  }
  if (run.length > 0) yield run;
}

function insertParameters(messages: readonly RecordedMessage[]): unknown[][] {
  const rows = messages.map((message) => {
    const terms = searchTermsOf(message);
    return [
      message.topic,
      message.partition,
      message.offset,
      message.appendTime,
      message.key,
      headersToText(message.headers),
      message.value,
      terms.eventType,
      terms.eventId,
      terms.agentId,
      terms.intentId,
      terms.chainId,
      terms.actionType,
      terms.target,
      terms.outcome,
      terms.traceId,
    ];
  });
  return Array.from({ length: 16 }, (_, column) => rows.map((row) => row[column]));
}

/**
 * History in PostgreSQL. It connects (and creates or updates its tables) when first used and again after the
 * server was away, so a process may start before its database does.
 */
export class PostgresHistory implements History {
  readonly #options: RecordDatabaseOptions;
  #source: Promise<DataSource> | undefined;

  constructor(options: RecordDatabaseOptions) {
    this.#options = options;
  }

  /** A history that is connected already; throws when the database does not answer. */
  static async open(databaseUrl: string): Promise<PostgresHistory> {
    const history = new PostgresHistory({ databaseUrl });
    await history.ping();
    return history;
  }

  async append(messages: readonly RecordedMessage[]): Promise<number> {
    // One order for all replicas: two that store the same messages cannot lock each other out.
    const ordered = [...messages].sort(byPosition);
    return this.#with(async (source) => {
      const runner = source.createQueryRunner();
      try {
        let stored = 0;
        for (const run of insertable(ordered)) {
          stored += (await runner.query(INSERT, insertParameters(run), true)).affected ?? 0;
        }
        return stored;
      } finally {
        await runner.release();
      }
    });
  }

  search(search: HistorySearch): Promise<readonly HistoryEntry[]> {
    return this.#select((entries) => {
      const { from, to, after } = search;
      if (from !== undefined) entries.andWhere('entry.appendTime >= :from', { from: new Date(from) });
      if (to !== undefined) entries.andWhere('entry.appendTime < :to', { to: new Date(to) });
      for (const term of ['agentId', 'actionType', 'target', 'outcome', 'chainId', 'traceId'] as const) {
        const wanted = search[term];
        if (wanted !== undefined) entries.andWhere(`entry.${term} = :${term}`, { [term]: searchTerm(wanted) });
      }
      if (after !== undefined) {
        entries.andWhere(
          '(entry.appendTime, entry.topic, entry.partition, entry.offset) > ' +
            '(:afterTime::timestamptz, :afterTopic::text, :afterPartition::integer, :afterOffset::bigint)',
          {
            afterTime: new Date(after.appendTime),
            afterTopic: after.topic,
            afterPartition: after.partition,
            afterOffset: after.offset,
          },
        );
      }
      return entries.limit(search.limit);
    });
  }

  chain(chainId: string): Promise<readonly ChainEvent[]> {
    return readChain(chainId, {
      inChain: (id) => this.#select((entries) => entries.where('entry.chainId = :id', { id: searchTerm(id) })),
      aboutIntents: (ids) =>
        this.#select((entries) => entries.where('entry.intentId = ANY(:ids)', { ids: ids.map(searchTerm) })),
    });
  }

  count(): Promise<ReadonlyMap<string, number>> {
    return this.#with(async (source) => {
      const rows = await source.query<{ topic: string; count: string }[]>(
        'SELECT topic, count(*) FROM record.history GROUP BY topic ORDER BY topic',
      );
      return new Map(rows.map(({ topic, count }) => [topic, Number(count)]));
    });
  }

  positions(): Promise<StoredPositions> {
    return this.#with(async (source) => {
      const rows = await source.query<{ topic: string; partition: number; next: string }[]>(POSITIONS);
      return storedPositions(rows.map(({ topic, partition, next }) => ({ topic, partition, next: Number(next) })));
    });
  }

  ping(): Promise<void> {
    return this.#with(async (source) => {
      await source.query('SELECT FROM record.history LIMIT 1');
    });
  }

  async close(): Promise<void> {
    const source = this.#source;
    this.#source = undefined;
    try {
      await (await source)?.destroy();
    } catch (error) {
      throw recordErrorOf(error);
    }
  }

  #select(
    narrow: (entries: SelectQueryBuilder<HistoryEntry>) => SelectQueryBuilder<HistoryEntry>,
  ): Promise<readonly HistoryEntry[]> {
    return this.#with((source) =>
      narrow(source.getRepository(historyTable).createQueryBuilder('entry'))
        .orderBy('entry.appendTime')
        .addOrderBy('entry.topic')
        .addOrderBy('entry.partition')
        .addOrderBy('entry.offset')
        .getMany(),
    );
  }

  async #with<Result>(work: (source: DataSource) => Promise<Result>): Promise<Result> {
    try {
      return await work(await this.#connected());
    } catch (error) {
      throw recordErrorOf(error);
    }
  }

  #connected(): Promise<DataSource> {
    this.#source ??= openRecordDatabase(this.#options).catch((error: unknown) => {
      this.#source = undefined;
      throw error;
    });
    return this.#source;
  }
}
