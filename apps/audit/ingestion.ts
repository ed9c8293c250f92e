import { BusError, outlookOf, type Batch, type BatchHandler, type BatchResult, type Bus } from '#bus';
import { sha256 } from '#contracts';
import { AUDIT_LOG_READER, logDiscrepancy } from '#domain';
import { BehindReader, type History, type PartitionReading } from '#record';
import type { LogWatch } from '#service';
import { FOLLOWED_TOPICS, type MessageVerifier } from '#signing';

/**
 * Messages that the audit log could not hold, as this process has seen: each was alone in its batch when it failed. When
 * reading goes on behind one, it was given up, and is a dead letter: it leaves a hole that is known.
 */
export class NotHeld {
  readonly #ranges = new Map<string, { readonly from: number; readonly to: number }>();

  failed({ topic, partition, messages }: Pick<Batch, 'topic' | 'partition' | 'messages'>): void {
    const [message] = messages;
    if (message === undefined || messages.length > 1) return;
    const { offset } = message;
    const where = `${topic}/${String(partition)}`;
    const known = this.#ranges.get(where);
    if (known !== undefined && known.from <= offset && offset < known.to) return;
    this.#ranges.set(where, { from: known?.to === offset ? known.from : offset, to: offset + 1 });
  }

  /** Where the audit log, which holds a partition up to `next`, goes on once what it cannot hold has been given up. */
  goesOnAt(topic: string, partition: number, next: number): number {
    const known = this.#ranges.get(`${topic}/${String(partition)}`);
    return known !== undefined && known.from <= next && next < known.to ? known.to : next;
  }
}

/** {@link ingestion} of one batch, where nobody can say of a hole whether the log still has what is missing. */
export async function ingest(
  history: Pick<History, 'append'>,
  batch: Batch,
  verifier?: MessageVerifier,
  gone?: PartitionReading['gone'],
): Promise<BatchResult> {
  await history.append(batch.messages, { from: batch.readFrom, gone });
  if (verifier === undefined || !FOLLOWED_TOPICS.has(batch.topic)) return { publish: [], unreadable: [] };
  const unreadable = batch.messages.flatMap((message) => {
    const verification = verifier.verify(message);
    return verification.ok ? [] : [{ message, code: verification.code, reason: verification.reason }];
  });
  return { publish: [], unreadable };
}

/**
 * Stores every message of the batch as it came, readable or not, and publishes nothing but dead letters: of messages
 * without a right signature on topics that no consumer group works off. When the database is away it throws
 * `REMIT_RECORD_UNAVAILABLE`: the batch stays uncommitted, the bus brings it again and audit catches up. Where
 * the database does not reach to where the batch begins, nothing is stored over the hole: it throws, and the partition
 * is read again from where the database is; what the log has no more waits until a person has acknowledged it.
 */
export function ingestion(
  history: Pick<History, 'append'>,
  bus: Pick<Bus, 'starts'>,
  watch: Pick<LogWatch, 'found' | 'knownAs'>,
  verifier?: MessageVerifier,
  notHeld = new NotHeld(),
): BatchHandler {
  /** Throws when the messages that are missing are still there, or nobody has acknowledged that they are not. */
  async function known({ topic, partition, next }: BehindReader, readFrom: number): Promise<PartitionReading['gone']> {
    if (notHeld.goesOnAt(topic, partition, next) >= readFrom) return { from: next, to: readFrom };
    const start = (await bus.starts([topic])).get(topic)?.[partition] ?? 0;
    if (start < readFrom) return undefined;
    const gone = { from: next, to: readFrom };
    // of a partition that was never read, nobody knows what it has held
    if (next === 0) return gone;
    const cut = { kind: 'log-cut', topic, partition, reader: AUDIT_LOG_READER, from: next, to: readFrom } as const;
    const discrepancy = logDiscrepancy(cut, sha256);
    await watch.found(discrepancy);
    if (watch.knownAs(discrepancy)?.acknowledged !== undefined) return gone;
    throw new BusError(
      'REMIT_BUS_HELD',
      `messages of ${topic}/${String(partition)} were deleted before they were stored: the audit log waits until somebody ` +
        `has acknowledged it (remit log acknowledge ${discrepancy.id})`,
    );
  }

  const overKnownHoles: BatchHandler = async (batch) => {
    try {
      return await ingest(history, batch, verifier);
    } catch (error) {
      if (!(error instanceof BehindReader)) throw error;
      const gone = await known(error, batch.readFrom);
      if (gone === undefined) throw error;
      return ingest(history, batch, verifier, gone);
    }
  };

  return async (batch) => {
    try {
      return await overKnownHoles(batch);
    } catch (error) {
      // else it is tried until it succeeds
      if (outlookOf(error) !== 'later') notHeld.failed(batch);
      throw error;
    }
  };
}
