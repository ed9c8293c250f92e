import { describe, expect, it } from '@jest/globals';
import { sha256, TOPICS } from '#contracts';
import type { CharterEvent } from '../charter/charter-events.js';
import { checkCharter } from '../charter/check-charter.js';
import { permissionEventSchema } from '../permission/permission-events.js';
import {
  agentsAt,
  charterAt,
  evolveAuthorityState,
  evolveCharterState,
  permissionsAt,
  rolloutAt,
  type AuthorityState,
  type CharterState,
  type Placed,
  type StateAt,
} from './state-at.js';
import type { PermissionEvent } from '../permission/permission-events.js';

const NOON = Date.UTC(2026, 10, 3, 12);

function textOf(stage: string): string {
  return `
charter: office
stage: ${stage}
classifications: [public, internal, secret]
systems: { desk: { classification: internal } }
boundaries: [{ id: verbs, never: [delete] }]
agents:
  clerk: { owner: office, purpose: file, scope: { actions: [file], systems: [desk] }, permissions: [read_files] }
permissions:
  read_files: {}
  unlock: { required_for: { actions: [unlock] } }
policies:
  - { id: pii, severity: critical, violated_when: action.containsPii, effect: deny, reason: no personal data }
  - { id: late, severity: non_critical, violated_when: context.localHour > 20, effect: deny, reason: go home }
rollout: { non_critical: shadow }
`;
}

function activation(text: string, offset: number, by: string): Placed<CharterEvent> {
  const checked = checkCharter(text, sha256);
  const digest = checked.ok ? checked.charter.digest : 'e'.repeat(64);
  const event = { event: 'CharterActivated' as const, charter: 'office', digest, text, activatedBy: by };
  return { topic: TOPICS.charterEvents.name, partition: 0, offset, appendTime: NOON + offset, event };
}

function happened(version: number, fields: object): Placed<PermissionEvent> {
  const at = new Date(NOON + version).toISOString();
  const fact = { agentId: 'clerk', version, commandId: `c-${String(version)}`, at, by: 'sam', reason: 'ticket 1' };
  const event = permissionEventSchema.parse({ ...fact, ...fields });
  return { topic: TOPICS.permissionEvents.name, partition: 3, offset: version, appendTime: NOON + version, event };
}

function stateOf(
  activations: readonly Placed<CharterEvent>[],
  events: readonly Placed<PermissionEvent>[],
  time = NOON + 1000,
): StateAt {
  let charter: CharterState | undefined;
  for (const one of activations) charter = evolveCharterState(charter, one, sha256);
  let clerk: AuthorityState | undefined;
  for (const one of events) clerk = evolveAuthorityState(clerk, one);
  return { time, charter, authorities: new Map(clerk === undefined ? [] : [['clerk', clerk]]) };
}

const granted = (grantId: string, version: number): Placed<PermissionEvent> =>
  happened(version, {
    event: 'PermissionGranted',
    grantId,
    permission: 'unlock',
    constraints: { target: 'desk' },
    uses: 2,
    expiresAt: new Date(NOON + 60_000).toISOString(),
    approvedBy: ['olga'],
    charterDigest: 'c'.repeat(64),
  });

