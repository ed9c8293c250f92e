import type { History, HistoryEntry } from '#record';

/** Counts, from now on, the entries that a history hands out whole, so opened: all of them, and the most at once. */
export function countingReads(history: History): { readonly entries: number; readonly atOnce: number } {
  const counted = { entries: 0, atOnce: 0 };
  const aboutIntents = history.aboutIntents.bind(history);
  const partition = history.partition.bind(history);
  const at = history.at.bind(history);
  const count = (page: readonly HistoryEntry[]): void => {
    counted.entries += page.length;
    counted.atOnce = Math.max(counted.atOnce, page.length);
  };
  history.aboutIntents = (ids, read) =>
    aboutIntents(ids, (page) => {
      count(page);
      read(page);
    });
  history.partition = async function* (run) {
    for await (const page of partition(run)) {
      count(page);
      yield page;
    }
  };
  history.at = async (positions) => {
    const entries = await at(positions);
    count(entries);
    return entries;
  };
  return counted;
}
