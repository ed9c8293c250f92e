import type { Batch, BatchResult } from '#bus';
import type { History } from '#record';
import { FOLLOWED_TOPICS, type MessageVerifier } from '#signing';

/**
 * Stores every message of the batch as it came, readable or not, and publishes nothing but dead letters: of messages
 * without a right signature on topics that no consumer group works off. When the database is away it
 * throws `REMIT_RECORD_UNAVAILABLE`: the batch stays uncommitted, the bus brings it again and audit catches up.
 */
export async function ingest(history: History, batch: Batch, verifier?: MessageVerifier): Promise<BatchResult> {
  await history.append(batch.messages);
  if (verifier === undefined || !FOLLOWED_TOPICS.has(batch.topic)) return { publish: [], unreadable: [] };
  const unreadable = batch.messages.flatMap((message) => {
    const verification = verifier.verify(message);
    return verification.ok ? [] : [{ message, code: verification.code, reason: verification.reason }];
  });
  return { publish: [], unreadable };
}