describe('what was in force at a time', () => {
  it('names the charter, its text, and the event that activated it', () => {
    const state = stateOf([activation(textOf('observe'), 0, 'ann'), activation(textOf('enforce'), 1, 'bea')], []);
    expect(charterAt(state)).toMatchObject({
      name: 'office',
      stage: 'enforce',
      text: textOf('enforce'),
      putBy: { topic: 'charter.events', offset: 1, event: 'CharterActivated', by: 'bea' },
    });
  });

  it('is the old charter when the new one is refused, and nothing at all before the first', () => {
    const state = stateOf([activation(textOf('enforce'), 0, 'ann'), activation('charter: [', 1, 'bea')], []);
    expect(charterAt(state)?.putBy.by).toBe('ann');
    expect(charterAt(stateOf([], []))).toBeUndefined();
    expect(rolloutAt(stateOf([], []))).toEqual([]);
  });

  it('tells of each agent its scope, its standing and what put it there', () => {
    const charter = [activation(textOf('enforce'), 0, 'ann')];
    expect(agentsAt(stateOf(charter, []))).toMatchObject([
      { agentId: 'clerk', standing: 'active', owner: 'office', actions: ['file'], putBy: { by: 'ann' } },
    ]);
    const suspended = [happened(1, { event: 'AgentSuspended', reason: 'odd behaviour' })];
    expect(agentsAt(stateOf(charter, suspended))).toMatchObject([
      { standing: 'suspended', putBy: { event: 'AgentSuspended', by: 'sam', reason: 'odd behaviour', offset: 1 } },
    ]);
    const reinstated = [...suspended, happened(2, { event: 'AgentReinstated' })];
    expect(agentsAt(stateOf(charter, reinstated))).toMatchObject([
      { standing: 'active', putBy: { event: 'AgentReinstated' } },
    ]);
    expect(agentsAt(stateOf([], reinstated))).toMatchObject([{ standing: 'unknown', owner: null }]);
  });

  it('says when an agent’s events are missing, instead of guessing its standing', () => {
    const state = stateOf([activation(textOf('enforce'), 0, 'ann')], [happened(2, { event: 'AgentReinstated' })]);
    expect(agentsAt(state)).toMatchObject([{ standing: 'uncertain' }]);
    expect(permissionsAt(state)).toMatchObject([{ permission: 'read_files', counted: false }]);
  });

  it('tells of each permission where it came from, for how long, and who approved it', () => {
    const state = stateOf(
      [activation(textOf('enforce'), 0, 'ann')],
      [granted('g-1', 1), granted('g-2', 2), happened(3, { event: 'PermissionRevoked', grantId: 'g-1' })],
      NOON + 10_000,
    );
    expect(permissionsAt(state)).toMatchObject([
      { permission: 'read_files', grantId: null, counted: true, putBy: { event: 'CharterActivated', by: 'ann' } },
      {
        permission: 'unlock',
        grantId: 'g-2',
        remainingMs: 50_000,
        usesLeft: 2,
        approvedBy: ['olga'],
        constraints: { target: 'desk' },
        putBy: { event: 'PermissionGranted', offset: 2, by: 'sam' },
      },
    ]);
  });

  it('knows no grant that has ended, whether or not anybody has recorded the end', () => {
    const charter = [activation(textOf('enforce'), 0, 'ann')];
    expect(permissionsAt(stateOf(charter, [granted('g-1', 1)], NOON + 60_000))).toHaveLength(1);
  });

  it('tells of each rule how it counted: boundaries always, the others as rolled out', () => {
    const state = stateOf([activation(textOf('enforce'), 0, 'ann')], []);
    expect(rolloutAt(state).map(({ rule, mode }) => [rule, mode])).toEqual([
      ['verbs', 'always'],
      ['required-permission:unlock', 'enforce'],
      ['intended-scope', 'enforce'],
      ['integration-approval', 'enforce'],
      ['integration-scope', 'enforce'],
      ['pii', 'enforce'],
      ['late', 'shadow'],
    ]);
  });

  it('tells of each rule for what share of the agents it counted, and which entry of the rollout says so', () => {
    const text = textOf('enforce').replace(
      'rollout: { non_critical: shadow }',
      'rollout: { non_critical: shadow, pii: { mode: enforce, percent: 100, by: agent }, intended-scope: off }',
    );
    const state = stateOf([activation(text, 0, 'ann')], []);
    expect(rolloutAt(state).map(({ rule, mode, percent, because }) => [rule, mode, percent, because])).toEqual([
      ['verbs', 'always', 100, null],
      ['required-permission:unlock', 'enforce', 100, null],
      ['intended-scope', 'off', 100, 'intended-scope'],
      ['integration-approval', 'enforce', 100, null],
      ['integration-scope', 'enforce', 100, null],
      ['pii', 'enforce', 100, 'pii'],
      ['late', 'shadow', 100, 'non_critical'],
    ]);
    expect(rolloutAt(state).every(({ putBy }) => putBy.event === 'CharterActivated' && putBy.by === 'ann')).toBe(true);
  });
});
