import Table from 'cli-table3';

/** One measured figure beside its baseline of the same run. `ratio` is value over baselineValue. */
export interface Figure {
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline: string;
  readonly baselineValue: number;
  readonly ratio: number;
}

export function figure(name: string, value: number, unit: string, baseline: string, baselineValue: number): Figure {
  return { figure: name, value, unit, baseline, baselineValue, ratio: value / baselineValue };
}

/** The middle of an odd number of rounds. */
export function median(values: readonly number[]): number {
  const middle = [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  if (middle === undefined) throw new Error('no rounds');
  return middle;
}

export function figureTable(figures: readonly Figure[]): string {
  const table = new Table({
    head: ['figure', 'value', 'unit', 'baseline', 'its value', 'ratio'],
    colAligns: ['left', 'right', 'left', 'left', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const { figure: name, value, unit, baseline, baselineValue, ratio } of figures) {
    table.push([name, rounded(value), unit, baseline, rounded(baselineValue), ratio.toFixed(2)]);
  }
  return table.toString();
}

function rounded(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}
