import {
  canonicalJson,
  checkpointBodySchema,
  type ChainedEntry,
  type Checkpoint,
  type EntryTerms,
  type PartitionName,
  type RecordSource,
} from '#domain';
import type { Query } from './intent-keys.js';

/** A row with every column exactly as it is stored: times to the microsecond, nothing opened. */
interface StoredRow extends EntryTerms {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly appendTime: string;
  readonly gapUntil: string | null;
  readonly keyId: string | null;
  readonly key: Buffer | null;
  readonly headers: string | null;
  readonly value: Buffer | null;
  readonly hash: Buffer;
}

const STORED_COLUMNS = `topic, "partition", "offset", extract(epoch FROM append_time) * 1000 AS "appendTime",
  gap_until AS "gapUntil", key_id AS "keyId", key, headers, value, event_type AS "eventType", event_id AS "eventId",
  agent_id AS "agentId", intent_id AS "intentId", chain_id AS "chainId", action_type AS "actionType", target, outcome,
  trace_id AS "traceId", hash`;

const ROWS_PER_PAGE = 1000;

const PARTITIONS = `
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
  SELECT topic, "partition" FROM stored ORDER BY topic, "partition"`;

const PAGE = `
  SELECT ${STORED_COLUMNS} FROM record.history
  WHERE topic = $1 AND "partition" = $2 AND ("offset", append_time) > ($3::bigint, $4::timestamptz)
  ORDER BY "offset", append_time LIMIT ${String(ROWS_PER_PAGE)}`;

const EVENTS_BY_ID = `
  SELECT ${STORED_COLUMNS} FROM record.history WHERE event_id = $1 ORDER BY append_time, topic, "partition", "offset"`;

const AT = `
  SELECT ${STORED_COLUMNS} FROM record.history
  WHERE (topic, "partition", "offset") IN (SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[]))
  ORDER BY append_time, topic, "partition", "offset"`;

const CHECKPOINTS_PER_PAGE = 200;

function entryOf(row: StoredRow): ChainedEntry {
  return {
    ...row,
    offset: Number(row.offset),
    appendTime: Number(row.appendTime),
    gapUntil: row.gapUntil === null ? null : Number(row.gapUntil),
  };
}

export interface CheckpointRow {
  readonly epoch: string;
  readonly body: string;
  readonly signature: Buffer;
}

/** Carries no valid signature, whatever key is trusted: the verifier names the epoch. */
function unreadableCheckpoint(epoch: number): Checkpoint {
  const nothing = '0'.repeat(64);
  const noKey = Buffer.alloc(32).toString('base64');
  return {
    body: {
      format: 'remit.checkpoint/1',
      record: '00000000-0000-0000-0000-000000000000',
      epoch,
      closedAt: new Date(0).toISOString(),
      previous: null,
      entries: 0,
      root: nothing,
      heads: [],
      key: noKey,
    },
    signature: '',
  };
}

/** What is stored of a checkpoint. Text that is not exactly what was signed is none. */
export function checkpointOf({ epoch, body, signature }: CheckpointRow): Checkpoint {
  try {
    const parsed = checkpointBodySchema.parse(JSON.parse(body));
    if (canonicalJson(parsed) === body && parsed.epoch === Number(epoch)) {
      return { body: parsed, signature: signature.toString('base64') };
    }
  } catch {
    // It is as good as forged.
  }
  return unreadableCheckpoint(Number(epoch));
}

/** The exact time of a row, for the database to compare: `appendTime` is ms with up to three decimals. */
function momentOf({ appendTime }: StoredRow): string {
  const [ms, micros = ''] = appendTime.split('.');
  return new Date(Number(ms)).toISOString().replace('Z', `${micros.slice(0, 3)}Z`);
}

/** Everything that is stored, exactly as it is, page by page. */
export class StoredRecord implements RecordSource {
  constructor(private readonly query: Query) {}

  async *checkpoints(): AsyncGenerator<Checkpoint> {
    let after = '0';
    for (;;) {
      const rows = await this.query<CheckpointRow>(
        `SELECT epoch, body, signature FROM record.checkpoint WHERE epoch > $1 ORDER BY epoch
         LIMIT ${String(CHECKPOINTS_PER_PAGE)}`,
        [after],
      );
      for (const row of rows) yield checkpointOf(row);
      after = rows.at(-1)?.epoch ?? after;
      if (rows.length < CHECKPOINTS_PER_PAGE) return;
    }
  }

  async leaves(epoch: number, { topic, partition }: PartitionName): Promise<Uint8Array> {
    const rows = await this.query<{ hashes: Buffer }>(
      'SELECT hashes FROM record.epoch_leaves WHERE epoch = $1 AND topic = $2 AND "partition" = $3',
      [epoch, topic, partition],
    );
    return rows[0]?.hashes ?? new Uint8Array();
  }

  partitions(): Promise<readonly PartitionName[]> {
    return this.query<PartitionName>(PARTITIONS, []);
  }

  async *entries({ topic, partition }: PartitionName): AsyncGenerator<readonly ChainedEntry[]> {
    let after = ['-9223372036854775808', '-infinity'];
    for (;;) {
      const rows = await this.query<StoredRow>(PAGE, [topic, partition, ...after]);
      if (rows.length > 0) yield rows.map(entryOf);
      const last = rows.at(-1);
      if (last === undefined || rows.length < ROWS_PER_PAGE) return;
      after = [last.offset, momentOf(last)];
    }
  }

  /** The offset after the last of a partition. */
  async next(topic: string, partition: number): Promise<number> {
    const rows = await this.query<{ next: string }>(
      'SELECT next FROM record.chain_head WHERE topic = $1 AND "partition" = $2',
      [topic, partition],
    );
    return Number(rows[0]?.next ?? 0);
  }

  /** Everything stored with this event id. */
  async withEventId(eventId: string): Promise<readonly ChainedEntry[]> {
    return (await this.query<StoredRow>(EVENTS_BY_ID, [eventId])).map(entryOf);
  }

  /** What is stored at these positions. */
  async at(
    positions: readonly { readonly topic: string; readonly partition: number; readonly offset: number }[],
  ): Promise<readonly ChainedEntry[]> {
    const rows = await this.query<StoredRow>(AT, [
      positions.map(({ topic }) => topic),
      positions.map(({ partition }) => partition),
      positions.map(({ offset }) => offset),
    ]);
    return rows.map(entryOf);
  }
}
