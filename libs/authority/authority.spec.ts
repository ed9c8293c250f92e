import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { EVENTS, sha256, TOPICS } from '#contracts';
import { actionDigestOf, canonicalJson, LAYERS, type Decision, type Intent, type PermissionEvent } from '#domain';
import { EventStoreError } from '#event-store';
import { AuthorityWorld, enforcedReasons, eventually, storeWith } from '#testing';
import { standingOfCommand } from './command-handler.js';

const AGENT = 'clerk';
const MINUTE = 60_000;
const CHANGE = { type: 'update', target: 'ledger', parameters: { rate: 2 } };
const UNLOCK = { type: 'unlock', target: 'desk' };

function charterText({ never = 'drop', stage = 'enforce' } = {}): string {
  return `
charter: authority
stage: ${stage}
decision_ttl: 30s
classifications: [public, internal]
systems:
  desk: { classification: internal }
  ledger: { classification: internal, environment: production }
boundaries:
  - { id: verbs, never: [${never}] }
agents:
  ${AGENT}: { scope: { actions: ['*'], systems: [desk, ledger] } }
  other: { scope: { actions: ['*'], systems: [desk, ledger] } }
permissions:
  unlock_account: { required_for: { actions: [unlock] }, max_duration: 1h }
  production_change:
    max_duration: 30m
    bind: [action, target]
    hold_for: 10m
    approvals: { count: 2, role: operations }
policies:
  - id: production
    severity: critical
    scope: { actions: [update] }
    violated_when: action.environment == "production"
    effect: hold
    unless_granted: production_change
    reason: production data changes need two people
`;
}

const grantUnlock = {
  command: 'GrantPermission',
  agentId: AGENT,
  by: 'sam',
  roles: ['security'],
  permission: 'unlock_account',
  durationMs: 30 * MINUTE,
  uses: null,
};

function namesOf(events: readonly PermissionEvent[]): string[] {
  return events.map(({ event }) => event);
}

function outcomesOf(decisions: readonly Decision[]): [number, string][] {
  return decisions.map(({ round, outcome }) => [round, outcome]);
}

