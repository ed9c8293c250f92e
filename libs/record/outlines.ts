import { outlineOf, type Outline } from '#domain';
import { chainEventOf } from './chain-events.js';
import type {
  OutlinedEntry,
  Outlines,
  PartitionRun,
  PlaceOfEntry,
  Position,
  RecordedMessage,
  SearchTerms,
} from './history.js';
import { ENTRIES_PER_PAGE, pages, PLACES_PER_PAGE } from './history-reading.js';
import type { Query } from './intent-keys.js';
import { RECONCILED_TOPICS } from './reconciled-topics.js';
import { searchTerm } from './search-terms.js';

const RECONCILED = new Set<string>(RECONCILED_TOPICS);

/** The outline of a message that is to be stored. `undefined`: it is not of a topic that is reconciled. */
export function outlineOfMessage(message: RecordedMessage, terms: SearchTerms): Outline | undefined {
  if (!RECONCILED.has(message.topic)) return undefined;
  return outlineOf(chainEventOf({ ...message, ...terms }));
}

/** Where an outline belongs to. */
export interface PlacedOutline extends Position {
  readonly appendTime: number;
  readonly outline: Outline;
}

const STORE = `
  INSERT INTO record.outline (append_time, topic, "partition", "offset", kind, decision_id, action_digest, valid_until)
  SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::integer[], $4::bigint[], $5::text[], $6::text[], $7::text[],
    $8::bigint[])
  ON CONFLICT DO NOTHING`;

/** In the transaction that stores their entries. */
export async function storeOutlines(query: Query, placed: readonly PlacedOutline[]): Promise<void> {
  if (placed.length === 0) return;
  await query(STORE, [
    placed.map(({ appendTime }) => new Date(appendTime).toISOString()),
    placed.map(({ topic }) => topic),
    placed.map(({ partition }) => partition),
    placed.map(({ offset }) => offset),
    placed.map(({ outline }) => outline.kind),
    placed.map(({ outline }) => outline.decisionId),
    placed.map(({ outline }) => outline.actionDigest),
    placed.map(({ outline }) => outline.validUntil),
  ]);
}

interface OutlineRow {
  readonly kind: Outline['kind'] | null;
  readonly decision_id: string | null;
  readonly action_digest: string | null;
  readonly valid_until: string | null;
}

function outlineIn({ kind, decision_id, action_digest, valid_until }: OutlineRow): Outline | undefined {
  if (kind === null) return undefined;
  const validUntil = valid_until === null ? null : Number(valid_until);
  return { kind, decisionId: decision_id, actionDigest: action_digest, validUntil };
}

const OF_ENTRY = `outline.append_time = entry.append_time AND outline.topic = entry.topic
  AND outline."partition" = entry."partition" AND outline."offset" = entry."offset"`;

const AT = `
  SELECT entry.topic, entry."partition", entry."offset", kind, decision_id, action_digest, valid_until
  FROM unnest($1::timestamptz[], $2::text[], $3::integer[], $4::bigint[])
    AS entry (append_time, topic, "partition", "offset")
  JOIN record.outline ON ${OF_ENTRY}`;

/** The outlines that are stored of these entries, to be compared with what the entries say. */
export async function outlinesAt(
  query: Query,
  entries: readonly (Position & { readonly appendTime: number })[],
): Promise<readonly (Position & { readonly outline: Outline | undefined })[]> {
  const rows = await query<OutlineRow & { topic: string; partition: number; offset: string }>(AT, [
    entries.map(({ appendTime }) => new Date(appendTime).toISOString()),
    entries.map(({ topic }) => topic),
    entries.map(({ partition }) => partition),
    entries.map(({ offset }) => offset),
  ]);
  return rows.map((row) => ({
    topic: row.topic,
    partition: row.partition,
    offset: Number(row.offset),
    outline: outlineIn(row),
  }));
}

