import { describe, expect, it } from '@jest/globals';
import { rangeOf, timeOf } from './times.js';

describe('a time given to a command', () => {
  it('is a day of UTC, or a moment with its zone', () => {
    expect(timeOf('2026-02-28', 0)).toBe(Date.UTC(2026, 1, 28));
    expect(timeOf('2028-02-29', 0)).toBe(Date.UTC(2028, 1, 29));
    expect(timeOf('2026-03-01T00:30:00+02:00', 0)).toBe(Date.UTC(2026, 1, 28, 22, 30));
    expect(timeOf('now', 42)).toBe(42);
  });

  it.each(['2026-02-30', '2026-02-30T12:00:00Z', '2026-13-01', '2026-11-24T12:00', 'tomorrow', ''])(
    'is never guessed: %j is none',
    (text) => expect(() => timeOf(text, 0)).toThrow('REMIT_CLI_TIME'),
  );
});

describe('a stretch of time given to a command', () => {
  it('may be open at either end', () => {
    expect(rangeOf({}, 0)).toEqual({ from: undefined, to: undefined });
    expect(rangeOf({ from: '1970-01-02' }, 0)).toEqual({ from: 86_400_000, to: undefined });
    expect(rangeOf({ from: '1970-01-02', to: 'now' }, 86_400_001)).toEqual({ from: 86_400_000, to: 86_400_001 });
  });

  it.each([
    ['2026-12-01', '2026-11-01'],
    ['2026-12-01', '2026-12-01'],
  ])(
    'is refused where nothing can lie in it, so that a slip is not taken for an empty record: %s to %s',
    (from, to) => {
      expect(() => rangeOf({ from, to }, 0)).toThrow('--from must be earlier than --to');
    },
  );
});
