import type { BatchTransport, Bus } from '#bus';
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
    // asked first: what is stored meanwhile only makes the database look further than it was
    const reading = [...this.transport.positions()].map(([topic, partitions]) => [topic, [...partitions]] as const);
    const stored = await this.history.positions();
    const behind = reading.flatMap(([topic, partitions]) =>
      partitions.flatMap(([partition, position]) => {
        const next = this.notHeld.goesOnAt(topic, partition, stored.get(topic)?.[partition] ?? 0);
        return next < position ? [{ reader: AUDIT_LOG_READER, topic, partition, next, position }] : [];
      }),
    );
    if (behind.length === 0) return [];
    const starts = await this.bus.starts([...new Set(behind.map(({ topic }) => topic))]);
    return behind.flatMap(({ position, ...place }) => {
      const next = Math.max(place.next, starts.get(place.topic)?.[place.partition] ?? 0);
      if (next >= position) return [];
      this.transport.goBack(place.topic, place.partition, next);
      return [{ ...place, next }];
    });
  }
}
