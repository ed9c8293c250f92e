import type { StoredPositions } from './history.js';

/**
 * How many messages of each partition lie on the log and not in the record, by topic. `ends`: the offsets after the last
 * message of each partition.
 */
export function notStored(
  ends: ReadonlyMap<string, readonly number[]>,
  stored: StoredPositions,
): ReadonlyMap<string, readonly number[]> {
  return new Map(
    [...ends].map(([topic, offsets]) => [
      topic,
      offsets.map((end, partition) => Math.max(0, end - (stored.get(topic)?.[partition] ?? 0))),
    ]),
  );
}
