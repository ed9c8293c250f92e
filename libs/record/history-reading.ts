import type { HistoryEntry } from './history.js';

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
