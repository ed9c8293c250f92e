import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { MemoryBus, MemoryLog, type ReceivedMessage } from '#bus';
import { EVENTS, TOPICS, readEvent, sha256, writeEvent } from '#contracts';
import { type Action, type Decision, type Intent, type OutcomeReport, actionDigestOf } from '#domain';
import { RemitAgent } from './remit-agent.js';

const READ_COSTS: Action = { type: 'read_costs', target: 'reporting', parameters: { month: '2026-10' } };
const NOON = Date.parse('2026-11-24T12:00:00.000Z');
const TTL_MS = 30_000;

/** The brokers' time, ms since the epoch. It stands still unless a test moves it. */
let brokerTime: number;
let log: MemoryLog;
let bus: MemoryBus;
let agent: RemitAgent;

/** What an agent has put on the log. */
interface Heard<Data> {
  readonly data: Data;
  readonly message: ReceivedMessage;
}
let intents: Heard<Intent>[];
let outcomes: Heard<OutcomeReport>[];

/** Called for every intent. Tests play Remit with it. */
let whenProposed: (intent: Intent) => Promise<void>;

function isoOf(time: number): string {
  return new Date(time).toISOString();
}

function decisionOn(intent: Intent, changes: Partial<Decision> = {}): Decision {
  const digest = actionDigestOf(intent.action, sha256);
  return {
    decisionId: sha256(`${intent.intentId} ${changes.round ?? 1}`),
    intentId: intent.intentId,
    agentId: intent.agentId,
    round: 1,
    chainId: intent.chainId ?? intent.intentId,
    action: { type: intent.action.type, target: intent.action.target, digest },
    outcome: 'allow',
    wouldBe: 'allow',
    stage: 'enforce',
    verdicts: [],
    stamp: {
      judgedAt: isoOf(brokerTime),
      source: { topic: TOPICS.agentActions.name, partition: 0, offset: 0 },
      charter: { digest: sha256('charter'), position: 1 },
      permissions: { position: 0 },
    },
    validUntil: isoOf(brokerTime + TTL_MS),
    engine: 'remit 0.1.0',
    ...changes,
  };
}

async function decide(
  intent: Intent,
  changes: Partial<Decision> = {},
  signed: Readonly<Record<string, Buffer>> = {},
): Promise<void> {
  const data = decisionOn(intent, changes);
  const event = writeEvent(EVENTS.decision, { id: data.decisionId, source: '/remit', subject: intent.agentId, data });
  await bus.publish([
    { topic: TOPICS.agentDecisions.name, key: intent.agentId, ...event, headers: { ...event.headers, ...signed } },
  ]);
}

