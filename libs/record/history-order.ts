import type { HistoryCursor, Position, StoredPositions } from './history.js';

/** By topic (code point), partition and offset. */
export function byPosition(a: Position, b: Position): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  return a.partition - b.partition || a.offset - b.offset;
}

/** The order of history: append time, then position. */
export function byAppendTime(a: HistoryCursor, b: HistoryCursor): number {
  return a.appendTime - b.appendTime || byPosition(a, b);
}

/** The highest `next` of each partition; 0 for partitions in between of which nothing is stored. */
export function storedPositions(
  rows: Iterable<{ readonly topic: string; readonly partition: number; readonly next: number }>,
): StoredPositions {
  const positions = new Map<string, number[]>();
  for (const { topic, partition, next } of rows) {
    const ofTopic = positions.get(topic) ?? [];
    while (ofTopic.length <= partition) ofTopic.push(0);
    ofTopic[partition] = Math.max(ofTopic[partition] ?? 0, next);
    positions.set(topic, ofTopic);
  }
  return positions;
}