/** Every part of it is a step along an index; the first of a partition may lie behind others that are older. */
const FIRST_SINCE = `
  SELECT topic, "partition", min("offset") AS "offset" FROM record.history
  WHERE append_time >= $2 AND topic = ANY($1::text[]) AND gap_until IS NULL GROUP BY topic, "partition"`;

const PLACES = `
  SELECT "offset", append_time, intent_id FROM record.history
  WHERE gap_until IS NULL AND topic = $1 AND "partition" = $2 AND "offset" >= $3 AND "offset" < $4
  ORDER BY "offset" LIMIT ${String(PLACES_PER_PAGE)}`;

const ABOUT = `
  SELECT entry.*, kind, decision_id, action_digest, valid_until
  FROM (
    SELECT topic, "partition", "offset", append_time, agent_id, intent_id, outcome FROM record.history
    WHERE intent_id = ANY($1::text[]) AND topic = ANY($2::text[]) OFFSET 0
  ) AS entry
  LEFT JOIN record.outline ON ${OF_ENTRY}`;

interface AboutRow extends OutlineRow {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly append_time: Date;
  readonly agent_id: string | null;
  readonly intent_id: string | null;
  readonly outcome: string | null;
}

function entryIn(row: AboutRow): OutlinedEntry {
  return {
    topic: row.topic,
    partition: row.partition,
    offset: Number(row.offset),
    appendTime: row.append_time.getTime(),
    agentId: row.agent_id,
    intentId: row.intent_id,
    outcome: row.outcome,
    outline: outlineIn(row),
  };
}

/** What search columns and `record.outline` say: nothing is opened, and no content is read. */
export class PostgresOutlines implements Outlines {
  constructor(
    private readonly query: Query,
    private readonly snapshot: (work: (query: Query) => Promise<void>) => Promise<void>,
  ) {}

  async firstSince(topics: readonly string[], from: number): Promise<readonly Position[]> {
    const rows = await this.query<{ topic: string; partition: number; offset: string }>(FIRST_SINCE, [
      topics,
      new Date(from),
    ]);
    return rows.map(({ topic, partition, offset }) => ({ topic, partition, offset: Number(offset) }));
  }

  places({ topic, partition, from, to }: PartitionRun): AsyncIterable<readonly PlaceOfEntry[]> {
    return pages<PlaceOfEntry>(async (last) => {
      const rows = await this.query<Pick<AboutRow, 'offset' | 'append_time' | 'intent_id'>>(PLACES, [
        topic,
        partition,
        last === undefined ? from : last.offset + 1,
        to ?? Number.MAX_SAFE_INTEGER,
      ]);
      return rows.map(({ offset, append_time, intent_id }) => ({
        topic,
        partition,
        offset: Number(offset),
        appendTime: append_time.getTime(),
        intentId: intent_id,
      }));
    }, PLACES_PER_PAGE);
  }

  async outlinesAbout(intentIds: readonly string[], read: (page: readonly OutlinedEntry[]) => void): Promise<void> {
    const parameters = [intentIds.map(searchTerm), RECONCILED_TOPICS];
    // Almost always there is little: that takes one statement.
    const most = ENTRIES_PER_PAGE + intentIds.length * ENTRIES_PER_INTENT;
    const few = await this.query<AboutRow>(`${ABOUT} LIMIT ${String(most + 1)}`, parameters);
    if (few.length <= most) {
      if (few.length > 0) read(few.map(entryIn));
      return;
    }
    await this.snapshot(async (query) => {
      await query(`DECLARE outlines NO SCROLL CURSOR FOR ${ABOUT}`, parameters);
      for (;;) {
        const rows = await query<AboutRow>(`FETCH ${String(most)} FROM outlines`, []);
        if (rows.length > 0) read(rows.map(entryIn));
        if (rows.length < most) return;
      }
    });
  }

  async forgetOutlines(before: number): Promise<void> {
    await this.query('DELETE FROM record.outline WHERE append_time < $1', [new Date(before)]);
  }
}

/** An intent, a hold, a decision and a report, and then some. */
const ENTRIES_PER_INTENT = 8;