/** Resolves once the agent has read every decision published so far: a later one has reached it. */
async function decisionsAreRead(): Promise<void> {
  const before = whenProposed;
  whenProposed = (intent) => decide(intent, { outcome: 'deny' });
  await agent.propose({ type: 'probe', target: 'probe' });
  whenProposed = before;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

beforeEach(async () => {
  // Only what the SDK measures time with: the bus works on in real turns.
  jest.useFakeTimers({
    now: NOON,
    doNotFake: ['setImmediate', 'clearImmediate', 'setInterval', 'clearInterval', 'nextTick', 'queueMicrotask'],
  });
  brokerTime = NOON;
  log = new MemoryLog(() => brokerTime);
  bus = new MemoryBus(log);
  await bus.ensureTopics(Object.values(TOPICS));
  intents = [];
  outcomes = [];
  whenProposed = (intent) => decide(intent);
  await bus.follow({ topics: [TOPICS.agentActions.name], from: 'start' }, (messages) => {
    for (const message of messages) {
      const reading = readEvent(EVENTS.intent, message);
      if (!reading.ok) throw new Error(reading.reason);
      intents.push({ data: reading.event.data, message });
      void whenProposed(reading.event.data);
    }
  });
  await bus.follow({ topics: [TOPICS.agentOutcomes.name], from: 'start' }, (messages) => {
    for (const message of messages) {
      const reading = readEvent(EVENTS.outcome, message);
      if (!reading.ok) throw new Error(reading.reason);
      outcomes.push({ data: reading.event.data, message });
    }
  });
  agent = await RemitAgent.connect({ bus, agentId: 'cost-monitor' });
});

afterEach(async () => {
  await agent.close();
  await bus.close();
  jest.useRealTimers();
});

describe('promise 1: an agent acts on the one effective decision', () => {
  it('an allowed action may be executed, exactly as it was judged', async () => {
    const answer = await agent.propose(READ_COSTS);
    expect(answer).toMatchObject({ outcome: 'allow', because: [], action: READ_COSTS, agentId: 'cost-monitor' });
    expect(answer.decision?.intentId).toBe(answer.intentId);
    expect(answer.actionDigest).toBe(actionDigestOf(READ_COSTS, sha256));
    expect(answer.mayActNow()).toBe(true);
    expect(intents[0]?.message.key?.toString()).toBe('cost-monitor');
  });

  it('a denied action says which enforced rules forbid it', async () => {
    const finding = {
      rule: 'system-access',
      effect: 'violation',
      severity: 'critical',
      reason: 'out of bounds',
    } as const;
    const findings = [
      { ...finding, enforced: true },
      { ...finding, rule: 'off-hours', enforced: false, notEnforced: 'shadow' as const },
    ];
    whenProposed = (intent) =>
      decide(intent, { outcome: 'deny', verdicts: [{ layer: 'boundary', findings, passed: [], facts: {} }] });
    const answer = await agent.propose(READ_COSTS);
    expect(answer).toMatchObject({ outcome: 'deny', because: ['boundary/system-access: out of bounds'] });
    expect(answer.code).toBeUndefined();
    expect(answer.mayActNow()).toBe(false);
  });

  it('the first final decision counts, whatever comes later', async () => {
    whenProposed = async (intent) => {
      await decide(intent, { outcome: 'deny' });
      await decide(intent, { outcome: 'allow' });
    };
    const answer = await agent.propose(READ_COSTS);
    await decisionsAreRead();
    expect(answer).toMatchObject({ outcome: 'deny' });
    expect(answer.mayActNow()).toBe(false);
  });

  it('a decision appended after its validUntil is void, the next one counts', async () => {
    whenProposed = async (intent) => {
      await decide(intent, { outcome: 'allow', validUntil: isoOf(brokerTime - 1) });
      await decide(intent, { outcome: 'deny' });
    };
    expect(await agent.propose(READ_COSTS)).toMatchObject({ outcome: 'deny' });
  });

  it('a decision appended at the very end of its validity counts', async () => {
    whenProposed = (intent) => decide(intent, { validUntil: isoOf(brokerTime) });
    expect(await agent.propose(READ_COSTS)).toMatchObject({ outcome: 'allow' });
  });

  it('decisions about another action, agent or intent, and what is no decision, are not its own', async () => {
    whenProposed = async (intent) => {
      await decide(intent, { action: { type: 'read_costs', target: 'reporting', digest: sha256('another') } });
      await decide(intent, { agentId: 'planner' });
      await decide(intent, { intentId: '0198a5a0-1111-7abc-8def-0123456789ab' });
      const stranger = writeEvent(EVENTS.decision, {
        id: 'a',
        source: '/remit',
        subject: 'planner',
        data: decisionOn(intent),
      });
      const topic = TOPICS.agentDecisions.name;
      const { partition = 0 } = intents.at(-1)?.message ?? {};
      await bus.publish([
        { topic, partition, key: 'planner', ...stranger },
        { topic, partition, key: 'cost-monitor', value: '{"outcome":"allow"}' },
        { topic, partition, key: 'cost-monitor', value: Buffer.from([0xff]) },
        { topic, partition, key: null, value: null },
      ]);
      await decide(intent, { outcome: 'deny' });
    };
    expect(await agent.propose(READ_COSTS)).toMatchObject({ outcome: 'deny' });
  });

  it('many proposals wait at once and each gets its own answer', async () => {
    const waiting: Intent[] = [];
    whenProposed = async (intent) => {
      waiting.push(intent);
      if (waiting.length < 40) return;
      for (const one of waiting.reverse()) {
        await decide(one, { outcome: one.action.parameters?.['even'] === true ? 'allow' : 'deny' });
      }
    };
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) => agent.propose({ ...READ_COSTS, parameters: { n, even: n % 2 === 0 } })),
    );
    expect(answers.map((answer) => answer.outcome)).toEqual(answers.map((_, n) => (n % 2 === 0 ? 'allow' : 'deny')));
    expect(new Set(answers.map((answer) => answer.intentId)).size).toBe(40);
  });
});

