import type { History } from '#record';

/** Counts, from now on, the entries that a history hands out about intents: all of them, and the most at once. */
export function countingReads(history: History): { readonly entries: number; readonly atOnce: number } {
  const counted = { entries: 0, atOnce: 0 };
  const aboutIntents = history.aboutIntents.bind(history);
  history.aboutIntents = (ids, read) =>
    aboutIntents(ids, (page) => {
      counted.entries += page.length;
      counted.atOnce = Math.max(counted.atOnce, page.length);
      read(page);
    });
  return counted;
}
