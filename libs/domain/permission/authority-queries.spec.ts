import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { compileCharter } from '../charter/charter.js';
import { charterDocumentSchema } from '../charter/charter-document.js';
import { decideAuthority } from './authority-decision.js';
import { authorityAt, dueCommands, grantsHeld, heldAt, openReviews, supersedeCommands } from './authority-queries.js';
import { evolveAuthority, INITIAL_AUTHORITY, type AgentAuthority } from './authority.js';
import { commandDigestOf, permissionCommandSchema, useCommandId } from './permission-commands.js';
import type { PermissionEvent } from './permission-events.js';
import { permissionTermsOf } from './permission-terms.js';

const sha256 = (text: string): string => `digest of ${text}`;

const NINE = Date.UTC(2026, 0, 5, 9);
const MINUTE = 60_000;

function charterNamed(digest: string) {
  const document = parse(`
    charter: bank
    stage: enforce
    systems: { ledger: { classification: internal } }
    lists: { trustedContacts: ['*@bank.example'] }
    agents: { clerk: { scope: { actions: ["*"], systems: [ledger] } } }
    permissions:
      admin_access: { max_duration: 15m, approvals: { count: 1, role: security } }
      send_report: { bind: [destination] }
  `) as unknown;
  return compileCharter(charterDocumentSchema.parse(document), digest.repeat(64), sha256);
}

/** The events of an afternoon: each command so many minutes after nine. */
function eventsOf(...orders: readonly [minute: number, command: Record<string, unknown>][]): PermissionEvent[] {
  const events: PermissionEvent[] = [];
  let state: AgentAuthority = INITIAL_AUTHORITY;
  for (const [index, [minute, fields]] of orders.entries()) {
    const given = {
      agentId: 'clerk',
      commandId: `c${String(index)}`,
      by: 'sam',
      reason: 'because',
      roles: ['security'],
      ...('durationMs' in fields ? { uses: null } : {}),
    };
    const command = permissionCommandSchema.parse(defined({ ...given, ...fields }));
    const terms = permissionTermsOf(charterNamed('c'), 'clerk');
    const glass = terms && { ...terms, breakGlass: { role: 'security', maxDurationMs: 5 * MINUTE } };
    for (const event of decideAuthority({ command, at: NINE + minute * MINUTE, terms: glass }, state)) {
      state = evolveAuthority(state, event);
      events.push(event);
    }
  }
  return events;
}

/** `roles: undefined` stands for a command that has none. */
function defined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

const grant = { command: 'GrantPermission', permission: 'admin_access', durationMs: 10 * MINUTE };
const ask = {
  command: 'RequestPermission',
  roles: undefined,
  needs: [{ permission: 'admin_access' }],
  durationMs: MINUTE,
  waitMs: 30 * MINUTE,
};

describe('what the charter says of temporary authority', () => {
  it('is how long a grant may last, an hour when it says nothing, who approves and what it must be bound to', () => {
    expect(permissionTermsOf(charterNamed('c'), 'clerk')).toEqual({
      charterDigest: 'c'.repeat(64),
      agentKnown: true,
      permissions: new Map([
        ['admin_access', { maxDurationMs: 15 * MINUTE, approvals: { count: 1, role: 'security' }, bind: [] }],
        ['send_report', { maxDurationMs: 60 * MINUTE, approvals: undefined, bind: ['destination'] }],
      ]),
      lists: new Set(['trustedContacts']),
      basisOf: expect.any(Function),
    });
  });

  it('is nothing without a charter, and no welcome for a stranger', () => {
    expect(permissionTermsOf(undefined, 'clerk')).toBeUndefined();
    expect(permissionTermsOf(charterNamed('c'), 'stranger')).toMatchObject({ agentKnown: false });
  });
});