describe('promise 3: an agent fails closed', () => {
  it('no decision in time means no', async () => {
    whenProposed = () => Promise.resolve();
    const proposal = agent.propose(READ_COSTS, { timeoutMs: 5000 });
    jest.advanceTimersByTime(5000);
    const answer = await proposal;
    expect(answer).toMatchObject({ outcome: 'deny', code: 'REMIT_AGENT_NO_DECISION', waitedMs: 5000 });
    expect(answer.because.join()).toContain('5000 ms');
    expect(answer.mayActNow()).toBe(false);
  });

  it('a void decision alone means no', async () => {
    whenProposed = (intent) => decide(intent, { validUntil: isoOf(brokerTime - 1) });
    const proposal = agent.propose(READ_COSTS);
    await until(() => intents.length === 1);
    await decisionsAreRead();
    jest.advanceTimersByTime(30_000);
    expect(await proposal).toMatchObject({ outcome: 'deny', code: 'REMIT_AGENT_NO_DECISION' });
  });

  it('an allow that comes after the wait is over changes nothing', async () => {
    whenProposed = () => Promise.resolve();
    const proposal = agent.propose(READ_COSTS, { timeoutMs: 10 });
    jest.advanceTimersByTime(10);
    const answer = await proposal;
    await until(() => intents.length === 1);
    await decide(intents[0]?.data as Intent);
    await decisionsAreRead();
    expect(answer.outcome).toBe('deny');
    expect(answer.mayActNow()).toBe(false);
  });

  it('a bus that fails means no', async () => {
    await bus.close();
    expect(await agent.propose(READ_COSTS)).toMatchObject({ outcome: 'deny', code: 'REMIT_AGENT_PUBLISH_FAILED' });
  });

  it('an intent larger than a message may be means no, and is not sent', async () => {
    const answer = await agent.propose({ ...READ_COSTS, parameters: { text: 'x'.repeat(100_000) } });
    expect(answer).toMatchObject({ outcome: 'deny', code: 'REMIT_AGENT_INTENT_INVALID' });
  });

  it('closing the agent denies what still waits, and everything after', async () => {
    whenProposed = () => Promise.resolve();
    const proposal = agent.propose(READ_COSTS);
    await agent.close();
    expect(await proposal).toMatchObject({ outcome: 'deny', code: 'REMIT_AGENT_CLOSED' });
    expect(await agent.propose(READ_COSTS)).toMatchObject({ outcome: 'deny', code: 'REMIT_AGENT_CLOSED' });
  });

  const deep: Record<string, unknown> = {};
  let inner = deep;
  for (let level = 0; level < 10_000; level += 1) inner = inner['a'] = {} as Record<string, unknown>;
  it.each<[string, unknown]>([
    ['an unknown field', { ...READ_COSTS, approved: true }],
    ['no target', { type: 'read_costs' }],
    ['a number that JSON has not', { ...READ_COSTS, parameters: { amount: NaN } }],
    ['a big integer', { ...READ_COSTS, parameters: { amount: 1n } }],
    ['half a surrogate pair', { ...READ_COSTS, parameters: { name: '\ud800' } }],
    ['very deep parameters', { ...READ_COSTS, parameters: deep }],
    ['nothing', undefined],
  ])('an action with %s is denied and never sent', async (_, action) => {
    const answer = await agent.propose(action as Action);
    expect(answer).toMatchObject({ outcome: 'deny', code: 'REMIT_AGENT_INTENT_INVALID' });
    await decisionsAreRead();
    expect(intents.map(({ data }) => data.action.type)).toEqual(['probe']);
  });

  it('what is executed is what was judged, even if the proposal’s object has changed meanwhile', async () => {
    const action = { type: 'transfer', target: 'ledger', parameters: { amount: 1, to: { account: 'a' } } };
    const proposal = agent.propose(action);
    action.parameters.amount = 1_000_000;
    action.parameters.to.account = 'b';
    const answer = await proposal;
    expect(answer.action.parameters).toEqual({ amount: 1, to: { account: 'a' } });
    expect(() => Object.assign(answer.action.parameters?.['to'] ?? {}, { account: 'b' })).toThrow(TypeError);
  });

  it('a parameter called __proto__ is sent and under the digest', async () => {
    const parameters = JSON.parse('{"__proto__":{"amount":9}}') as Record<string, never>;
    const answer = await agent.propose({ type: 'transfer', target: 'ledger', parameters });
    expect(answer.outcome).toBe('allow');
    expect(intents[0]?.message.value?.toString()).toContain('"parameters":{"__proto__":{"amount":9}}');
  });

  it('an agent id that no key could be is refused at once', async () => {
    await expect(RemitAgent.connect({ bus, agentId: 'cost monitor' })).rejects.toMatchObject({
      code: 'REMIT_AGENT_ID_INVALID',
    });
  });
});

