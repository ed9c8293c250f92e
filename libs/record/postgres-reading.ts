import type { HistoryEntry, HistoryReading, HistoryStream, PartitionRun, Position } from './history.js';
import { ENTRIES_PER_PAGE, pages } from './history-reading.js';
import { APPEND_ORDER, ROW_COLUMNS } from './history-rows.js';
import { searchTerm } from './search-terms.js';

/** Reads rows of `record.history` with one statement, opened. */
export type EntriesQuery = (sql: string, parameters: readonly unknown[]) => Promise<readonly HistoryEntry[]>;

/** The same page by page, however many rows there are. */
export type AllEntriesQuery = (
  sql: string,
  parameters: readonly unknown[],
  read: (page: readonly HistoryEntry[]) => void,
) => Promise<void>;

const streamWhere = (agent: string): string => `
  SELECT ${ROW_COLUMNS} FROM record.history
  WHERE gap_until IS NULL AND topic = ANY($1::text[]) AND append_time >= $2 AND append_time < $3 AND ${agent}
    AND (${APPEND_ORDER}) > ($5::timestamptz, $6::text, $7::integer, $8::bigint)
  ORDER BY ${APPEND_ORDER} LIMIT ${ENTRIES_PER_PAGE}`;

const STREAM = streamWhere('$4::text IS NULL');
const STREAM_OF_AGENT = streamWhere('agent_id = $4');

const PARTITION = `
  SELECT ${ROW_COLUMNS} FROM record.history
  WHERE gap_until IS NULL AND topic = $1 AND "partition" = $2 AND "offset" >= $3 AND "offset" < $4
  ORDER BY "offset" LIMIT ${ENTRIES_PER_PAGE}`;

const AT = `
  SELECT ${ROW_COLUMNS} FROM record.history
  WHERE gap_until IS NULL AND (topic, "partition", "offset") IN (
    SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[]))`;

/** Found by the term's index and then sorted: never by going through all of history in its order. */
const allWhere = (condition: string): string => `
  SELECT * FROM (SELECT ${ROW_COLUMNS} FROM record.history WHERE ${condition} OFFSET 0) AS found
  ORDER BY ${APPEND_ORDER}`;

const ABOUT_INTENTS = allWhere('intent_id = ANY($1::text[])');
const IN_CHAIN = allWhere('chain_id = $1::text');

const BEGINNING = new Date(0);
const END = new Date(8_640_000_000_000_000 / 10);

/** Bulk reading of `record.history`: every page is one statement along an index. */
export class PostgresReading implements HistoryReading {
  constructor(
    private readonly query: EntriesQuery,
    private readonly queryAll: AllEntriesQuery,
  ) {}

  stream({ topics, from, to, agentId, after }: HistoryStream): AsyncIterable<readonly HistoryEntry[]> {
    const selection = [
      topics,
      from === undefined ? BEGINNING : new Date(from),
      to === undefined ? END : new Date(to),
      agentId === undefined ? null : searchTerm(agentId),
    ];
    const statement = agentId === undefined ? STREAM : STREAM_OF_AGENT;
    return pages<HistoryEntry>((last) => {
      const cursor = last ?? after;
      const behind =
        cursor === undefined
          ? [BEGINNING, '', 0, -1]
          : [new Date(cursor.appendTime), cursor.topic, cursor.partition, cursor.offset];
      return this.query(statement, [...selection, ...behind]);
    });
  }

  partition({ topic, partition, from, to }: PartitionRun): AsyncIterable<readonly HistoryEntry[]> {
    return pages<HistoryEntry>((last) =>
      this.query(PARTITION, [
        topic,
        partition,
        last === undefined ? from : last.offset + 1,
        to ?? Number.MAX_SAFE_INTEGER,
      ]),
    );
  }

  at(positions: readonly Position[]): Promise<readonly HistoryEntry[]> {
    return this.query(AT, [
      positions.map(({ topic }) => topic),
      positions.map(({ partition }) => partition),
      positions.map(({ offset }) => offset),
    ]);
  }

  aboutIntents(intentIds: readonly string[], read: (page: readonly HistoryEntry[]) => void): Promise<void> {
    return this.#all(ABOUT_INTENTS, [intentIds.map(searchTerm)], read);
  }

  /** `term`: the chain's id as it is searched by. */
  inChain(term: string, read: (page: readonly HistoryEntry[]) => void): Promise<void> {
    return this.#all(IN_CHAIN, [term], read);
  }

  /** Almost always there is little: that takes one statement. */
  async #all(
    sql: string,
    parameters: readonly unknown[],
    read: (page: readonly HistoryEntry[]) => void,
  ): Promise<void> {
    const few = await this.query(`${sql} LIMIT ${String(ENTRIES_PER_PAGE + 1)}`, parameters);
    if (few.length > ENTRIES_PER_PAGE) await this.queryAll(sql, parameters, read);
    else if (few.length > 0) read(few);
  }
}