describe('what an agent holds', () => {
  const events = eventsOf(
    [0, { ...grant, uses: 2 }],
    [2, { ...grant, durationMs: 3 * MINUTE }],
    [4, { command: 'RevokeGrant', roles: undefined, grantId: 'c0' }],
  );
  const heldMinutes = (minute: number) =>
    heldAt(events, NINE + minute * MINUTE).map(({ grant: held, remainingMs, usesLeft }) => [
      held.grantId,
      remainingMs / MINUTE,
      usesLeft,
    ]);

  it('can be told for any moment of the past, with the time that remained', () => {
    expect(heldMinutes(-1)).toEqual([]);
    expect(heldMinutes(0)).toEqual([['c0', 10, 2]]);
    expect(heldMinutes(3)).toEqual([
      ['c1', 2, null],
      ['c0', 7, 2],
    ]);
    expect(heldMinutes(4)).toEqual([['c1', 1, null]]);
    expect(heldMinutes(5)).toEqual([]);
  });

  it('is the same when the present state is asked about an earlier moment', () => {
    const now = authorityAt(events, NINE + 60 * MINUTE);
    expect(grantsHeld(now, NINE + 3 * MINUTE).map(({ grant: held }) => held.grantId)).toEqual(['c1', 'c0']);
    expect(grantsHeld(undefined, NINE)).toEqual([]);
  });
});

describe('what is still to be done about an agent', () => {
  const events = eventsOf([0, grant], [1, ask], [2, { ...grant, command: 'BreakGlass', durationMs: 2 * MINUTE }]);
  const state = authorityAt(events, NINE + 3 * MINUTE);

  it('is to record every end, the earliest first, under an id that every replica derives alike', () => {
    expect(
      dueCommands('clerk', state).map(({ dueAt, command }) => [(dueAt - NINE) / MINUTE, command.commandId]),
    ).toEqual([
      [4, 'ExpireGrant#c2'],
      [10, 'ExpireGrant#c0'],
      [31, 'ExpireRequest#c1'],
    ]);
    for (const { command } of dueCommands('clerk', state))
      expect(permissionCommandSchema.parse(command)).toEqual(command);
    expect(dueCommands('clerk', undefined)).toEqual([]);
  });

  it('is to look at every grant past the approvals', () => {
    expect(openReviews(state).map(({ grantId }) => grantId)).toEqual(['c2']);
  });

  it('is to supersede its open requests when the charter says something else of what they rest on, and only then', () => {
    const inForce = permissionTermsOf(charterNamed('c'), 'clerk');
    if (inForce === undefined) throw new Error('there are terms');
    expect(
      supersedeCommands('clerk', state, { ...inForce, charterDigest: 'd'.repeat(64), basisOf: () => 'e' }),
    ).toMatchObject([{ requestId: 'c1' }]);
    expect(supersedeCommands('clerk', state, { ...inForce, charterDigest: 'd'.repeat(64) })).toEqual([]);
    expect(supersedeCommands('clerk', state, inForce)).toEqual([]);
  });
});

describe('what makes a command the same command', () => {
  const suspend = { command: 'SuspendAgent', agentId: 'clerk', by: 'zoe', commandId: 'c1', reason: 'odd' } as const;

  it('is what was ordered, whatever the order of its fields', () => {
    const { reason, ...rest } = suspend;
    expect(commandDigestOf({ reason, ...rest }, sha256)).toBe(commandDigestOf(suspend, sha256));
    expect(commandDigestOf({ ...suspend, reason: 'odder' }, sha256)).not.toBe(commandDigestOf(suspend, sha256));
  });

  it('for a use is the grant, the intent, its exact action and what is done about it', () => {
    const use = { grantId: 'g', intentId: 'i', actionDigest: 'a' };
    const ids = [
      useCommandId('ReserveUse', use, sha256),
      useCommandId('ConfirmUse', use, sha256),
      useCommandId('ReserveUse', { ...use, actionDigest: 'b' }, sha256),
      useCommandId('ReserveUse', { ...use, grantId: 'h' }, sha256),
      useCommandId('ReserveUse', { ...use, intentId: 'j' }, sha256),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(useCommandId('ReserveUse', { ...use }, sha256)).toBe(ids[0]);
  });
});
