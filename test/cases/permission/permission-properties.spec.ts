import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  authorises,
  authorityDecider,
  authorityFromSnapshot,
  authoritySnapshotSchema,
  authorityToSnapshot,
  evolveAuthority,
  heldAt,
  intentSchema,
  permissionCommandSchema,
  permissionEventSchema,
  samePerson,
  usesLeft,
  type AgentAuthority,
  type Grant,
  type PermissionCommand,
  type PermissionEvent,
  type PermissionTerms,
  type PlacedCommand,
} from '#domain';
import { loadPermissionCases } from './permission-cases.js';

const START = Date.UTC(2026, 0, 5, 9);
const MINUTE = 60_000;
const digests = ['a', 'b'].map((digit) => digit.repeat(64));
const intents = [1, 2, 3].map((n) => `01900000-0000-7000-8000-00000000000${String(n)}`);

function termsUnder(charterDigest: string): PermissionTerms {
  return {
    charterDigest,
    agentKnown: true,
    permissions: new Map([
      ['admin_access', { maxDurationMs: 30 * MINUTE, approvals: { count: 1, role: 'security' }, bind: [] }],
      ['production_change', { maxDurationMs: 30 * MINUTE, approvals: { count: 2, role: 'operations' }, bind: [] }],
    ]),
    basisOf: () => charterDigest,
    breakGlass: { role: 'incident-lead', maxDurationMs: 10 * MINUTE },
  };
}

const person = fc.constantFrom('ann', 'ann', 'Ann', 'ben', 'carla', 'olga', 'clerk');
const roles = fc.constantFrom(['operations', 'security', 'incident-lead'], ['operations'], ['security'], []);
const permission = fc.constantFrom('admin_access', 'production_change');
const durationMs = fc.constantFrom(5 * MINUTE, 10 * MINUTE, 30 * MINUTE);
const uses = fc.constantFrom(null, 1, 1, 2);
const digest = fc.constantFrom(...digests);
const intentId = fc.constantFrom(...intents);
const of = <Name extends string>(command: Name) => fc.constant(command);

const request = fc.record({
  command: of('RequestPermission'),
  by: fc.constantFrom('clerk', 'ben'),
  needs: fc.uniqueArray(permission, { minLength: 1 }).map((names) => names.map((name) => ({ permission: name }))),
  durationMs,
  uses,
  onBehalfOf: fc.constant('olga'),
  waitMs: fc.constantFrom(10 * MINUTE, 60 * MINUTE),
});
const grant = fc.record({
  command: fc.constantFrom('GrantPermission', 'BreakGlass'),
  by: person,
  roles: fc.constant(['security', 'incident-lead']),
  permission,
  durationMs,
  uses,
});
/** Every history begins with these, so that there is something for the others to be about. */
const lending = fc.tuple(grant, grant, request, request);
const requestId = fc.constantFrom('c2', 'c3', 'c2', 'c3', 'c9');
const grantId = fc.constantFrom('c0', 'c1', 'c2#1', 'c2#2', 'c3#1');
const use = { by: of('permission'), grantId, intentId, actionDigest: digest };

const ordered = fc.oneof(
  { weight: 1, arbitrary: request },
  { weight: 1, arbitrary: grant },
  { weight: 6, arbitrary: fc.record({ command: of('ApproveRequest'), by: person, roles, requestId }) },
  { weight: 1, arbitrary: fc.record({ command: of('RejectRequest'), by: person, roles, requestId }) },
  {
    weight: 1,
    arbitrary: fc.record({
      command: fc.constantFrom('CancelRequest', 'ExpireRequest', 'SupersedeRequest'),
      by: person,
      requestId,
    }),
  },
  { weight: 1, arbitrary: fc.record({ command: fc.constantFrom('RevokeGrant', 'ExpireGrant'), by: person, grantId }) },
  { weight: 1, arbitrary: fc.record({ command: of('CloseReview'), by: person, roles, grantId }) },
  { weight: 1, arbitrary: fc.record({ command: fc.constantFrom('RevokeAllGrants', 'SuspendAgent'), by: person }) },
  { weight: 1, arbitrary: fc.record({ command: of('ReinstateAgent'), by: person }) },
  { weight: 8, arbitrary: fc.record({ command: of('ReserveUse'), ...use, judgedAgo: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ command: of('ConfirmUse'), ...use, decisionId: digest }) },
  { weight: 2, arbitrary: fc.record({ command: of('ReleaseUse'), ...use }) },
);