describe('temporary authority', () => {
  let world: AuthorityWorld;

  beforeEach(async () => {
    world = new AuthorityWorld();
    await world.open(charterText());
  });

  afterEach(() => world.close());

  /** The request that holds the intent, once it is open. */
  async function held(intent: Intent): Promise<{ requestId: string; actionDigest: string }> {
    const opened = await world.eventsNamed('PermissionRequested');
    const request = opened.find((event) => event.held?.intentId === intent.intentId);
    if (request?.held === undefined) throw new Error('no request was opened');
    return { requestId: request.requestId, actionDigest: request.held.actionDigest };
  }

  async function holdIntent(action = CHANGE, more: Partial<Intent> = {}): Promise<Intent> {
    const intent = await world.propose(AGENT, action, more);
    expect(outcomesOf(await world.decisionsOf(intent))).toEqual([[1, 'hold']]);
    await world.eventsNamed('PermissionRequested');
    return intent;
  }

  function approve(by: string, request: object): Promise<PermissionEvent[]> {
    return world.order({ command: 'ApproveRequest', agentId: AGENT, by, roles: ['operations'], ...request });
  }

  async function lastRound(intent: Intent): Promise<Decision> {
    const decisions = await world.decisionsOf(intent, 2);
    return decisions[1] as Decision;
  }

  describe('a held action', () => {
    it('goes on when two people have approved it, and its events alone tell the whole story', async () => {
      await world.start({ timer: true });
      const intent = await holdIntent(CHANGE, { onBehalfOf: 'paula', chainId: 'rates' });
      const request = await held(intent);
      await approve('olga', request);
      expect(outcomesOf(await world.decisionsOf(intent))).toEqual([[1, 'hold']]);
      await approve('otto', request);
      const decision = await lastRound(intent);
      expect([decision.round, decision.outcome, decision.requestId]).toEqual([2, 'allow', request.requestId]);
      await world.eventsNamed('PermissionUsed');
      expect(namesOf(await world.events())).toEqual([
        'PermissionRequested',
        'PermissionApprovalEntered',
        'PermissionApprovalEntered',
        'PermissionGranted',
        'PermissionReserved',
        'PermissionUsed',
      ]);
      const [used] = await world.eventsNamed('PermissionUsed');
      expect(used).toMatchObject({ intentId: intent.intentId, decisionId: decision.decisionId });
      const [granted] = await world.eventsNamed('PermissionGranted');
      expect(granted).toMatchObject({
        uses: 1,
        approvedBy: ['olga', 'otto'],
        constraints: { actionDigest: actionDigestOf(CHANGE, sha256), chainId: 'rates' },
      });
    });

    it('goes on in four separate services as it does in one', async () => {
      await world.start({ shape: LAYERS.map((layer) => [layer]) });
      const intent = await holdIntent();
      const request = await held(intent);
      await approve('olga', request);
      await approve('otto', request);
      expect((await lastRound(intent)).outcome).toBe('allow');
      await world.eventsNamed('PermissionUsed');
    });

    it('is asked about with everything it needs, for as long as the charter says', async () => {
      await world.start();
      const intent = await holdIntent(CHANGE, { onBehalfOf: 'paula' });
      const [asked] = await world.eventsNamed('PermissionRequested');
      expect(asked).toMatchObject({
        by: AGENT,
        reason: 'production data changes need two people',
        needs: [{ permission: 'production_change', rule: 'production', approvals: { count: 2, role: 'operations' } }],
        onBehalfOf: 'paula',
        held: { intentId: intent.intentId, action: { type: 'update', target: 'ledger' } },
      });
      expect(Date.parse(asked?.expiresAt ?? '') - Date.parse(asked?.at ?? '')).toBe(10 * MINUTE);
    });

    it('is denied as rejected after one rejection, and the request tells by whom and why', async () => {
      await world.start();
      const intent = await holdIntent();
      const { requestId } = await held(intent);
      const named = { by: 'olga', reason: 'not before the audit' };
      await world.order({ command: 'RejectRequest', agentId: AGENT, requestId, roles: ['operations'], ...named });
      const decision = await lastRound(intent);
      expect(outcomesOf([decision])).toEqual([[2, 'deny']]);
      expect(enforcedReasons(decision)).toContain('its approval was rejected');
      const facts = decision.verdicts.find(({ layer }) => layer === 'permission')?.facts;
      expect(facts).toMatchObject({ approval: { requestId, ended: 'rejected' } });
      expect(await world.eventsNamed('PermissionRejected')).toMatchObject([{ requestId, ...named }]);
    });

    it('is denied as expired, never as rejected, when nobody decides in time', async () => {
      await world.start({ timer: true });
      const intent = await holdIntent();
      world.turnOn(11 * MINUTE);
      const decision = await lastRound(intent);
      expect(decision.outcome).toBe('deny');
      expect(enforcedReasons(decision)).toContain('expired');
      expect(enforcedReasons(decision)).not.toContain('rejected');
    });

    it('is denied as cancelled when its own person takes it back', async () => {
      await world.start();
      const intent = await holdIntent(CHANGE, { onBehalfOf: 'paula' });
      const { requestId } = await held(intent);
      await world.order({ command: 'CancelRequest', agentId: AGENT, by: 'paula', requestId });
      expect(enforcedReasons(await lastRound(intent))).toContain('cancelled');
    });

    it('ends as superseded when the charter says something else of what it rests on, although nobody does anything', async () => {
      await world.start({ timer: true });
      const intent = await holdIntent();
      await world.activate(charterText().replace('hold_for: 10m', 'hold_for: 20m'));
      const decision = await lastRound(intent);
      expect(decision.outcome).toBe('deny');
      expect(enforcedReasons(decision)).toContain('superseded');
    });

    it('is denied under a new charter even where that charter would hold it no more', async () => {
      await world.start({ timer: true });
      const intent = await holdIntent();
      await world.activate(charterText().replace('action.environment == "production"', 'action.environment == "moon"'));
      const decision = await lastRound(intent);
      expect(decision.outcome).toBe('deny');
      expect(enforcedReasons(decision)).toMatch(/not-approved: .*superseded/);
    });

    it('cannot be approved by the person it acts for, nor by one who lacks the role, nor twice by one person', async () => {
      await world.start();
      const intent = await holdIntent(CHANGE, { onBehalfOf: 'Olga' });
      const request = await held(intent);
      expect(await approve('olga', request)).toMatchObject([{ code: 'REMIT_PERMISSION_SELF_APPROVAL' }]);
      expect(
        await world.order({ command: 'ApproveRequest', agentId: AGENT, by: 'eve', roles: ['finance'], ...request }),
      ).toMatchObject([{ code: 'REMIT_PERMISSION_ROLE_MISSING' }]);
      await approve('otto', request);
      expect(await approve('otto', request)).toMatchObject([{ code: 'REMIT_PERMISSION_ALREADY_APPROVED' }]);
      expect(await world.decisionsOf(intent)).toHaveLength(1);
    });

    it('of one kind approved lets no other through: not other parameters, not another agent', async () => {
      await world.start();
      const intent = await holdIntent();
      const request = await held(intent);
      await approve('olga', request);
      await approve('otto', request);
      expect((await lastRound(intent)).outcome).toBe('allow');
      expect((await world.decide(AGENT, { ...CHANGE, parameters: { rate: 3 } })).outcome).toBe('hold');
      expect((await world.decide(AGENT, { ...CHANGE, target: 'desk' })).outcome).toBe('allow');
      expect((await world.decide('other', CHANGE)).outcome).toBe('hold');
      // the very same action again: its one use is spent
      expect((await world.decide(AGENT, CHANGE, { chainId: intent.intentId })).outcome).toBe('hold');
    });

    it('must not be approved as another action than the person has seen', async () => {
      await world.start();
      const { requestId } = await held(await holdIntent());
      const other = actionDigestOf({ ...CHANGE, parameters: { rate: 3 } }, sha256);
      expect(await approve('olga', { requestId, actionDigest: other })).toMatchObject([
        { code: 'REMIT_PERMISSION_OTHER_ACTION' },
      ]);
    });

    it('gets one request, however often its decision is delivered', async () => {
      const first = await world.start();
      const intent = await holdIntent();
      const [decision] = await world.messages(TOPICS.agentDecisions);
      if (decision === undefined) throw new Error('nothing was decided');
      await world.publish({
        topic: decision.topic,
        key: decision.key,
        value: decision.value,
        headers: decision.headers,
      });
      const request = await held(intent);
      await approve('olga', request);
      await approve('otto', request);
      await lastRound(intent);
      expect(await world.eventsNamed('PermissionRequested')).toHaveLength(1);
      expect((await first.store.readStream(AGENT)).events.map(({ event }) => event.event)).not.toContain(
        'PermissionRefused',
      );
    });

    it('has second rounds that are alike, however often its end is delivered', async () => {
      const first = await world.start();
      const intent = await holdIntent();
      const request = await held(intent);
      await approve('olga', request);
      await approve('otto', request);
      await lastRound(intent);
      const again = (await world.messages(TOPICS.agentActions)).find(({ value }) =>
        String(value).includes(EVENTS.resubmittedIntent.type),
      );
      if (again === undefined) throw new Error('nothing was appended again');
      await world.publish({ topic: again.topic, key: again.key, value: again.value, headers: again.headers });
      const decisions = await world.decisionsOf(intent, 3);
      expect(new Set(decisions.slice(1).map(({ decisionId }) => decisionId)).size).toBe(1);
      await world.eventsNamed('PermissionUsed');
      const { events } = await first.store.readStream(AGENT);
      expect(events.filter(({ event }) => event.event === 'PermissionReserved')).toHaveLength(1);
      expect(events.filter(({ event }) => event.event === 'PermissionUsed')).toHaveLength(1);
    });
  });

  describe('a second round that somebody forges', () => {
    async function forge(data: { intent: Intent; requestId: string }): Promise<void> {
      const { agentId } = data.intent;
      await world.send(EVENTS.resubmittedIntent, TOPICS.agentActions, agentId, { round: 2, ...data });
    }

    it('gains nothing and harms nothing, whatever it names', async () => {
      await world.start();
      const intent = await holdIntent();
      const request = await held(intent);
      await forge({ intent, requestId: request.requestId });
      await forge({ intent: { ...intent, intentId: uuidv7() }, requestId: request.requestId });
      await forge({ intent: { ...intent, action: UNLOCK }, requestId: request.requestId });
      await forge({ intent: { ...intent, agentId: 'other' }, requestId: request.requestId });
      await forge({ intent, requestId: 'agent:mine' });
      const letters = await world.deadLetters(5);
      expect(letters.map(({ code }) => code)).toEqual(new Array(5).fill('REMIT_INTENT_NO_SECOND_ROUND'));
      await approve('olga', request);
      await approve('otto', request);
      expect(outcomesOf(await world.decisionsOf(intent, 2))).toEqual([
        [1, 'hold'],
        [2, 'allow'],
      ]);
    });
  });

  describe('a held action that its agent sends again with another content', () => {
    const OTHERS: readonly Partial<Intent>[] = [
      { onBehalfOf: 'paula' },
      { onBehalfOf: null },
      { trigger: { type: 'schedule' } },
      { cause: { agentId: 'other', intentId: '019a1b2c-0000-7000-8000-000000000001' } },
      { precedingActions: ['looked'] },
      { chainId: 'another' },
    ];

    it('as its own re-evaluation is a dead letter, and the effective decision names who was held', async () => {
      await world.start();
      const intent = await holdIntent(CHANGE, { onBehalfOf: 'mallory', chainId: 'rates' });
      const request = await held(intent);
      await approve('olga', request);
      const approval = approve('otto', request);
      await world.eventsNamed('PermissionGranted');
      for (const other of OTHERS) {
        const data = { intent: { ...intent, ...other }, round: 2 as const, requestId: request.requestId };
        await world.send(EVENTS.resubmittedIntent, TOPICS.agentActions, AGENT, data);
      }
      await approval;
      const letters = await world.deadLetters(OTHERS.length);
      expect(letters.map(({ code }) => code)).toEqual(OTHERS.map(() => 'REMIT_INTENT_NO_SECOND_ROUND'));
      const decision = await lastRound(intent);
      expect([decision.outcome, decision.onBehalfOf, decision.chainId]).toEqual(['allow', 'mallory', 'rates']);
    });
  });

  describe('an approval under a charter that changes', () => {
    const NEWCOMER = `
  newcomer: { scope: { actions: ['*'], systems: [desk] } }`;

    it.each([
      ['another agent is added', (text: string) => text.replace('agents:', `agents:${NEWCOMER}`)],
      ['another boundary is added', (text: string) => text.replace('never: [drop]', 'never: [drop, wipe]')],
      [
        'another system changes',
        (text: string) => text.replace('desk: { classification: internal', 'desk: { classification: public'),
      ],
    ])('counts on where %s', async (_, change) => {
      await world.start({ timer: true });
      const intent = await holdIntent();
      const request = await held(intent);
      await approve('olga', request);
      await world.activate(change(charterText()));
      await approve('otto', request);
      expect((await lastRound(intent)).outcome).toBe('allow');
    });

    it.each([
      ['the rule that held it', (text: string) => text.replace('"production"', '"moon"')],
      ['who has to approve it', (text: string) => text.replace('count: 2', 'count: 1')],
      [
        'the system that is acted on',
        (text: string) => text.replace('ledger: { classification: internal', 'ledger: { classification: public'),
      ],
      ['the agent itself', (text: string) => text.replace(`${AGENT}: {`, `${AGENT}: { owner: sales,`)],
      ['the mode of the rule', (text: string) => `${text}rollout: { production: shadow }\n`],
    ])('ends where the charter says something else of %s', async (_, change) => {
      await world.start({ timer: true });
      const intent = await holdIntent();
      await approve('olga', await held(intent));
      await world.activate(change(charterText()));
      const decision = await lastRound(intent);
      expect(decision.outcome).toBe('deny');
      expect(enforcedReasons(decision)).toMatch(/not-approved: .*superseded/);
    });
  });

  describe('a grant with counted uses', () => {
    it('is reserved before the verdict leaves and used by an allow', async () => {
      await world.start();
      const [granted] = await world.order({ ...grantUnlock, uses: 2 });
      const decision = await world.decide(AGENT, UNLOCK);
      expect(decision.outcome).toBe('allow');
      const [used] = await world.eventsNamed('PermissionUsed');
      expect(used).toMatchObject({ intentId: decision.intentId, grantId: granted?.commandId });
      expect(namesOf(await world.events())).toEqual(['PermissionGranted', 'PermissionReserved', 'PermissionUsed']);
    });

    it('gives its last use to exactly one of those who race for it, and every replica and every delivery agrees', async () => {
      await world.start();
      await world.start({ runtime: false, groupSuffix: ' zombie' });
      await world.order({ ...grantUnlock, uses: 1 });
      const intents = await world.proposeAtOnce(AGENT, [UNLOCK, UNLOCK, UNLOCK]);
      await world.start({ runtime: false, groupSuffix: ' late' });
      const decisions = await Promise.all(intents.map((intent) => world.decisionsOf(intent, 3)));
      for (const repeats of decisions) expect(new Set(repeats.map(canonicalJson)).size).toBe(1);
      expect(decisions.map(([first]) => first?.outcome).sort()).toEqual(['allow', 'deny', 'deny']);
      expect(await world.eventsNamed('PermissionReserved')).toHaveLength(1);
      expect(await world.eventsNamed('PermissionUsed')).toHaveLength(1);
      const denied = decisions.map(([first]) => first as Decision).filter(({ outcome }) => outcome === 'deny');
      for (const decision of denied) expect(enforcedReasons(decision)).toContain('no use left');
    });

    it('gives a redelivered intent the same answer long after its last use is spent and forgotten', async () => {
      await world.start();
      await world.order({ ...grantUnlock, uses: 1 });
      const intent = await world.propose(AGENT, UNLOCK);
      await world.eventsNamed('PermissionUsed');
      await world.start({ runtime: false, groupSuffix: ' late' });
      const [first, again] = await world.decisionsOf(intent, 2);
      expect(first?.outcome).toBe('allow');
      expect(canonicalJson(again)).toBe(canonicalJson(first));
      expect(await world.eventsNamed('PermissionReserved')).toHaveLength(1);
    });

    it('gives way to another grant when its last use is taken', async () => {
      await world.start();
      await world.order({ ...grantUnlock, uses: 1, durationMs: 10 * MINUTE });
      await world.order({ ...grantUnlock, uses: 1 });
      const intents = await world.proposeAtOnce(AGENT, [UNLOCK, UNLOCK, UNLOCK]);
      const decisions = await Promise.all(intents.map(async (intent) => (await world.decisionsOf(intent))[0]));
      expect(decisions.map((decision) => decision?.outcome).sort()).toEqual(['allow', 'allow', 'deny']);
    });

    it('is free again when a later layer denies the intent', async () => {
      await world.start({ shape: LAYERS.map((layer) => [layer]) });
      await world.order({ ...grantUnlock, uses: 1 });
      const denied = await world.decide(AGENT, { ...UNLOCK, target: 'nowhere' });
      expect(denied.outcome).toBe('deny');
      await world.eventsNamed('PermissionReleased');
      await world.settled();
      expect((await world.decide(AGENT, UNLOCK)).outcome).toBe('allow');
    });

    it('is free again when the decision came too late to count', async () => {
      const replica = await world.start();
      await world.order({ ...grantUnlock, uses: 1 });
      await replica.stop();
      const intent = await world.propose(AGENT, UNLOCK);
      world.turnOn(MINUTE);
      await world.start();
      expect((await world.decisionsOf(intent))[0]?.outcome).toBe('allow');
      await world.eventsNamed('PermissionReleased');
      await world.settled();
      expect((await world.decide(AGENT, UNLOCK)).outcome).toBe('allow');
    });

    it('gives nothing twice to an intent that is sent twice', async () => {
      await world.start();
      await world.order({ ...grantUnlock, uses: 1 });
      const intent = await world.propose(AGENT, UNLOCK);
      await world.decisionsOf(intent);
      await world.eventsNamed('PermissionUsed');
      await world.send(EVENTS.intent, TOPICS.agentActions, AGENT, intent);
      await world.decisionsOf(intent, 2);
      await world.settled();
      expect(await world.eventsNamed('PermissionReserved')).toHaveLength(1);
      expect((await world.decide(AGENT, UNLOCK)).outcome).toBe('deny');
    });

    it('authorises nothing in a process that has no store to count in', async () => {
      await world.start({ counts: false });
      await world.order({ ...grantUnlock, uses: 1 });
      const decision = await world.decide(AGENT, UNLOCK);
      expect(decision.outcome).toBe('deny');
      expect(enforcedReasons(decision)).toContain('uses not counted here');
      await world.order(grantUnlock);
      expect((await world.decide(AGENT, UNLOCK)).outcome).toBe('allow');
    });

    it('is not a way to flood the store: intents beyond the last use leave no trail of refusals', async () => {
      const { store } = await world.start();
      await world.order({ ...grantUnlock, uses: 1 });
      const intents = await world.proposeAtOnce(AGENT, new Array(60).fill(UNLOCK));
      const decisions = await Promise.all(intents.map(async (intent) => (await world.decisionsOf(intent))[0]));
      expect(decisions.filter((decision) => decision?.outcome === 'allow')).toHaveLength(1);
      await world.eventsNamed('PermissionUsed');
      expect((await store.readStream(AGENT)).version).toBeLessThan(10);
    });

    it('makes intents wait while the store is away, and none is lost', async () => {
      let away = false;
      await world.start({
        store: (store) =>
          storeWith(store, {
            append: (stream, append) =>
              away
                ? Promise.reject(new EventStoreError('REMIT_EVENT_STORE_UNAVAILABLE', 'PostgreSQL does not answer'))
                : store.append(stream, append),
          }),
      });
      await world.order({ ...grantUnlock, uses: 1 });
      away = true;
      const intent = await world.propose(AGENT, UNLOCK);
      const sent = world.order({ command: 'SuspendAgent', agentId: AGENT, by: 'sam' });
      await world.quiet(100);
      expect(await world.decisionsOf(intent, 0)).toEqual([]);
      away = false;
      expect((await world.decisionsOf(intent)).map(({ outcome }) => outcome)).toHaveLength(1);
      expect(namesOf(await sent)).toEqual(['AgentSuspended']);
    });

    it('is not used up in stage observe, nor by what is denied', async () => {
      const { store } = await world.start();
      await world.order({ ...grantUnlock, uses: 1 });
      expect((await world.decide(AGENT, { ...UNLOCK, target: 'vault' })).outcome).toBe('deny');
      await world.activate(charterText({ stage: 'observe' }));
      expect((await world.decide(AGENT, UNLOCK)).outcome).toBe('allow');
      const { events } = await store.readStream(AGENT);
      expect(namesOf(events.map(({ event }) => event))).toEqual(['PermissionGranted']);
    });
  });

  describe('taking back', () => {
    it('binds every intent after it, and none before: a revoked grant', async () => {
      await world.start();
      const [granted] = await world.order(grantUnlock);
      expect((await world.decide(AGENT, UNLOCK)).outcome).toBe('allow');
      await world.order({ command: 'RevokeGrant', agentId: AGENT, by: 'sam', grantId: granted?.commandId });
      const decision = await world.decide(AGENT, UNLOCK);
      expect(decision.outcome).toBe('deny');
      expect(enforcedReasons(decision)).toContain('revoked');
    });

    it('binds every intent after it: a suspended agent may do nothing, not even what it holds', async () => {
      await world.start();
      await world.order(grantUnlock);
      await world.order({ command: 'SuspendAgent', agentId: AGENT, by: 'sam' });
      expect((await world.decide(AGENT, UNLOCK)).outcome).toBe('deny');
      expect((await world.decide(AGENT, { type: 'read', target: 'desk' })).outcome).toBe('deny');
      await world.order({ command: 'ReinstateAgent', agentId: AGENT, by: 'sam' });
      expect((await world.decide(AGENT, UNLOCK)).outcome).toBe('allow');
    });

    it('of an agent’s authority is certain even from an event that nobody can read', async () => {
      await world.start({ runtime: false });
      expect((await world.decide(AGENT, { type: 'read', target: 'desk' })).outcome).toBe('allow');
      await world.publish({ topic: TOPICS.permissionEvents.name, key: AGENT, value: 'AgentSuspended!' });
      await world.quiet(3);
      const decision = await world.decide(AGENT, { type: 'read', target: 'desk' });
      expect(decision.outcome).toBe('deny');
      expect(enforcedReasons(decision)).toContain('not known');
      expect((await world.decide('other', { type: 'read', target: 'desk' })).outcome).toBe('allow');
    });
  });

  describe('time', () => {
    it('ends a grant by itself: with every timer stopped, no decision differs', async () => {
      await world.start();
      await world.order({ ...grantUnlock, durationMs: MINUTE });
      expect((await world.decide(AGENT, UNLOCK)).outcome).toBe('allow');
      world.turnOn(MINUTE);
      const decision = await world.decide(AGENT, UNLOCK);
      expect(decision.outcome).toBe('deny');
      expect(enforcedReasons(decision)).toContain('expired');
      expect(namesOf(await world.events())).toEqual(['PermissionGranted']);
    });

    it('records the end of a grant once, however many timers watch it', async () => {
      const { store } = await world.start({ timer: true });
      await world.start({ timer: true });
      await world.order({ ...grantUnlock, durationMs: MINUTE });
      world.turnOn(MINUTE);
      await world.eventsNamed('PermissionExpired');
      await world.quiet(30);
      const { events } = await store.readStream(AGENT);
      expect(namesOf(events.map(({ event }) => event))).toEqual(['PermissionGranted', 'PermissionExpired']);
    });

    it('closes a request that has run out for whoever comes too late, even with every timer stopped', async () => {
      await world.start();
      const intent = await holdIntent();
      const request = await held(intent);
      world.turnOn(11 * MINUTE);
      expect(namesOf(await approve('olga', request))).toEqual(['PermissionRequestExpired', 'PermissionRefused']);
      expect(enforcedReasons(await lastRound(intent))).toContain('expired');
    });
  });

  describe('commands', () => {
    it('count once, however often they are delivered, and answer alike', async () => {
      const { store } = await world.start();
      const commandId = uuidv7();
      const first = await world.order({ ...grantUnlock, commandId });
      expect(await world.order({ ...grantUnlock, commandId })).toEqual(first);
      await eventually(async () => (await world.messages(TOPICS.permissionEvents)).length === 2);
      expect((await store.readStream(AGENT)).version).toBe(1);
    });

    it('are put aside where their id was used for other content', async () => {
      const { store } = await world.start();
      const commandId = uuidv7();
      const command = { ...grantUnlock, commandId, reason: 'as the test says', command: 'GrantPermission' as const };
      expect(await standingOfCommand(store, command)).toEqual({ status: 'new' });
      await world.order(command);
      expect(await standingOfCommand(store, command)).toMatchObject({
        status: 'done',
        events: [{ event: 'PermissionGranted' }],
      });
      expect(await standingOfCommand(store, { ...command, durationMs: MINUTE })).toEqual({ status: 'other content' });
      await world.send(EVENTS.permissionCommand, TOPICS.permissionCommands, AGENT, { ...command, durationMs: MINUTE });
      const [letter] = await world.deadLetters(1);
      expect(letter?.code).toBe('REMIT_EVENT_STORE_COMMAND_ID_REUSED');
      expect((await store.readStream(AGENT)).version).toBe(1);
    });

    it('that cannot be read, or that nobody may send, are put aside and stop nobody', async () => {
      await world.start();
      const topic = TOPICS.permissionCommands;
      await world.publish({ topic: topic.name, key: AGENT, value: '{' });
      const suspend = { command: 'SuspendAgent' as const, agentId: AGENT, by: 'sam', reason: 'a test' };
      await world.send(EVENTS.permissionCommand, topic, 'other', { ...suspend, commandId: 'c1' });
      await world.send(EVENTS.permissionCommand, topic, AGENT, { ...suspend, commandId: 'hold:c2' });
      await world.send(EVENTS.permissionCommand, topic, AGENT, {
        ...suspend,
        command: 'ReleaseUse',
        commandId: 'c3',
        grantId: 'g',
        intentId: uuidv7(),
        actionDigest: 'a'.repeat(64),
      });
      const letters = await world.deadLetters(4);
      expect(letters.map(({ code }) => code).sort()).toEqual([
        'REMIT_COMMAND_ID_RESERVED',
        'REMIT_COMMAND_KEY_MISMATCH',
        'REMIT_COMMAND_NOT_FOR_PEOPLE',
        'REMIT_EVENT_NOT_JSON',
      ]);
      expect(namesOf(await world.order(grantUnlock))).toEqual(['PermissionGranted']);
    });

    it('are decided by the charter in force when they were sent, also when they are read long after', async () => {
      await world.send(EVENTS.permissionCommand, TOPICS.permissionCommands, AGENT, {
        ...grantUnlock,
        command: 'GrantPermission',
        commandId: 'early',
        reason: 'before the change',
      });
      await world.quiet(3);
      await world.activate(charterText().replace('max_duration: 1h', 'max_duration: 1m'));
      await world.start();
      expect(namesOf(await world.eventsNamed('PermissionGranted'))).toEqual(['PermissionGranted']);
      expect(await world.order(grantUnlock)).toMatchObject([{ code: 'REMIT_PERMISSION_DURATION' }]);
    });

    it('are published by another replica when the one that stored them died before it could say so', async () => {
      const dying = await world.start({
        spoilBus: (bus) => ({
          ensureTopics: (topics) => bus.ensureTopics(topics),
          consume: (options, handler) => bus.consume(options, handler),
          follow: (options, onMessages) => bus.follow(options, onMessages),
          starts: (topics) => bus.starts(topics),
          committed: (group, topics) => bus.committed(group, topics),
          ends: (topics) => bus.ends(topics),
          firstBetween: (topic, partition, from, to) => bus.firstBetween(topic, partition, from, to),
          readAt: (topic, partition, offset) => bus.readAt(topic, partition, offset),
          standstills: () => bus.standstills(),
          close: () => bus.close(),
          publish: () => {
            dying.crash();
            return Promise.reject(new Error('the process has died'));
          },
        }),
        runtime: true,
      });
      const ordered = world.order(grantUnlock);
      await eventually(async () => (await dying.store.unpublished(1)).length === 1);
      const survivor = await world.start({ timer: true });
      expect(namesOf(await ordered)).toEqual(['PermissionGranted']);
      await eventually(async () => (await survivor.store.unpublished(1)).length === 0);
      expect((await survivor.store.readStream(AGENT)).version).toBe(1);
      expect((await world.decide(AGENT, UNLOCK)).outcome).toBe('allow');
    });
  });

  describe('an agent', () => {
    const asked = {
      ask: 'RequestPermission' as const,
      agentId: AGENT,
      id: 'unlock-1',
      reason: 'a customer is locked out',
      needs: ['production_change'],
      durationMs: MINUTE,
      uses: 1,
      constraints: { actionDigest: actionDigestOf(CHANGE, sha256) },
      waitMs: 5 * MINUTE,
    };

    it('may ask for a permission, which others then approve, but never approve it itself', async () => {
      await world.start();
      await world.send(EVENTS.permissionRequest, TOPICS.permissionRequests, AGENT, asked);
      const [request] = await world.eventsNamed('PermissionRequested');
      expect(request).toMatchObject({ requestId: 'agent:unlock-1', by: AGENT });
      const requestId = 'agent:unlock-1';
      expect(await approve(AGENT, { requestId })).toMatchObject([{ code: 'REMIT_PERMISSION_SELF_APPROVAL' }]);
      await approve('olga', { requestId });
      await approve('otto', { requestId });
      expect((await world.decide(AGENT, CHANGE)).outcome).toBe('allow');
    });

    it('may take back what it has asked for, and nothing else', async () => {
      await world.start();
      const intent = await holdIntent();
      const { requestId } = await held(intent);
      await world.send(EVENTS.permissionRequest, TOPICS.permissionRequests, AGENT, asked);
      await world.eventsNamed('PermissionRequested', 2);
      const cancel = { ask: 'CancelRequest' as const, agentId: AGENT, reason: 'not needed' };
      const topic = TOPICS.permissionRequests;
      await world.send(EVENTS.permissionRequest, topic, AGENT, { ...cancel, id: 'a', requestId });
      await world.send(EVENTS.permissionRequest, topic, AGENT, { ...cancel, id: 'b', requestId: 'unlock-1' });
      const [cancelled] = await world.eventsNamed('PermissionRequestCancelled');
      expect(cancelled).toMatchObject({ requestId: 'agent:unlock-1' });
      expect(await world.eventsNamed('PermissionRefused')).toMatchObject([
        { code: 'REMIT_PERMISSION_REQUEST_UNKNOWN' },
      ]);
    });

    it('cannot ask under the key, or in the name, of another', async () => {
      await world.start();
      await world.send(EVENTS.permissionRequest, TOPICS.permissionRequests, 'other', asked);
      expect((await world.deadLetters(1)).map(({ code }) => code)).toEqual(['REMIT_COMMAND_KEY_MISMATCH']);
    });
  });
});