describe('promise 3: an allow runs out on the agent’s own clock', () => {
  it('counted from when the intent was sent', async () => {
    const answer = await agent.propose(READ_COSTS);
    jest.advanceTimersByTime(TTL_MS - 1);
    expect(answer.mayActNow()).toBe(true);
    jest.advanceTimersByTime(1);
    expect(answer.mayActNow()).toBe(false);
  });

  it('also while the machine sleeps and only the wall clock goes on', async () => {
    const answer = await agent.propose(READ_COSTS);
    jest.setSystemTime(NOON + TTL_MS);
    expect(answer.mayActNow()).toBe(false);
  });

  it('and no correction of the wall clock makes it last longer', async () => {
    const answer = await agent.propose(READ_COSTS);
    jest.setSystemTime(NOON - 3_600_000);
    jest.advanceTimersByTime(TTL_MS);
    expect(answer.mayActNow()).toBe(false);
  });

  it('however far the broker’s clock is from ours', async () => {
    brokerTime = NOON + 86_400_000;
    const answer = await agent.propose(READ_COSTS);
    jest.advanceTimersByTime(TTL_MS - 1);
    expect(answer.mayActNow()).toBe(true);
    jest.advanceTimersByTime(1);
    expect(answer.mayActNow()).toBe(false);
  });
});

describe('promise 1: a hold is not an answer', () => {
  const APPROVAL_TOOK_MS = 600_000;

  it('people are asked once, and the decision after their approval counts for its own time', async () => {
    whenProposed = async (intent) => {
      await decide(intent, { outcome: 'hold' });
      await decide(intent, { outcome: 'hold' });
    };
    const holds: Decision[] = [];
    const proposal = agent.propose(READ_COSTS, { timeoutMs: 3_600_000, onHold: (decision) => holds.push(decision) });
    await until(() => holds.length === 1);
    await decisionsAreRead();
    jest.advanceTimersByTime(APPROVAL_TOOK_MS);
    brokerTime += APPROVAL_TOOK_MS;
    await decide(intents[0]?.data as Intent, { round: 2 });
    const answer = await proposal;
    expect(holds).toHaveLength(1);
    expect(answer).toMatchObject({ outcome: 'allow', decision: { round: 2 }, waitedMs: APPROVAL_TOOK_MS });
    jest.advanceTimersByTime(TTL_MS - 1);
    expect(answer.mayActNow()).toBe(true);
    jest.advanceTimersByTime(1);
    expect(answer.mayActNow()).toBe(false);
  });

  it('a void hold asks nobody', async () => {
    whenProposed = async (intent) => {
      await decide(intent, { outcome: 'hold', validUntil: isoOf(brokerTime - 1) });
      await decide(intent, { outcome: 'deny' });
    };
    const holds: Decision[] = [];
    const answer = await agent.propose(READ_COSTS, { onHold: (decision) => holds.push(decision) });
    expect(answer.outcome).toBe('deny');
    expect(holds).toEqual([]);
  });

  it('no approval in time means no, and says so', async () => {
    whenProposed = (intent) => decide(intent, { outcome: 'hold' });
    let held = false;
    const proposal = agent.propose(READ_COSTS, { onHold: () => (held = true) });
    await until(() => held);
    jest.advanceTimersByTime(30_000);
    expect(await proposal).toMatchObject({ outcome: 'deny', code: 'REMIT_AGENT_STILL_HELD' });
  });

  it('a callback that fails means no, and does not disturb other proposals', async () => {
    whenProposed = (intent) => decide(intent, { outcome: intent.action.type === 'read_costs' ? 'hold' : 'allow' });
    const onHold = (): void => {
      throw new Error('nobody to ask');
    };
    const [held, other] = await Promise.all([
      agent.propose(READ_COSTS, { onHold }),
      agent.propose({ ...READ_COSTS, type: 'list_costs' }),
    ]);
    expect(held).toMatchObject({ outcome: 'deny', code: 'REMIT_AGENT_ON_HOLD_FAILED', because: ['nobody to ask'] });
    expect(other.outcome).toBe('allow');
  });
});

