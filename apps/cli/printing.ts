import Table from 'cli-table3';
import { inertText } from '#domain';

/** What cli-table3 puts around the text of a cell, and before the first one. */
const CELL_FRAME = 3;
const TABLE_FRAME = 1;
/** Narrower columns are harder to read than a line that wraps. */
const NARROWEST = 8;

/**
 * A table of untrusted text: no cell can steer the terminal. In a terminal of so many columns cells wrap, where that
 * helps; `undefined`: it goes to a file or another program, and every row stays on one line.
 */
export function tableOf(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number | undefined = process.stdout.isTTY ? process.stdout.columns : undefined,
): string {
  const cells = rows.map((row) => row.map(inertText));
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const room = columns === undefined ? Infinity : columns - TABLE_FRAME - head.length * CELL_FRAME;
  const fitting = fittingWidths(widths, room);
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    ...(fitting === undefined
      ? { wordWrap: false }
      : { wordWrap: true, wrapOnWordBoundary: false, colWidths: fitting.map((width) => width + CELL_FRAME - 1) }),
  });
  for (const row of cells) table.push(row);
  return `${table.toString()}\n`;
}

/** The widest columns give way until all fit; `undefined`: they do already, or never will. */
function fittingWidths(widths: readonly number[], room: number): readonly number[] | undefined {
  const fitting = [...widths];
  let excess = widths.reduce((sum, width) => sum + width, 0) - room;
  if (excess <= 0) return undefined;
  for (; excess > 0; excess -= 1) {
    const widest = fitting.indexOf(Math.max(...fitting));
    if ((fitting[widest] ?? 0) <= NARROWEST) return undefined;
    fitting[widest] = (fitting[widest] ?? 0) - 1;
  }
  return fitting;
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** `1h 5m`, `12s`: the two largest units; under a second, `0s`. */
export function span(ms: number): string {
  const parts: string[] = [];
  let left = ms;
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${String(count)}${unit}`);
    else if (parts.length > 0) break;
  }
  return parts.slice(0, 2).join(' ') || '0s';
}

/** What JSON leaves as it is and a terminal may obey, or reorder a line by: control and format characters. */
const STEERING = /[\u007f-\u009f\u2028\u2029\p{Cf}]/gu;

/** JSON in which nothing steers a terminal: such characters are escaped as `\\uXXXX`, so it says the same. */
export function jsonText(value: unknown): string {
  const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(value).replace(STEERING, (character) => character.split('').map(escaped).join(''));
}

/** One JSON object on a line of its own. */
export function printJson(value: unknown): void {
  process.stdout.write(`${jsonText(value)}\n`);
}

/** Runs of blanks are told by their number: a terminal would wrap them into what looks like a line of its own. */
export function withoutRunsOfBlanks(text: string): string {
  return text.replace(/ {3,}/g, ({ length }) => ` [${String(length)} blanks] `);
}
