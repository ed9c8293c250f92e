import Table from 'cli-table3';
import type { PlayedStep } from '#stories';

const PLAIN = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: ' ',
};

/** One row per finding: story, agent, action, outcome, layer, rule, reason, milliseconds. */
export function storyTable(played: readonly PlayedStep[]): string {
  const table = new Table({
    head: ['story', 'agent', 'action', 'outcome', 'layer', 'rule', 'reason', 'ms'],
    colWidths: [20, 17, 24, 12, 13, 33, 40, 7],
    colAligns: ['left', 'left', 'left', 'left', 'left', 'left', 'left', 'right'],
    wordWrap: true,
    chars: PLAIN,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 1 },
  });
  let story = '';
  for (const step of played) {
    const mark = step.differences.length === 0 ? step.outcome : `${step.outcome} (!)`;
    const lead = [step.story === story ? '' : step.story, step.agent, step.action, mark];
    story = step.story;
    const ms = step.ms.toFixed(1);
    if (step.findings.length === 0) table.push([...lead, '', '', '', ms]);
    step.findings.forEach((finding, index) => {
      const reason = finding.enforced ? finding.reason : `(not enforced) ${finding.reason}`;
      const rest = [finding.layer, finding.rule, reason];
      table.push(index === 0 ? [...lead, ...rest, ms] : ['', '', '', '', ...rest, '']);
    });
  }
  return table.toString();
}

/** The sum of it, and what to try next. */
export function howToGoOn(played: readonly PlayedStep[], stored: number, missing: readonly string[]): string {
  const right = played.filter((step) => step.differences.length === 0).length;
  return [
    `${String(right)} of ${String(played.length)} decisions as their stories say; ` +
      (missing.length === 0
        ? `the record holds all ${String(stored)} messages of every topic.`
        : `the record lacks messages in ${String(missing.length)} partitions.`),
    '',
    'Go on:',
    '  npm start                                              keep it running, with an example to paste',
    '  npm run demo -- --services                             the same stories through five separate processes',
    '  npx remit charter check charters/fintech-production.yaml',
    '  docs/guide/agents.md                                   how your agents use it',
  ].join('\n');
}