describe('what an agent proves of its cause', () => {
  const signed = { 'remit-signature': Buffer.from('as the service has signed it') };
  const proven = async (intent: Intent, changes: Partial<Decision> = {}): Promise<void> =>
    decide(intent, changes, signed);

  it('is the signed decision, exactly as it was written, whenever its answer is given as cause', async () => {
    whenProposed = (intent) => proven(intent);
    const first = await agent.propose(READ_COSTS);
    await agent.propose(READ_COSTS, { cause: first });
    const { agentId, intentId, proof } = intents[1]?.data.cause ?? {};
    expect({ agentId, intentId }).toEqual({ agentId: first.agentId, intentId: first.intentId });
    expect(JSON.parse(proof?.decision ?? '{}')).toMatchObject({ data: { intentId, outcome: 'allow' } });
    expect(Buffer.from(proof?.signature ?? '', 'base64url')).toEqual(signed['remit-signature']);
  });

  it('is nothing where nobody has signed the decision, or where it is a denial', async () => {
    expect((await agent.propose(READ_COSTS)).proof).toBeUndefined();
    whenProposed = (intent) => proven(intent, { outcome: 'deny' });
    expect((await agent.propose(READ_COSTS)).proof).toBeUndefined();
  });

  it('is left out where it makes the intent too large, so that the intent is judged with a claimed cause', async () => {
    const verdict = { layer: 'policy', findings: [], passed: [], facts: {} } as const;
    const long = (length: number) => [{ ...verdict, passed: [], findings: [], facts: { rule: 'x'.repeat(length) } }];
    for (const [length, note] of [
      [20_000, ''],
      [10_000, 'x'.repeat(58_000)],
    ] as const) {
      whenProposed = (intent) => proven(intent, { verdicts: long(length) });
      const first = await agent.propose(READ_COSTS);
      const second = await agent.propose({ ...READ_COSTS, parameters: { note } }, { cause: first });
      expect(second.outcome).toBe('allow');
      expect(intents.at(-1)?.data.cause).toEqual({ agentId: first.agentId, intentId: first.intentId });
    }
  });
});

describe('a chain can be followed over agents', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  it('an answer given as cause hands on its chain, its agent and its intent', async () => {
    const planner = await RemitAgent.connect({ bus, agentId: 'planner' });
    const trigger = { type: 'user_request', id: 'r-1' };
    const first = await planner.propose(READ_COSTS, { trigger, onBehalfOf: 'alice', chainId: 'monthly report' });
    await planner.close();
    const second = await agent.propose(READ_COSTS, { cause: first, precedingActions: ['read_costs'] });
    expect(second.chainId).toBe('monthly report');
    expect(intents.map(({ data }) => data)).toMatchObject([
      { agentId: 'planner', trigger, onBehalfOf: 'alice', chainId: 'monthly report' },
      {
        agentId: 'cost-monitor',
        cause: { agentId: 'planner', intentId: first.intentId },
        chainId: 'monthly report',
        precedingActions: ['read_costs'],
      },
    ]);
  });

  it('without a name the chain is called after its first intent', async () => {
    const first = await agent.propose(READ_COSTS);
    const second = await agent.propose(READ_COSTS, { cause: first });
    const third = await agent.propose(READ_COSTS, { cause: second });
    expect([first.chainId, second.chainId, third.chainId]).toEqual([first.intentId, first.intentId, first.intentId]);
  });

  it('trace headers go out with the intent and with its outcome', async () => {
    const trace = { traceparent, tracestate: 'a=1', baggage: 'b=2' };
    await agent.report(await agent.propose(READ_COSTS, trace), 'executed');
    await until(() => outcomes.length === 1);
    for (const { message } of [...intents, ...outcomes]) {
      const carried = Object.keys(trace).map((name) => [name, message.headers[name]?.toString()]);
      expect(Object.fromEntries(carried)).toEqual(trace);
    }
  });
});

