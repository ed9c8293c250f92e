import Table from 'cli-table3';
import type { ChaosResult } from './scenario.js';

/** All plays of one scenario. */
export interface Played {
  readonly group: string;
  readonly fault: string;
  readonly results: readonly ChaosResult[];
}

const MIB = 1024 * 1024;

/** One row for each fault: sums of what was counted, the worst of what was measured. */
export function resultTable(played: readonly Played[]): string {
  const table = new Table({
    head: [
      'fault',
      'times',
      'intents',
      'lost',
      'contra-\ndictory',
      'wrongly\nallowed',
      'failed\nclosed',
      'longest\nsilence s',
      'recovery s\nmin/median/max',
      'memory\nMiB',
      'broken',
    ],
    colAligns: ['left', ...Array.from({ length: 10 }, () => 'right' as const)],
    style: { head: [], border: [] },
  });
  for (const { fault, results } of played) {
    const sum = (read: (result: ChaosResult) => number): number =>
      results.reduce((total, result) => total + read(result), 0);
    const worst = (read: (result: ChaosResult) => number): number => Math.max(0, ...results.map(read));
    const recoveries = results.map(({ recoveryMs }) => recoveryMs).filter((ms) => ms !== undefined);
    table.push([
      fault,
      results.length,
      sum(({ intents }) => intents),
      sum(({ lost }) => lost),
      sum(({ contradictory }) => contradictory),
      sum(({ wronglyAllowed }) => wronglyAllowed),
      sum(({ failedClosed }) => failedClosed),
      seconds(worst(({ longestSilenceMs }) => longestSilenceMs)),
      spread(recoveries),
      Math.round(worst(({ memoryBytes }) => memoryBytes) / MIB),
      sum(({ broken }) => broken.length),
    ]);
  }
  return table.toString();
}

/** Least, median and most, s. */
function spread(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const [least] = sorted;
  const most = sorted.at(-1);
  const [below = 0, above = 0] = [Math.floor, Math.ceil].map((round) => sorted[round((sorted.length - 1) / 2)]);
  return least === undefined || most === undefined ? '–' : [least, (below + above) / 2, most].map(seconds).join(' / ');
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1);