/** How long after the command before, under which charter, and which earlier commands come again after it. */
const circumstances = fc.record({
  minutesLater: fc.constantFrom(0, 0, 0, 0, 1, 2),
  charter: fc.integer({ min: 0, max: 30 }).map((n) => (n === 30 ? 'd' : 'c')),
  again: fc.array(fc.nat(20), { maxLength: 2 }),
});
type Ordered = (typeof ordered extends fc.Arbitrary<infer Value> ? Value : never) & { readonly judgedAgo?: number };
type Circumstances = typeof circumstances extends fc.Arbitrary<infer Value> ? Value : never;

const deliveries = fc
  .tuple(lending, fc.array(ordered, { minLength: 5, maxLength: 40, size: 'max' }))
  .chain(([first, rest]) =>
    fc.tuple(...[...first, ...rest].map((order: Ordered) => circumstances.map((around) => ({ order, ...around })))),
  );
type Delivery = Circumstances & { readonly order: Ordered };

function placedCommands(delivered: readonly Delivery[]): PlacedCommand[] {
  let at = START;
  return delivered.map(({ order: { judgedAgo, ...order }, minutesLater, charter }, index) => {
    at += minutesLater * MINUTE;
    const command = permissionCommandSchema.parse({
      agentId: 'clerk',
      commandId: `c${String(index)}`,
      reason: 'because',
      ...order,
      ...(judgedAgo === undefined ? {} : { judgedAt: new Date(at - judgedAgo * MINUTE).toISOString() }),
    });
    return { command, at, terms: termsUnder(charter.repeat(64)) };
  });
}

/** Plays commands against one stream the way the event store does: a command id that comes again makes nothing new. */
function play(commands: readonly PlacedCommand[], again: (index: number) => readonly number[] = () => []) {
  let state: AgentAuthority = authorityDecider.initialState();
  const events: PermissionEvent[] = [];
  const states: AgentAuthority[] = [state];
  const handled = new Set<string>();
  const handle = (placed: PlacedCommand): void => {
    if (handled.has(placed.command.commandId)) return;
    const made = authorityDecider.decide(placed, state);
    if (made.length > 0) handled.add(placed.command.commandId);
    for (const event of made) {
      state = authorityDecider.evolve(state, event);
      events.push(event);
      states.push(state);
    }
  };
  commands.forEach((placed, index) => {
    handle(placed);
    for (const earlierIndex of again(index)) {
      const repeated = commands[earlierIndex];
      if (repeated !== undefined && earlierIndex <= index) handle({ ...repeated, at: placed.at });
    }
  });
  return { state, events, states };
}

/** By the whole history, the last word on each use: the long way round. */
function usesLeftByHistory({ grantId, uses }: Grant, events: readonly PermissionEvent[]): number | null {
  if (uses === null) return null;
  const last = new Map<string, PermissionEvent['event']>();
  for (const event of events) {
    if (!('intentId' in event) || event.grantId !== grantId) continue;
    last.set(`${event.intentId}/${event.actionDigest}`, event.event);
  }
  return uses - [...last.values()].filter((event) => event !== 'PermissionReleased').length;
}

const history = deliveries.map((delivered) =>
  play(placedCommands(delivered), (index) => delivered[index]?.again ?? []),
);

function question(of_: { permission: string; intentId: string; actionDigest: string; at: number }) {
  const intent = intentSchema.parse({
    agentId: 'clerk',
    intentId: of_.intentId,
    action: { type: 'update', target: 'ledger' },
  });
  const { permission: wanted, actionDigest, at } = of_;
  return { permission: wanted, intent, actionDigest, judgedAt: at, charterDigest: 'c'.repeat(64) };
}

