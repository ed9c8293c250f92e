import type { KeyObject } from 'node:crypto';
import type { HistoryEntry } from './history.js';
import type { IntentKeys, Query } from './intent-keys.js';
import { openContent } from './sealing.js';
import { headersFromText } from './stored-headers.js';

/** A row of `record.history` as the driver hands it out. */
export interface HistoryRow {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly append_time: Date;
  readonly key_id: string | null;
  readonly key: Buffer | null;
  readonly headers: string | null;
  readonly value: Buffer | null;
  readonly event_type: string | null;
  readonly event_id: string | null;
  readonly agent_id: string | null;
  readonly intent_id: string | null;
  readonly chain_id: string | null;
  readonly action_type: string | null;
  readonly target: string | null;
  readonly outcome: string | null;
  readonly trace_id: string | null;
}

/** The columns of a {@link HistoryRow}. */
export const ROW_COLUMNS = `topic, "partition", "offset", append_time, key_id, key, headers, value, event_type,
  event_id, agent_id, intent_id, chain_id, action_type, target, outcome, trace_id`;

/** The order of history. */
export const APPEND_ORDER = 'append_time, topic, "partition", "offset"';

function contentOf(
  row: HistoryRow,
  keys: ReadonlyMap<string, KeyObject>,
): Pick<HistoryEntry, 'headers' | 'value' | 'erased'> {
  if (row.key_id === null) return { headers: headersFromText(row.headers ?? '[]'), value: row.value };
  const key = keys.get(row.key_id);
  if (key === undefined || row.value === null) return { headers: {}, value: null, erased: true };
  const { headers, value } = openContent(key, row.value, { ...row, offset: Number(row.offset) });
  return { headers: headersFromText(headers), value };
}

/** Rows as entries, opened with their keys. Where the key was destroyed, the entry is `erased`. */
export async function openRows(
  rows: readonly HistoryRow[],
  keys: IntentKeys,
  query: Query,
): Promise<readonly HistoryEntry[]> {
  const ids = rows.flatMap(({ key_id }) => key_id ?? []);
  const found = ids.length === 0 ? new Map<string, KeyObject>() : await keys.withIds(query, ids);
  return rows.map((row) => ({
    topic: row.topic,
    partition: row.partition,
    offset: Number(row.offset),
    appendTime: row.append_time.getTime(),
    key: row.key,
    ...contentOf(row, found),
    eventType: row.event_type,
    eventId: row.event_id,
    agentId: row.agent_id,
    intentId: row.intent_id,
    chainId: row.chain_id,
    actionType: row.action_type,
    target: row.target,
    outcome: row.outcome,
    traceId: row.trace_id,
  }));
}
