import { TOPICS } from '#contracts';
import { placeKey, placeName, type Outline } from '#domain';
import type { Query } from './intent-keys.js';
import { openRows, ROW_COLUMNS, type HistoryRow } from './history-rows.js';
import { outlineOfMessage, outlinesAt } from './outlines.js';
import { RecordConnection } from './record-connection.js';
import type { RecordDatabaseOptions } from './record-database.js';
import { searchTermsOf } from './search-terms.js';
import type { SearchTerms } from './history.js';

const TOPICS_COUNTED = [TOPICS.agentActions.name, TOPICS.agentDecisions.name, TOPICS.agentOutcomes.name];

const COUNTS = ['intents', 'allowed', 'denied', 'held', 'executed', 'failed', 'rolled_back'] as const;

/** What one agent did on one day (UTC): one row per agent and day, from search columns alone, so that it outlives erasure. */
export interface AgentDay {
  readonly agentId: string;
  /** `2026-11-24` */
  readonly day: string;
  readonly intents: number;
  readonly allowed: number;
  readonly denied: number;
  readonly held: number;
  readonly executed: number;
  readonly failed: number;
  readonly rolledBack: number;
}

/** The one definition of the projection: what goes on from a position and what is built anew are the same words. */
const fold = (entries: string): string => `
  SELECT agent_id, (append_time AT TIME ZONE 'UTC')::date AS day,
    count(*) FILTER (WHERE topic = '${TOPICS.agentActions.name}')                               AS intents,
    count(*) FILTER (WHERE topic = '${TOPICS.agentDecisions.name}' AND outcome = 'allow')       AS allowed,
    count(*) FILTER (WHERE topic = '${TOPICS.agentDecisions.name}' AND outcome = 'deny')        AS denied,
    count(*) FILTER (WHERE topic = '${TOPICS.agentDecisions.name}' AND outcome = 'hold')        AS held,
    count(*) FILTER (WHERE topic = '${TOPICS.agentOutcomes.name}' AND outcome = 'executed')     AS executed,
    count(*) FILTER (WHERE topic = '${TOPICS.agentOutcomes.name}' AND outcome = 'failed')       AS failed,
    count(*) FILTER (WHERE topic = '${TOPICS.agentOutcomes.name}' AND outcome = 'rolled-back')  AS rolled_back
  FROM ${entries}
  WHERE agent_id IS NOT NULL
  GROUP BY agent_id, day`;

const ADVANCE = `
  INSERT INTO record.agent_day (agent_id, day, ${COUNTS.join(', ')})
  ${fold(`(SELECT * FROM record.history
    WHERE topic = $1 AND "partition" = $2 AND "offset" >= $3 AND "offset" < $4) AS added`)}
  ON CONFLICT (agent_id, day) DO UPDATE SET ${COUNTS.map((count) => `${count} = agent_day.${count} + EXCLUDED.${count}`).join(', ')}`;

const ENTRIES_AT_ONCE = 50_000;

const UNTIL = `
  SELECT "offset" FROM record.history
  WHERE topic = $1 AND "partition" = $2 AND "offset" >= $3 AND "offset" < $4
  ORDER BY "offset" OFFSET ${String(ENTRIES_AT_ONCE)} LIMIT 1`;

const BEHIND = `
  SELECT head.topic, head."partition", head.next FROM record.chain_head AS head
  LEFT JOIN record.projection_position AS done
    ON done.topic = head.topic AND done."partition" = head."partition"
  WHERE head.topic = ANY($1::text[]) AND head.next > coalesce(done.next, 0)
  ORDER BY head.topic, head."partition"`;

const REBUILT = fold(`(SELECT history.* FROM record.history
  JOIN record.projection_position AS done
    ON done.topic = history.topic AND done."partition" = history."partition" AND history."offset" < done.next) AS kept`);

/** Months that were dropped cannot be built anew: their days stay as they were. */
const FIRST_DAY = `
  SELECT CASE WHEN EXISTS (SELECT FROM record.retention)
    THEN coalesce((SELECT date_trunc('month', min(append_time) AT TIME ZONE 'UTC')::date FROM record.history), 'infinity')
    ELSE '-infinity'::date END`;

