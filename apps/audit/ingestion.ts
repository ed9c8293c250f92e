import type { Batch, BatchResult } from '#bus';
import type { History } from '#record';

const NOTHING_FOLLOWS: BatchResult = { publish: [], unreadable: [] };

/**
 * Stores every message of the batch as it came, readable or not, and publishes nothing. When the database is away it
 * throws `REMIT_RECORD_UNAVAILABLE`: the batch stays uncommitted, the bus brings it again and audit catches up.
 */
export async function ingest(history: History, batch: Batch): Promise<BatchResult> {
  await history.append(batch.messages);
  return NOTHING_FOLLOWS;
}
