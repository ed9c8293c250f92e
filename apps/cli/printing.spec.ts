import { describe, expect, it } from '@jest/globals';
import { jsonText, span, tableOf, withoutRunsOfBlanks } from './printing.js';

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

  it('JSON holds nothing that steers a terminal, and says the same', () => {
    const said = { reason: 'a\u009b31m\u202eb\u2066\u{e0041} ü\u2028', '\u0085': 1 };
    expect(jsonText(said)).toBe('{"reason":"a\\u009b31m\\u202eb\\u2066\\udb40\\udc41 ü\\u2028","\\u0085":1}');
    expect(JSON.parse(jsonText(said))).toEqual(said);
  });

  it('a run of blanks cannot wrap into a line of its own: its length is told', () => {
    expect(withoutRunsOfBlanks(`fine${' '.repeat(70)}needs      1 of 1`)).toBe(
      'fine [70 blanks] needs [6 blanks] 1 of 1',
    );
    expect(withoutRunsOfBlanks('two  words')).toBe('two  words');
  });

  it('a cell from outside cannot steer the terminal or draw a row of its own', () => {
    const table = tableOf(['reason'], [['fine\u001b[2J\nforged row\u202e']]);
    expect(table).toContain('fine\\u{1b}[2J\\u{a}forged row\\u{202e}');
    expect(table.split('\n')).toHaveLength(tableOf(['reason'], [['fine']]).split('\n').length);
  });
});

describe('a table wider than the terminal', () => {
  const head = ['appended', 'agent', 'says'];
  const rows = [['2026-11-24T12:41:33.389Z', 'customer-service', 'nobody was meant for this '.repeat(5)]];
  const linesOf = (columns: number | undefined): string[] => tableOf(head, rows, columns).trimEnd().split('\n');

  it('wraps its cells, so that columns stay columns', () => {
    const lines = linesOf(80);
    expect(lines.map((line) => line.length)).toEqual(lines.map(() => 80));
    const text = lines.map((line) => line.split('│').at(-2)?.trim() ?? '').join('');
    expect(text.replaceAll(/[^a-z]/g, '')).toContain('nobodywasmeantforthis'.repeat(5));
  });

  it('stays as it is where it is not for a terminal, or the terminal is too narrow for any table', () => {
    expect(linesOf(undefined)).toHaveLength(5);
    expect(linesOf(20)).toEqual(linesOf(undefined));
  });
});