const DIFFERENCES = `
  WITH rebuilt AS (${REBUILT}),
    live AS (SELECT agent_id, day, ${COUNTS.join(', ')} FROM record.agent_day WHERE day >= (${FIRST_DAY})),
    lost AS (SELECT * FROM rebuilt EXCEPT SELECT * FROM live),
    extra AS (SELECT * FROM live EXCEPT SELECT * FROM rebuilt)
  SELECT agent_id AS "agentId", day::text FROM lost UNION SELECT agent_id, day::text FROM extra ORDER BY 1, 2 LIMIT 100`;

const REPLACE = [
  `DELETE FROM record.agent_day WHERE day >= (${FIRST_DAY})`,
  `INSERT INTO record.agent_day (agent_id, day, ${COUNTS.join(', ')}) ${REBUILT}`,
];

const HEADS = `
  SELECT head.topic, head."partition", head.next, head.hash,
    last."offset" IS NULL OR coalesce(last.gap_until, last."offset" + 1) <> head.next OR last.hash <> head.hash AS differs
  FROM record.chain_head AS head LEFT JOIN LATERAL (
    SELECT "offset", gap_until, hash FROM record.history
    WHERE topic = head.topic AND "partition" = head."partition" ORDER BY "offset" DESC LIMIT 1
  ) AS last ON true
  WHERE head.next > coalesce((SELECT kept_from FROM record.retention
    WHERE topic = head.topic AND "partition" = head."partition"), 0)
  ORDER BY head.topic, head."partition"`;

const ROWS_PER_PAGE = 500;
const MOST_DIFFERENCES = 100;

/** What building everything anew has shown. Without differences, live and rebuilt are identical. */
export interface Rebuilding {
  readonly agentDays: { readonly days: number; readonly differences: readonly string[] };
  readonly chainHeads: { readonly heads: number; readonly differences: readonly string[] };
  /** Search columns, and outlines where there are any, against what the stored messages say. */
  readonly searchColumns: {
    readonly entries: number;
    /** Not comparable: their keys were destroyed. */
    readonly erased: number;
    readonly differences: readonly string[];
  };
}

/** Whatever is derived from the history: kept up to date, and built anew to be compared. */
export class Projections {
  readonly #record: RecordConnection;
  /** For statements over all of the record: however large it is, they are not cut off. */
  readonly #whole: RecordConnection;

  constructor(options: RecordDatabaseOptions) {
    this.#record = new RecordConnection(options, 'projector');
    this.#whole = new RecordConnection({ ...options, statementMs: null }, 'projector');
  }

