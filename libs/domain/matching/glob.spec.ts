import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compileGlob, compileSelector } from './glob.js';

/** The same rule by the book: `*` is any run, everything else is itself. */
function byBook(pattern: string, text: string): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return text === '';
  if (first !== '*') return text.startsWith(first) && byBook(rest.join(''), text.slice(first.length));
  return Array.from({ length: text.length + 1 }).some((_, from) => byBook(rest.join(''), text.slice(from)));
}

describe('a glob', () => {
  it('matches what its definition says', () => {
    const few = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 6 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 });
    fc.assert(
      fc.property(few, text, (pattern, given) => {
        expect(compileGlob(pattern)(given)).toBe(byBook(pattern, given));
      }),
      { numRuns: 2000 },
    );
  });

  it('does not let its two ends share letters', () => {
    expect(compileGlob('ab*ba')('aba')).toBe(false);
    expect(compileGlob('ab*ba')('abba')).toBe(true);
  });

  it('stays linear where a naive matcher would run for ever', () => {
    expect(compileGlob(`${'*a'.repeat(40)}b`)('a'.repeat(100_000))).toBe(false);
  });
});

describe('a selection', () => {
  it('selects what any of its patterns matches', () => {
    const selector = compileSelector(['ledger', 'cloud-*']);
    expect(['ledger', 'ledgers', 'cloud-eu', 'my-cloud-eu'].map(selector)).toEqual([true, false, true, false]);
  });

  it('answers alike however often and in whatever order it is asked', () => {
    const selector = compileSelector(['a*', 'b']);
    const asked = Array.from({ length: 10_000 }, (_, index) => `${index % 2 === 0 ? 'a' : 'c'}${index}`);
    const first = asked.map(selector);
    expect(asked.map(selector)).toEqual(first);
    expect(first).toEqual(asked.map((text) => text.startsWith('a')));
  });
});
