import type { HistoryCursor, HistoryEntry, Position } from './history.js';

/** What to read of the history, in append order. All conditions must hold. */
export interface HistoryStream {
  readonly topics: readonly string[];
  /** Appended at or after, ms since the epoch. */
  readonly from?: number | undefined;
  /** Appended before, ms since the epoch. */
  readonly to?: number | undefined;
  readonly agentId?: string | undefined;
  /** Where an earlier reading has stopped: it goes on behind this entry. */
  readonly after?: HistoryCursor | undefined;
}

/** A run of one partition, by offset. */
export interface PartitionRun {
  readonly topic: string;
  readonly partition: number;
  /** From this offset on … */
  readonly from: number;
  /** … and before this one; else to the end. */
  readonly to?: number | undefined;
}

/**
 * Reading history in bulk, in constant memory: pages follow each other by key, so nothing is skipped or shown twice
 * while history grows. Part of the port {@link import('./history.js').History}; errors are the same.
 */
export interface HistoryReading {
  /** In the order of append time, then topic (by code point), partition and offset. No page is empty. */
  stream(stream: HistoryStream): AsyncIterable<readonly HistoryEntry[]>;
  /** In the order of offsets. No page is empty. */
  partition(run: PartitionRun): AsyncIterable<readonly HistoryEntry[]>;
  /** What lies at these positions, in any order; positions where nothing is stored are left out. */
  at(positions: readonly Position[]): Promise<readonly HistoryEntry[]>;
  /** Everything that says it is about one of these intents, in append order. */
  aboutIntents(intentIds: readonly string[]): Promise<readonly HistoryEntry[]>;
}

/** Entries of one page. */
export const ENTRIES_PER_PAGE = 500;

/** Page after page until one is not full. `next` reads the page behind an entry. */
export async function* pages(
  next: (after: HistoryEntry | undefined) => Promise<readonly HistoryEntry[]>,
): AsyncGenerator<readonly HistoryEntry[]> {
  let after: HistoryEntry | undefined;
  for (;;) {
    const page = await next(after);
    after = page.at(-1);
    if (after === undefined) return;
    yield page;
    if (page.length < ENTRIES_PER_PAGE) return;
  }
}
