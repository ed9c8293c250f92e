import { boundedMemo } from './bounded-memo.js';

/** Whether a text is in a selection. */
export type Selector = (text: string) => boolean;

/** Agents choose the texts that are looked up, so the answers kept are bounded. */
const REMEMBERED_ANSWERS = 4096;

export function hasWildcard(pattern: string): boolean {
  return pattern.includes('*');
}

/**
 * A glob over a whole text, case-sensitive: `*` stands for any run of characters, none included; every other
 * character stands for itself. Matching takes time linear in the text for each piece between two asterisks.
 */
export function compileGlob(pattern: string): Selector {
  const pieces = pattern.split('*');
  const first = pieces[0] ?? '';
  if (pieces.length === 1) return (text) => text === first;
  const last = pieces.at(-1) ?? '';
  const middle = pieces.slice(1, -1).filter((piece) => piece !== '');
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    const end = text.length - last.length;
    let from = first.length;
    for (const piece of middle) {
      const found = text.indexOf(piece, from);
      if (found === -1) return false;
      from = found + piece.length;
      if (from > end) return false;
    }
    return true;
  };
}

/** Whether a text equals one of the patterns or matches one that has a wildcard. */
export function compileSelector(patterns: readonly string[]): Selector {
  const exact = new Set(patterns.filter((pattern) => !hasWildcard(pattern)));
  const globs = patterns.filter(hasWildcard).map(compileGlob);
  if (globs.length === 0) return (text) => exact.has(text);
  if (patterns.includes('*')) return () => true;
  return boundedMemo(REMEMBERED_ANSWERS, (text: string) => exact.has(text) || globs.some((glob) => glob(text)));
}

/** Whether some text matches both of two globs. Takes time in proportion to the product of their lengths. */
export function globsMeet(one: string, other: string): boolean {
  /** Whether what is left of `one` and of `other`, from a place in each, can match one text. */
  let below: boolean[] = [];
  for (let row = one.length; row >= 0; row -= 1) {
    const current: boolean[] = [];
    for (let column = other.length; column >= 0; column -= 1) {
      const here = one[row];
      const there = other[column];
      let meets: boolean;
      if (here === undefined && there === undefined) meets = true;
      else if (here === '*' && (below[column] === true || (there !== undefined && current[column + 1] === true)))
        meets = true;
      else if (there === '*') meets = current[column + 1] === true || (here !== undefined && below[column] === true);
      else meets = here !== undefined && here === there && below[column + 1] === true;
      current[column] = meets;
    }
    below = current;
  }
  return below[0] === true;
}