describe('what came of an action is put on record', () => {
  it('executed: the digest of what was judged, with the decision it rests on', async () => {
    const act = await agent.act(READ_COSTS, ({ parameters }) => `costs of ${JSON.stringify(parameters)}`);
    expect(act).toMatchObject({ status: 'executed', result: 'costs of {"month":"2026-10"}' });
    await until(() => outcomes.length === 1);
    expect(outcomes[0]?.message.key?.toString()).toBe('cost-monitor');
    expect(outcomes[0]?.data).toEqual({
      intentId: act.answer.intentId,
      agentId: 'cost-monitor',
      decisionId: act.answer.decision?.decisionId,
      actionDigest: act.answer.actionDigest,
      status: 'executed',
      chainId: act.answer.chainId,
    });
  });

  it('failed: with what went wrong', async () => {
    const act = await agent.act(READ_COSTS, () => Promise.reject(new Error('the warehouse is down')));
    expect(act).toMatchObject({ status: 'failed', error: { message: 'the warehouse is down' } });
    await until(() => outcomes.length === 1);
    expect(outcomes[0]?.data).toMatchObject({ status: 'failed', detail: 'the warehouse is down' });
  });

  it('nothing is executed without an allow', async () => {
    whenProposed = (intent) => decide(intent, { outcome: 'deny' });
    let executed = false;
    const act = await agent.act(READ_COSTS, () => (executed = true));
    expect(act.status).toBe('not-allowed');
    expect(executed).toBe(false);
  });

  it('nothing is executed on an allow that has run out, and the record says so', async () => {
    whenProposed = async (intent) => {
      jest.advanceTimersByTime(TTL_MS);
      await decide(intent);
    };
    let executed = false;
    const act = await agent.act(READ_COSTS, () => (executed = true), { timeoutMs: 2 * TTL_MS });
    expect(act.status).toBe('too-late');
    expect(executed).toBe(false);
    await until(() => outcomes.length === 1);
    expect(outcomes[0]?.data).toMatchObject({ status: 'failed', detail: 'allowed, but too late to begin' });
  });

  it('an outcome that could not be reported does not hide what was executed', async () => {
    const act = await agent.act(READ_COSTS, async () => {
      await bus.close();
      return 'done';
    });
    expect(act).toMatchObject({ status: 'executed', result: 'done', reportError: { code: 'REMIT_BUS_CLOSED' } });
  });

  it('rolled back, and something else than was judged: the record shows the other digest', async () => {
    const answer = await agent.propose(READ_COSTS);
    const executed = { ...READ_COSTS, parameters: { month: '2026-09' } };
    await agent.report(answer, 'rolled-back', 'x'.repeat(5000), executed);
    await until(() => outcomes.length === 1);
    expect(outcomes[0]?.data).toMatchObject({ status: 'rolled-back', actionDigest: actionDigestOf(executed, sha256) });
    expect(outcomes[0]?.data.detail).toHaveLength(1024);
  });

  it('there is nothing to report without a decision, nor on another agent’s proposal, nor after closing', async () => {
    const planner = await RemitAgent.connect({ bus, agentId: 'planner' });
    const answer = await planner.propose(READ_COSTS);
    await planner.close();
    const invalid = await agent.propose({ type: '', target: '' });
    await expect(agent.report(invalid, 'executed')).rejects.toMatchObject({ code: 'REMIT_AGENT_NOTHING_TO_REPORT' });
    await expect(agent.report(answer, 'executed')).rejects.toMatchObject({ code: 'REMIT_AGENT_NOT_ITS_ANSWER' });
    await expect(planner.report(answer, 'executed')).rejects.toMatchObject({ code: 'REMIT_AGENT_CLOSED' });
  });
});
