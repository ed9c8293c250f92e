import type { Command } from 'commander';
import { countGaps, GAP_KINDS, type Gap, type GapKind } from '#domain';
import { recordedGaps } from '#record';
import { CommandFailure, fail } from './command-failure.js';
import { withHistory } from './open-record.js';
import { printJson, span, tableOf } from './printing.js';
import { durationOf, isoOf, rangeOf } from './times.js';

interface GapOptions {
  readonly from?: string;
  readonly to?: string;
  readonly agent?: string;
  readonly olderThan: string;
  readonly limit: string;
  readonly json?: boolean;
}

const TITLES: Record<GapKind, string> = {
  'intent-without-decision': 'intents without a decision',
  'allow-without-outcome': 'allowed actions without an outcome',
  'outcome-without-allow': 'outcomes that nothing had allowed',
  'outcome-differs': 'outcomes of another action than the allowed one',
  'executed-too-late': 'executed after the decision had run out',
};

/** `remit audit gaps`: what does not add up. */
export function addGapsCommand(audit: Command): void {
  audit
    .command('gaps')
    .summary('What does not add up.')
    .description(
      'List what does not add up: intents without a decision, allows without an outcome, outcomes without an allow or ' +
        'of another action, executions after the decision had run out. Exits with 1 if there is any.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  remit audit gaps --from 2026-11-01 --agent customer-service\n  remit audit gaps --older-than 10m --json | jq .kind | sort | uniq -c',
    )
    .option('--from <time>', 'events appended from then on')
    .option('--to <time>', 'events appended before then')
    .option('--agent <id>', 'of this agent only')
    .option('--older-than <duration>', 'leave younger ones out: they may yet close', '1m')
    .option('--limit <n>', 'so many of each kind are printed; all are counted', '20')
    .option('--json', 'one JSON object per gap, all of them')
    .action(list);
}

async function list(options: GapOptions): Promise<void> {
  const now = Date.now();
  const grace = durationOf(options.olderThan);
  const limit = Number(options.limit);
  if (!Number.isInteger(limit) || limit < 0) fail('REMIT_CLI_OPTIONS: --limit is a whole number');
  const shown = new Map<GapKind, Gap[]>(GAP_KINDS.map((kind) => [kind, []]));
  const counts = countGaps([]);
  const selection = {
    ...rangeOf(options, now),
    agentId: options.agent,
  };
  const { from, to, agentId } = selection;
  const asked = { from: isoOf(from), to: isoOf(to), agentId, olderThan: options.olderThan };
  await withHistory({ how: 'gaps', selection: asked }, async (history) => {
    for await (const page of recordedGaps(history, selection, now)) {
      for (const gap of page) {
        if (gap.ageMs < grace) continue;
        counts[gap.kind] += 1;
        if (options.json === true) printJson(gap);
        else if (counts[gap.kind] <= limit) shown.get(gap.kind)?.push(gap);
      }
    }
  });
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (options.json !== true) {
    for (const kind of GAP_KINDS) {
      if (counts[kind] > 0) process.stdout.write(sectionOf(kind, counts[kind], shown.get(kind) ?? []));
    }
    process.stdout.write(total === 0 ? 'Everything adds up.\n' : '');
  }
  if (total > 0) throw new CommandFailure();
}

function sectionOf(kind: GapKind, count: number, gaps: readonly Gap[]): string {
  const rows = gaps.map((gap) => [
    new Date(gap.appendTime).toISOString(),
    span(gap.lateMs ?? gap.ageMs),
    gap.agentId,
    gap.action ?? '',
    gap.chainId,
    gap.intentId,
  ]);
  const age = kind === 'executed-too-late' ? 'late by' : 'age';
  const more = count > gaps.length ? `… and ${String(count - gaps.length)} more\n` : '';
  return `${String(count)} ${TITLES[kind]}\n${tableOf(['appended', age, 'agent', 'action', 'chain', 'intent'], rows)}${more}\n`;
}
