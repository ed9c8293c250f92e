import { Argument, type Command } from 'commander';
import { agentsAt, charterAt, inertText, permissionsAt, placeName, rolloutAt, type PutBy, type StateAt } from '#domain';
import { stateOfRecordAt } from '#record';
import { fail } from './command-failure.js';
import { withHistory } from './open-record.js';
import { printJson, span, tableOf } from './printing.js';
import { IN_FORCE, lagNote, messagesNotRecorded } from './record-lag.js';
import { isoOf, timeOf } from './times.js';

const SUBJECTS = ['agents', 'permissions', 'charter', 'rollout'] as const;
type Subject = (typeof SUBJECTS)[number];

const EXAMPLES = `
agents        every agent: standing, owner, scope
permissions   what each agent held, by the charter or by a grant: time and uses left, who approved
charter       its digest and its text
rollout       each rule: off, shadow or enforce, for what share of the agents, and what says so

Examples:
  remit at 2026-11-03T12:00:00Z agents
  remit at now rollout --json`;

/** `remit at`: what was in force at a time, and which event put it there. */
export function addAtCommand(program: Command): void {
  program
    .command('at')
    .description(
      'Show what was in force at a time: what an intent appended then was judged by, each with the event that put it ' +
        'there. Folded from the record.',
    )
    .summary('What was in force at a time.')
    .argument('<time>', '2026-11-03, 2026-11-03T12:00:00Z or now')
    .addArgument(new Argument('<subject>').choices(SUBJECTS))
    .option('--json', 'one JSON value')
    .addHelpText('after', EXAMPLES)
    .action(showAt);
}

async function showAt(text: string, subject: Subject, options: { readonly json?: boolean }): Promise<void> {
  const now = Date.now();
  const time = timeOf(text, now);
  if (time > now) {
    fail(
      `REMIT_CLI_TIME: ${text} lies ahead, and nobody knows yet what will be in force then; give a time up to now, or now`,
    );
  }
  const { state, missing } = await withHistory(
    { how: 'at', selection: { time: isoOf(time), subject } },
    // asked first: what audit stores meanwhile may not be in the answer
    async (history) => ({
      missing: await messagesNotRecorded(history, IN_FORCE),
      state: await stateOfRecordAt(history, time),
    }),
  );
  if (options.json === true) printJson(VIEWS[subject].of(state) ?? null);
  else process.stdout.write(VIEWS[subject].print(state));
  process.stderr.write(lagNote(missing, IN_FORCE));
}

function sourceOf(putBy: PutBy | null): string {
  if (putBy === null) return '';
  const { event, by, appendTime } = putBy;
  return `${event} by ${by}, ${new Date(appendTime).toISOString()}, ${placeName(putBy)}`;
}

function printCharter(state: StateAt): string {
  const charter = charterAt(state);
  if (charter === undefined) return 'No charter was in force: everything was denied.\n';
  const { name, digest, stage, putBy, text } = charter;
  const head = [
    ['charter', name],
    ['stage', stage],
    ['digest', digest],
    ['put there by', sourceOf(putBy)],
  ];
  return `${tableOf(['', ''], head)}\n${text.trimEnd().split('\n').map(inertText).join('\n')}\n`;
}

function printAgents(state: StateAt): string {
  const rows = agentsAt(state).map(({ agentId, standing, owner, actions, systems, putBy }) => [
    agentId,
    standing,
    owner ?? '',
    `${actions.join(', ')} on ${systems.join(', ')}`,
    sourceOf(putBy),
  ]);
  return tableOf(['agent', 'standing', 'owner', 'scope', 'put there by'], rows);
}

function printPermissions(state: StateAt): string {
  const rows = permissionsAt(state).map((held) => [
    held.agentId,
    held.permission,
    held.grantId ?? 'standing',
    held.remainingMs === null ? '' : `${span(held.remainingMs)} (${held.expiresAt ?? ''})`,
    held.usesLeft === null ? '' : String(held.usesLeft),
    held.approvedBy.join(', '),
    held.counted ? '' : 'counted for nothing: the agent is suspended, or events are missing',
    sourceOf(held.putBy),
  ]);
  return tableOf(['agent', 'permission', 'grant', 'left', 'uses left', 'approved by', '', 'put there by'], rows);
}

function printRollout(state: StateAt): string {
  const charter = charterAt(state);
  if (charter === undefined) return 'No charter was in force, so no rule was: everything was denied.\n';
  const note =
    charter.stage === 'observe'
      ? 'Stage observe: every rule was judged, none blocked anything, whatever its mode.\n'
      : '';
  const rows = rolloutAt(state).map(({ rule, mode, percent, because, putBy }) => [
    rule,
    mode,
    `${String(percent)} %`,
    because === null ? DEFAULT_MODE[mode === 'always' ? 'boundary' : 'rule'] : `rollout: ${because}`,
    sourceOf(putBy),
  ]);
  const head = ['rule', 'mode', 'of the agents', 'because', 'put there by'];
  return `${note}${tableOf(head, rows)}Modes come with the charter here: the event is its activation.\n`;
}

const DEFAULT_MODE = {
  boundary: 'a boundary: never in shadow, never off',
  rule: 'not in the rollout',
} as const;

const VIEWS: Record<Subject, { of: (state: StateAt) => unknown; print: (state: StateAt) => string }> = {
  agents: { of: agentsAt, print: printAgents },
  permissions: { of: permissionsAt, print: printPermissions },
  charter: { of: charterAt, print: printCharter },
  rollout: { of: rolloutAt, print: printRollout },
};
