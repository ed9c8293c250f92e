import { goBackToStored, type BatchTransport, type Bus } from '#bus';
import { AUDIT_LOG_READER, type ReaderPosition } from '#domain';
import type { History } from '#record';
import { NotHeld } from './ingestion.js';

/** What the audit log holds, as positions of a reader. Partitions of which it holds nothing are left out. */
export async function auditPositions(history: Pick<History, 'positions'>): Promise<readonly ReaderPosition[]> {
  return [...(await history.positions())].flatMap(([topic, partitions]) =>
    partitions.flatMap((next, partition) => (next === 0 ? [] : [{ reader: AUDIT_LOG_READER, topic, partition, next }])),
  );
}

/**
 * Reads on where the database really is, whatever the consumer group has committed: a database that was restored from
 * a backup gets everything again that the log still has.
 */
export class ReadingOn {
  constructor(
    private readonly history: Pick<History, 'positions'>,
    private readonly transport: Pick<BatchTransport, 'positions' | 'goBack'>,
    private readonly bus: Pick<Bus, 'starts'>,
    private readonly notHeld: Pick<NotHeld, 'goesOnAt'> = new NotHeld(),
  ) {}

  /** One look. Returns where reading goes back, and to which offset. */
  async look(): Promise<readonly ReaderPosition[]> {
    const places = await goBackToStored(this.transport, this.bus, async () => {
      const stored = await this.history.positions();
      return (topic, partition) => this.notHeld.goesOnAt(topic, partition, stored.get(topic)?.[partition] ?? 0);
    });
    return places.map((place) => ({ reader: AUDIT_LOG_READER, ...place }));
  }
}