  /** Takes in what has been stored since the last time. Safe to repeat and to race. */
  async advance(): Promise<void> {
    const behind = await this.#record.query<{ topic: string; partition: number; next: string }>(BEHIND, [
      TOPICS_COUNTED,
    ]);
    for (const { topic, partition, next } of behind) await this.#advance(topic, partition, next);
  }

  /** What one or all agents did, by day. */
  async agentDays(agentId?: string): Promise<readonly AgentDay[]> {
    const rows = await this.#record.query<Record<string, string>>(
      `SELECT agent_id AS "agentId", day::text, ${COUNTS.join(', ')} FROM record.agent_day
       WHERE $1::text IS NULL OR agent_id = $1 ORDER BY day, agent_id`,
      [agentId ?? null],
    );
    return rows.map((row) => ({
      agentId: row['agentId'] ?? '',
      day: row['day'] ?? '',
      intents: Number(row['intents']),
      allowed: Number(row['allowed']),
      denied: Number(row['denied']),
      held: Number(row['held']),
      executed: Number(row['executed']),
      failed: Number(row['failed']),
      rolledBack: Number(row['rolled_back']),
    }));
  }

  /** Builds everything anew, beside what is there, and says where the two differ. Changes nothing. */
  async rebuild(): Promise<Rebuilding> {
    const { agentDays, chainHeads } = await this.#whole.snapshot(async (query) => {
      const [live] = await query<{ days: string }>('SELECT count(*) AS days FROM record.agent_day', []);
      const days = await query<{ agentId: string; day: string }>(DIFFERENCES, []);
      const heads = await query<{ topic: string; partition: number; differs: boolean }>(HEADS, []);
      return {
        agentDays: {
          days: Number(live?.days ?? 0),
          differences: days.map(({ agentId, day }) => `${agentId} on ${day}`),
        },
        chainHeads: {
          heads: heads.length,
          differences: heads
            .filter(({ differs }) => differs)
            .map(({ topic, partition }) => `${topic}/${String(partition)}`),
        },
      };
    });
    return { agentDays, chainHeads, searchColumns: await this.#compareSearchColumns() };
  }

  /** Puts the agents' days as built anew in the place of those that were there. */
  async replaceAgentDays(): Promise<void> {
    await this.#whole.snapshot(async (query) => {
      for (const statement of REPLACE) await query(statement, []);
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#record.close(), this.#whole.close()]);
  }

  async #advance(topic: string, partition: number, next: string): Promise<void> {
    await this.#record.query(
      'INSERT INTO record.projection_position (topic, "partition", next) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING',
      [topic, partition],
    );
    while (await this.#advanceOnce(topic, partition, next));
  }

  /** Takes in so many entries that it is soon done, however far it is behind. `false`: there is nothing left to take. */
  #advanceOnce(topic: string, partition: number, next: string): Promise<boolean> {
    return this.#record.transaction(async (query) => {
      const [done] = await query<{ next: string }>(
        'SELECT next FROM record.projection_position WHERE topic = $1 AND "partition" = $2 FOR UPDATE',
        [topic, partition],
      );
      if (done === undefined || Number(done.next) >= Number(next)) return false;
      const [until] = await query<{ offset: string }>(UNTIL, [topic, partition, done.next, next]);
      const to = until?.offset ?? next;
      await query(ADVANCE, [topic, partition, done.next, to]);
      await query('UPDATE record.projection_position SET next = $3 WHERE topic = $1 AND "partition" = $2', [
        topic,
        partition,
        to,
      ]);
      return true;
    });
  }

  async #compareSearchColumns(): Promise<Rebuilding['searchColumns']> {
    let entries = 0;
    let erased = 0;
    const differences: string[] = [];
    for await (const page of allRows(this.#record.query)) {
      const opened = await openRows(page, this.#record.intentKeys, this.#record.query);
      const outlines = new Map(
        (await outlinesAt(this.#record.query, opened)).map(({ outline, ...place }) => [placeKey(place), outline]),
      );
      for (const entry of opened) {
        entries += 1;
        if (entry.erased === true) {
          erased += 1;
          continue;
        }
        const said = searchTermsOf(entry);
        const outline = outlines.get(placeKey(entry));
        const differs =
          (Object.keys(said) as (keyof SearchTerms)[]).some((term) => said[term] !== entry[term]) ||
          (outline !== undefined && !isSame(outline, outlineOfMessage(entry, entry)));
        if (differs && differences.length < MOST_DIFFERENCES) {
          differences.push(placeName(entry));
        }
      }
    }
    return { entries, erased, differences };
  }
}

function isSame(stored: Outline, said: Outline | undefined): boolean {
  return said !== undefined && (Object.keys(said) as (keyof Outline)[]).every((one) => said[one] === stored[one]);
}

async function* allRows(query: Query): AsyncGenerator<readonly HistoryRow[]> {
  let after: readonly [string, number, string] = ['', 0, '-1'];
  for (;;) {
    const rows = await query<HistoryRow>(
      `SELECT ${ROW_COLUMNS} FROM record.history
       WHERE gap_until IS NULL AND (topic, "partition", "offset") > ($1::text, $2::integer, $3::bigint)
       ORDER BY topic, "partition", "offset" LIMIT ${String(ROWS_PER_PAGE)}`,
      after,
    );
    if (rows.length > 0) yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < ROWS_PER_PAGE) return;
    after = [last.topic, last.partition, last.offset];
  }
}
