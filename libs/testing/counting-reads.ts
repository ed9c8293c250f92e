import type { History, HistoryEntry } from '#record';

/** Counts, from now on, the entries that a history hands out whole, so opened: all of them, and the most at once. */
export function countingReads(history: History): { readonly entries: number; readonly atOnce: number } {
  const counted = { entries: 0, atOnce: 0 };
  const { aboutIntents, partition, at } = history;
  const count = (page: readonly HistoryEntry[]): void => {
    counted.entries += page.length;
    counted.atOnce = Math.max(counted.atOnce, page.length);
  };
  history.aboutIntents = (ids, read) =>
    aboutIntents.call(history, ids, (page) => {
      count(page);
      read(page);
    });
  history.partition = async function* (run) {
    for await (const page of partition.call(history, run)) {
      count(page);
      yield page;
    }
  };
  history.at = async (positions) => {
    const entries = await at.call(history, positions);
    count(entries);
    return entries;
  };
  return counted;
}
