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

/** A log that can tell where a message lies. */
export interface SearchableLog {
  /** As `Bus.firstBetween`. */
  firstBetween(topic: string, partition: number, from: number, to: number): Promise<number | undefined>;
}

/** So many offsets behind the audit log's last one may turn out to hold no message; of more, some certainly do. */
const MAX_TRAILING = 1000;

/**
 * {@link notStored}, without what never becomes an entry: a transaction marker behind the last message of a partition
 * takes an offset, so the audit log has all there is when it is one short of the end. Only the log knows, so it is asked
 * where a partition has stood still since the last call, once for each place.
 */
export class TrulyNotStored {
  readonly #last = new Map<string, number>();
  /** What lies behind a stored position: no message before `emptyTo`, and one at `firstAt` where that is known. */
  readonly #known = new Map<string, { readonly from: number; readonly emptyTo: number; readonly firstAt?: number }>();

  constructor(private readonly log: SearchableLog) {}

  /** `atOnce`: the log is asked whether or not a partition has stood still. */
  async count(
    ends: ReadonlyMap<string, readonly number[]>,
    stored: StoredPositions,
    { atOnce = false } = {},
  ): Promise<ReadonlyMap<string, readonly number[]>> {
    const counts = new Map<string, number[]>();
    for (const [topic, missing] of notStored(ends, stored)) {
      const truly: number[] = [];
      for (const [partition, count] of missing.entries()) {
        const from = stored.get(topic)?.[partition] ?? 0;
        truly.push(await this.#truly(topic, partition, from, count, atOnce));
      }
      counts.set(topic, truly);
    }
    return counts;
  }

  async #truly(topic: string, partition: number, from: number, count: number, atOnce: boolean): Promise<number> {
    const where = `${topic}/${String(partition)}`;
    const stoodStill = this.#last.get(where) === from;
    this.#last.set(where, from);
    if (count === 0 || count > MAX_TRAILING) return count;
    const to = from + count;
    const known = this.#known.get(where);
    if (known?.from === from) {
      if (known.firstAt !== undefined) return count;
      if (known.emptyTo >= to) return 0;
    }
    if (!stoodStill && !atOnce) return count;
    const firstAt = await this.log.firstBetween(topic, partition, from, to);
    this.#known.set(where, { from, emptyTo: to, ...(firstAt === undefined ? {} : { firstAt }) });
    return firstAt === undefined ? 0 : count;
  }
}
