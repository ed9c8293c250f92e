/** Entries of one page. */
export const ENTRIES_PER_PAGE = 500;

/** Entries of one page of which nothing but their places is read. */
export const PLACES_PER_PAGE = 1000;

/** Page after page until one is not full. `next` reads the page behind an entry. */
export async function* pages<Entry>(
  next: (after: Entry | undefined) => Promise<readonly Entry[]>,
  perPage = ENTRIES_PER_PAGE,
): AsyncGenerator<readonly Entry[]> {
  let after: Entry | undefined;
  for (;;) {
    const page = await next(after);
    after = page.at(-1);
    if (after === undefined) return;
    yield page;
    if (page.length < perPage) return;
  }
}
