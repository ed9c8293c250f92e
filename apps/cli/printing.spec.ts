import { describe, expect, it } from '@jest/globals';
import { span, tableOf } from './printing.js';

describe('what the command line prints', () => {
  it.each([
    [0, '0s'],
    [999, '0s'],
    [59_999, '59s'],
    [61_000, '1m 1s'],
    [3_600_000, '1h'],
    [3_605_000, '1h'],
    [90_061_000, '1d 1h'],
  ])('of %d ms that remain: %s', (ms, text) => {
    expect(span(ms)).toBe(text);
  });

  it('a cell from outside cannot steer the terminal or draw a row of its own', () => {
    const table = tableOf(['reason'], [['fine\u001b[2J\nforged row\u202e']]);
    expect(table).toContain('fine\\u{1b}[2J\\u{a}forged row\\u{202e}');
    expect(table.split('\n')).toHaveLength(tableOf(['reason'], [['fine']]).split('\n').length);
  });
});