const RUNS = { numRuns: 150 };
describe('whatever is ordered, in whatever order, however often', () => {
  it('a counted grant is never reserved or used oftener than it says', () => {
    fc.assert(
      fc.property(history, ({ states }) => {
        for (const { grants } of states) {
          for (const { uses: limit, used, reservations } of grants.values()) {
            const taken = used + reservations.size;
            if (limit === null) expect(taken).toBe(0);
            else expect(taken).toBeLessThanOrEqual(limit);
          }
        }
      }),
      RUNS,
    );
  });

  it('promise 7: no grant authorises before it is given, after its end, after its revocation or during a suspension', () => {
    fc.assert(
      fc.property(
        history,
        permission,
        intentId,
        digest,
        fc.nat(45),
        ({ state, events }, wanted, intent, action, minute) => {
          const at = START + minute * MINUTE;
          const answer = authorises(
            state,
            question({ permission: wanted, intentId: intent, actionDigest: action, at }),
          );
          if (!answer.authorised) return;
          expect(state.status).toBe('active');
          const granted = events.find(
            (event) => event.event === 'PermissionGranted' && event.grantId === answer.grantId,
          );
          expect(granted).toMatchObject({ event: 'PermissionGranted', permission: wanted });
          if (granted?.event !== 'PermissionGranted') return;
          expect(Date.parse(granted.at)).toBeLessThanOrEqual(at);
          expect(at).toBeLessThan(Date.parse(granted.expiresAt));
          expect(events).not.toContainEqual(
            expect.objectContaining({ event: 'PermissionRevoked', grantId: answer.grantId }),
          );
        },
      ),
      RUNS,
    );
  });

  it('nothing is granted on request without as many different people as it needs, none of them its own', () => {
    fc.assert(
      fc.property(history, ({ events }) => {
        for (const [index, event] of events.entries()) {
          if (event.event !== 'PermissionGranted' || event.requestId === undefined) continue;
          const { requestId } = event;
          const before = events.slice(0, index);
          const asked = before.find((one) => one.event === 'PermissionRequested' && one.requestId === requestId);
          if (asked?.event !== 'PermissionRequested') throw new Error('granted without a request');
          const need = asked.needs.find((one) => one.permission === event.permission);
          const approvers = before.flatMap((one) =>
            one.event === 'PermissionApprovalEntered' &&
            one.requestId === requestId &&
            one.roles.includes(need?.approvals.role ?? '')
              ? [one.by.toLowerCase()]
              : [],
          );
          expect(new Set(approvers).size).toBe(approvers.length);
          expect(approvers.length).toBeGreaterThanOrEqual(need?.approvals.count ?? Infinity);
          for (const own of ['clerk', 'olga', asked.by])
            expect(approvers.some((by) => samePerson(by, own))).toBe(false);
          expect(Date.parse(event.at)).toBeLessThan(Date.parse(asked.expiresAt));
          const ended = ['PermissionRejected', 'PermissionRequestExpired', 'PermissionRequestCancelled'];
          expect(
            before.filter((one) => 'requestId' in one && one.requestId === requestId && ended.includes(one.event)),
          ).toEqual([]);
        }
      }),
      RUNS,
    );
  });

  it('what is counted event by event is what a count of the whole history finds', () => {
    fc.assert(
      fc.property(history, ({ events, states }) => {
        for (const [length, state] of states.entries()) {
          const known = events.slice(0, length);
          for (const grant of state.grants.values()) {
            expect(usesLeft(grant)).toBe(usesLeftByHistory(grant, known));
          }
          const requests = [...state.requests.values()];
          const isAsked = ({ requestId }: { requestId: string }): boolean => requestId.startsWith('agent:');
          const isOpen = ({ status }: { status: string }): boolean => status === 'open';
          expect(state.alive).toEqual({
            requests: requests.filter((one) => isOpen(one) && one.held === undefined && !isAsked(one)).length,
            asked: requests.filter((one) => isOpen(one) && isAsked(one)).length,
            holds: requests.filter((one) => isOpen(one) && one.held !== undefined).length,
            grants: [...state.grants.values()].filter(({ status }) => status === 'granted').length,
          });
          expect([...state.endedRequests].sort()).toEqual(
            requests.flatMap((one) => (isOpen(one) ? [] : [one.requestId])).sort(),
          );
        }
      }),
      RUNS,
    );
  });

  it('a state never changes: what was known at a moment stays known', () => {
    fc.assert(
      fc.property(history, ({ events }) => {
        let state = authorityDecider.initialState();
        for (const event of events) {
          const before = JSON.stringify(authorityToSnapshot(state));
          const after = evolveAuthority(state, event);
          expect(JSON.stringify(authorityToSnapshot(state))).toBe(before);
          state = after;
        }
      }),
      { numRuns: 50 },
    );
  });

  it('the events alone rebuild the state, after a detour through JSON', () => {
    fc.assert(
      fc.property(history, ({ state, events }) => {
        const stored = events.map((event) => permissionEventSchema.parse(JSON.parse(JSON.stringify(event))));
        const rebuilt = stored.reduce<AgentAuthority>(evolveAuthority, authorityDecider.initialState());
        expect(authorityToSnapshot(rebuilt)).toEqual(authorityToSnapshot(state));
        expect(events.map(({ version }) => version)).toEqual(events.map((_, index) => index + 1));
        const snapshot = authorityToSnapshot(state);
        expect(authoritySnapshotSchema.parse(JSON.parse(JSON.stringify(snapshot)))).toEqual(snapshot);
        expect(authorityToSnapshot(authorityFromSnapshot(snapshot))).toEqual(snapshot);
      }),
      RUNS,
    );
  });

  it('events that come in any order, and more than once, lead to the same state', () => {
    const shuffled = history.chain(({ state, events }) =>
      fc
        .tuple(fc.shuffledSubarray(events, { minLength: events.length }), fc.subarray(events))
        .map(([all, repeated]) => ({ state, all, repeated })),
    );
    fc.assert(
      fc.property(shuffled, ({ state, all, repeated }) => {
        const read = [...repeated, ...all, ...repeated];
        const reached = read.reduce<AgentAuthority>(evolveAuthority, authorityDecider.initialState());
        expect(authorityToSnapshot(reached)).toEqual(authorityToSnapshot(state));
      }),
      RUNS,
    );
  });

  it('while an event is missing nothing is authorised', () => {
    fc.assert(
      fc.property(history, fc.nat(20), permission, ({ events }, missing, wanted) => {
        fc.pre(missing < events.length - 1);
        const known = events.filter((_, index) => index !== missing);
        const state = known.reduce<AgentAuthority>(evolveAuthority, authorityDecider.initialState());
        const at = START + MINUTE;
        const asked = question({ permission: wanted, intentId: intents[0] ?? '', actionDigest: digests[0] ?? '', at });
        expect(authorises(state, asked)).toMatchObject({ authorised: false, why: 'events missing' });
      }),
      RUNS,
    );
  });

  it('were every timer late or absent, no answer would differ', () => {
    fc.assert(
      fc.property(deliveries, permission, intentId, digest, fc.nat(45), (delivered, wanted, intent, action, minute) => {
        const commands = placedCommands(delivered);
        const timers: readonly PermissionCommand['command'][] = ['ExpireGrant', 'ExpireRequest'];
        const asked = question({
          permission: wanted,
          intentId: intent,
          actionDigest: action,
          at: START + minute * MINUTE,
        });
        const punctual = play(commands).state;
        const late = play(commands.filter(({ command }) => !timers.includes(command.command))).state;
        expect(authorises(late, asked)).toEqual(authorises(punctual, asked));
      }),
      RUNS,
    );
  });

  it('what was held at a moment of the past does not depend on what came later', () => {
    fc.assert(
      fc.property(history, fc.nat(45), ({ events }, minute) => {
        const at = START + minute * MINUTE;
        const known = events.filter((event) => Date.parse(event.at) <= at);
        expect(heldAt(events, at)).toEqual(heldAt(known, at));
        for (const { remainingMs, grant } of heldAt(events, at)) {
          expect(remainingMs).toBe(grant.expiresAt - at);
          expect(remainingMs).toBeGreaterThan(0);
        }
      }),
      RUNS,
    );
  });
});

describe('the cases', () => {
  it('show every command and every reason to refuse', () => {
    const said = JSON.stringify(loadPermissionCases(import.meta.dirname).map(({ cases }) => cases));
    const commands = permissionCommandSchema.options.map((option) => option.shape.command.value);
    const refusals = permissionEventSchema.options.flatMap((option) =>
      option.shape.event.value === 'PermissionRefused' && 'code' in option.shape ? option.shape.code.options : [],
    );
    expect(refusals.length).toBeGreaterThan(30);
    expect([...commands, ...refusals].filter((name) => !said.includes(`"${name}"`))).toEqual([]);
  });
});
