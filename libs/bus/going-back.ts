import type { BatchTransport } from './batch-transport.js';
import type { Bus } from './bus.js';

/** The next offset of a partition that is read. */
interface NextToRead {
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
}

/**
 * One look: whatever the consumer group has committed, reading goes back to where the database really is, or to where
 * the log now begins. `storedUpTo` asks for the next offset that the database wants of a partition. Returns where
 * reading goes back, and to which offset.
 */
export async function goBackToStored(
  transport: Pick<BatchTransport, 'positions' | 'goBack'>,
  bus: Pick<Bus, 'starts'>,
  storedUpTo: () => Promise<(topic: string, partition: number) => number>,
): Promise<readonly NextToRead[]> {
  // asked first: what is stored meanwhile only makes the database look further than it was
  const reading = [...transport.positions()].map(([topic, partitions]) => [topic, [...partitions]] as const);
  const nextOf = await storedUpTo();
  const behind = reading.flatMap(([topic, partitions]) =>
    partitions.flatMap(([partition, position]) => {
      const next = nextOf(topic, partition);
      return next < position ? [{ topic, partition, next, position }] : [];
    }),
  );
  if (behind.length === 0) return [];
  const starts = await bus.starts([...new Set(behind.map(({ topic }) => topic))]);
  return behind.flatMap(({ topic, partition, next: stored, position }) => {
    const next = Math.max(stored, starts.get(topic)?.[partition] ?? 0);
    if (next >= position) return [];
    transport.goBack(topic, partition, next);
    return [{ topic, partition, next }];
  });
}
