import type { StoredPositions } from './history.js';

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
