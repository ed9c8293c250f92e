import { CHANGES, ranked, type ChangeKind, type ChangeReport, type ReplayExample, type ReplayReport } from '#domain';
import { tableOf } from './printing.js';

/** So many rules and agents are printed for each change; the JSON has all. */
const ROWS = 10;

/** `deny-to-allow` as people read it: DENY→ALLOW. */
function titleOf(change: ChangeKind): string {
  const [from = '', to = ''] = change.split('-to-');
  return `${from.toUpperCase()}→${to.toUpperCase()}`;
}

function numberOf(count: number): string {
  return count.toLocaleString('en');
}

function countsTable(head: string, counts: ReadonlyMap<string, number>): string {
  const all = ranked(counts);
  const rows = all.slice(0, ROWS).map(([name, count]) => [name, numberOf(count)]);
  return `${tableOf([head, 'decisions'], rows)}${all.length > ROWS ? `… and ${String(all.length - ROWS)} more\n` : ''}`;
}

function examplesTable(head: string, examples: readonly ReplayExample[]): string {
  const rows = examples.map(({ appendTime, agentId, action, intentId, because, reasons }) => [
    new Date(appendTime).toISOString(),
    agentId,
    action,
    intentId,
    because.join(', '),
    reasons.join('; '),
  ]);
  return tableOf(['decided', 'agent', 'action', 'intent', head, 'says'], rows);
}

function changeSection(change: ChangeKind, { count, rules, agents, examples }: ChangeReport): string {
  return [
    `${titleOf(change)}: ${numberOf(count)} decisions`,
    countsTable('by rule', rules),
    countsTable('by agent', agents),
    examplesTable('because of', examples),
  ].join('\n');
}

/** What came of a replay, for people: what would now be allowed comes first and stands alone. */
export function replayTable(report: ReplayReport): string {
  const { decisions, identical, sameOutcome, differing, differences, notReplayable, changes } = report;
  const loosened = changes.get('deny-to-allow');
  const sections = [
    ...(loosened === undefined ? [] : [changeSection('deny-to-allow', loosened)]),
    ...(differing === 0
      ? []
      : [
          `DIFFERENT, though judged by the same engine: ${numberOf(differing)} decisions`,
          examplesTable('differs in', differences),
        ]),
    ...CHANGES.flatMap((change) => {
      const changed = change === 'deny-to-allow' ? undefined : changes.get(change);
      return changed === undefined ? [] : [changeSection(change, changed)];
    }),
  ];
  const counts: [string, number][] = [
    ['decisions', decisions],
    ['identical', identical],
    ['judged by a candidate or recorded by another engine, same outcome', sameOutcome],
    ...CHANGES.map((change): [string, number] => [titleOf(change), changes.get(change)?.count ?? 0]),
    ['different', differing],
    ...ranked(notReplayable).map(([why, count]): [string, number] => [`not replayable: ${why}`, count]),
  ];
  const rows = counts
    .filter(([, count], index) => index === 0 || count > 0)
    .map(([name, count]) => [name, numberOf(count)]);
  return [...sections, tableOf(['replay', ''], rows)].join('\n');
}
