import { Argument, type Command } from 'commander';
import { agentsAt, charterAt, inertText, permissionsAt, rolloutAt, type PutBy, type StateAt } from '#domain';
import { stateOfRecordAt } from '#record';
import { withRecord } from './open-record.js';
import { printJson, span, tableOf } from './printing.js';
import { timeOf } from './times.js';

const SUBJECTS = ['agents', 'permissions', 'charter', 'rollout'] as const;
type Subject = (typeof SUBJECTS)[number];

/** `remit at`: what was in force at a time, and which event put it there. */
export function addAtCommand(program: Command): void {
  program
    .command('at')
    .description(
      'Show what was in force at a time, folded from the record: what an intent appended then was judged by, each with\n' +
        'the event that put it there.',
    )
    .argument('<time>', '2026-11-03, 2026-11-03T12:00:00Z or now')
    .addArgument(new Argument('<subject>').choices(SUBJECTS))
    .option('--json', 'one JSON value')
    .action((text: string, subject: Subject, options: { json?: boolean }) =>
      withRecord(async (history) => {
        const state = await stateOfRecordAt(history, timeOf(text, Date.now()));
        if (options.json === true) printJson(VIEWS[subject].of(state) ?? null);
        else process.stdout.write(VIEWS[subject].print(state));
      }),
    );
}

function sourceOf(putBy: PutBy | null): string {
  if (putBy === null) return '';
  const { event, by, topic, partition, offset, appendTime } = putBy;
  const place = `${topic}/${String(partition)}/${String(offset)}`;
  return `${event} by ${by}, ${new Date(appendTime).toISOString()}, ${place}`;
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
  const stage = charterAt(state)?.stage;
  const note = stage === 'observe' ? 'Stage observe: everything was judged, nothing was blocked.\n' : '';
  const rows = rolloutAt(state).map(({ rule, mode, putBy }) => [rule, mode, sourceOf(putBy)]);
  return `${note}${tableOf(['rule', 'mode', 'put there by'], rows)}`;
}

const VIEWS: Record<Subject, { of: (state: StateAt) => unknown; print: (state: StateAt) => string }> = {
  agents: { of: agentsAt, print: printAgents },
  permissions: { of: permissionsAt, print: printPermissions },
  charter: { of: charterAt, print: printCharter },
  rollout: { of: rolloutAt, print: printRollout },
};
