import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readPattern, type Pattern } from '../matching/linear-pattern.js';
import { readValueGlob } from '../matching/value-glob.js';
import { readEntryList, workBudget } from './cel-patterns.js';

function patternOf(source: string): Pattern {
  const reading = readPattern(source);
  if (!reading.ok) throw new Error(reading.message);
  return reading.pattern;
}

function globOf(source: string): Pattern {
  const reading = readValueGlob(source);
  if (!reading.ok) throw new Error(reading.message);
  return reading.pattern;
}

/** How often a match looks at a character of its text. */
function looksAt(pattern: Pattern, text: string): number {
  // eslint-disable-next-line @typescript-eslint/unbound-method
  const original = String.prototype.charCodeAt;
  let looks = 0;
  String.prototype.charCodeAt = function (this: string, index: number) {
    looks += 1;
    return original.call(this, index);
  };
  try {
    pattern.test(text);
  } finally {
    String.prototype.charCodeAt = original;
  }
  return looks;
}

describe('regular expressions of policies', () => {
  it.each([
    ['(a+)+$', 'a', '!'],
    ['(a|aa)+$', 'a', '!'],
    ['(a|a?)+!$', 'a', '!?'],
    ['(.*a){20}$', 'a', '!'],
    ['(x+x+)+y', 'x', '!y'],
    ['^(([a-z])+.)+[A-Z]([a-z])+$', 'a', '!'],
    ['^(a*)*b$', 'a', '!b'],
    ['\\s*(a|b)*c$', 'ab', 'c!'],
  ])('a match of %s looks at a text of twice the length at most twice as often', (source, unit, end) => {
    const pattern = patternOf(source);
    expect(pattern.test(unit.repeat(100) + end)).toBe(false);
    const short = looksAt(pattern, unit.repeat(2_000) + end);
    const long = looksAt(pattern, unit.repeat(4_000) + end);
    expect(short).toBeGreaterThan(2_000);
    expect(long).toBeLessThanOrEqual(2 * short + 100);
  });

  it.each([
    ['(?=a)b', 'look-ahead'],
    ['(?<=a)b', 'look-behind'],
    ['(a)\\1', 'a back-reference'],
    ['(', 'an open group'],
    ['a'.repeat(513), 'too many characters'],
    ['(a{1000}){1000}', 'a million repeats'],
    ['(?:abcdefgh){900}', 'thousands of steps'],
    [`${'(?:'.repeat(60)}a${'){2}'.repeat(60)}`, 'repeats of repeats'],
  ])('%s is refused before it can do harm: %s', (source) => {
    expect(readPattern(source).ok).toBe(false);
  });

  it('a text that no RE2 accepts is refused, never thrown', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), fc.string({ maxLength: 200 }), (source, text) => {
        const reading = readPattern(source);
        expect(reading.ok ? typeof reading.pattern.test(text) : 'boolean').toBe('boolean');
      }),
    );
  });
});

describe('globs of lists', () => {
  it.each([
    ['*.bank.example', 'api.bank.example', true],
    ['*.bank.example', 'a.b.BANK.example', true],
    ['*.bank.example', '.bank.example', false],
    ['*.bank.example', 'bank.example', false],
    ['*.bank.example', 'evil.example/.bank.example', false],
    ['*.bank.example', 'evil.example?.bank.example', false],
    ['*.bank.example', 'evil.example#.bank.example', false],
    ['*.bank.example', 'x@a.bank.example', false],
    ['*.bank.example', 'evil.example:1.bank.example', false],
    ['*.bank.example', 'evil.example\\.bank.example', false],
    ['*.bank.example', 'evil.example%2f.bank.example', false],
    ['*.bank.example', 'evil.example\n.bank.example', false],
    ['*.bank.example', 'api.bank.example.evil.example', false],
    ['*@bank.example', 'jane@bank.example', true],
    ['*@bank.example', 'x@evil.example,a@bank.example', false],
    ['s3://exports/**', 's3://exports/a/b.csv', true],
    ['s3://exports/**', 's3://other/exports/a', false],
    ['git *', 'git log', true],
    ['git *', 'git log|sh', false],
    ['git *', 'git log&&sh', false],
    ['git *', 'git $(sh)', false],
    ['git *', 'git `sh`', false],
    ['git *', 'git log\u00a0sh', false],
    ['*.bank.example', 'evil.example／.bank.example', false],
    ['*.bank.example', 'evil.example℅.bank.example', false],
    ['*.bank.example', 'a\u200b.bank.example', false],
    ['*.bank.example', 'zürich.bank.example', true],
    ['*', 'warehouse', true],
    ['*', 'https://evil.example', false],
    ['a.c', 'abc', false],
    ['(a|b)*', '(a|b)c', true],
  ])('%s and %s: %s', (glob, text, matches) => {
    expect(globOf(glob).test(text)).toBe(matches);
  });

  it('the empty text, which is what a missing value is, is in no list', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('', '*', '**', 'a*', 'warehouse')), (entries) => {
        expect(readEntryList(entries).has('')).toBe(false);
      }),
    );
  });

  it('a text without asterisks is in a list exactly when the list names it, in whatever case', () => {
    const names = fc.stringMatching(/^[a-zA-Z0-9.:/-]{1,12}$/);
    fc.assert(
      fc.property(fc.array(names, { minLength: 1 }), names, (entries, text) => {
        const named = entries.some((entry) => entry.toLowerCase() === text.toLowerCase());
        expect(readEntryList(entries).has(text)).toBe(named);
        expect(readEntryList(entries).has((entries[0] ?? '').toUpperCase())).toBe(true);
      }),
    );
  });
});

describe('the work one intent may cost', () => {
  it('is refused when it is spent, and is there again for the next intent', () => {
    const budget = workBudget(10);
    budget.spend(10);
    expect(() => {
      budget.spend(1);
    }).toThrow('too_much_work');
    budget.refill();
    expect(() => {
      budget.spend(10);
    }).not.toThrow();
  });
});
