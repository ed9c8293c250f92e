import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RemitAgent } from '#agent';
import { KafkaBus, type ReceivedMessage } from '#bus';
import { EVENTS, TOPICS, partitionOfAgent, readEvent, sha256, writeEvent } from '#contracts';
import { type Action, type Decision, type Intent, type OutcomeReport, actionDigestOf } from '#domain';
import { requireKafka } from '#testing';
import { network } from './bus-world.js';

const brokers = requireKafka();
const run = randomUUID().slice(0, 8);
const READ_COSTS: Action = { type: 'read_costs', target: 'reporting', parameters: { month: '2026-10' } };
/** However slow the machine is, no decision is late that is not made late. */
const TTL_MS = 3_600_000;
const PATIENCE_MS = 240_000;

let remit: KafkaBus;
const agents: RemitAgent[] = [];
const heard: { intent: Intent; message: ReceivedMessage }[] = [];
const outcomes: OutcomeReport[] = [];

/** What the stand-in for Remit, the only one on these brokers, decides about an intent, one change of an allow per decision. */
let decides: (intent: Intent, appendTime: number) => Partial<Decision>[];

async function decide(intent: Intent, message: ReceivedMessage, changes: Partial<Decision>): Promise<void> {
  const data: Decision = {
    decisionId: sha256(intent.intentId),
    intentId: intent.intentId,
    agentId: intent.agentId,
    round: 1,
    chainId: intent.chainId ?? intent.intentId,
    action: { type: intent.action.type, target: intent.action.target, digest: actionDigestOf(intent.action, sha256) },
    outcome: 'allow',
    wouldBe: 'allow',
    stage: 'enforce',
    verdicts: [],
    stamp: {
      judgedAt: new Date(message.logTime).toISOString(),
      source: { topic: message.topic, partition: message.partition, offset: message.offset },
      charter: { digest: null, position: 0 },
      permissions: { position: 0 },
    },
    validUntil: new Date(message.logTime + TTL_MS).toISOString(),
    engine: 'remit 0.1.0',
    ...changes,
  };
  const event = writeEvent(EVENTS.decision, { id: data.decisionId, source: '/remit', subject: intent.agentId, data });
  await remit.publish([{ topic: TOPICS.agentDecisions.name, key: intent.agentId, ...event }]);
}

async function onIntents(messages: readonly ReceivedMessage[]): Promise<void> {
  for (const message of messages) {
    const reading = readEvent(EVENTS.intent, message);
    if (!reading.ok || !reading.event.data.agentId.startsWith(run)) continue;
    const intent = reading.event.data;
    heard.push({ intent, message });
    for (const changes of decides(intent, message.appendTime)) await decide(intent, message, changes);
  }
}

async function connect(name: string): Promise<RemitAgent> {
  const agent = await RemitAgent.connect({ brokers, agentId: `${run}-${name}`, timeoutMs: PATIENCE_MS });
  agents.push(agent);
  return agent;
}

beforeAll(async () => {
  remit = new KafkaBus({ brokers, clientId: 'stand-in' });
  await remit.ensureTopics(Object.values(TOPICS));
  await remit.follow({ topics: [TOPICS.agentActions.name], from: 'end' }, (messages) => void onIntents(messages));
  await remit.follow({ topics: [TOPICS.agentOutcomes.name], from: 'end' }, (messages) => {
    for (const message of messages) {
      const reading = readEvent(EVENTS.outcome, message);
      if (reading.ok && reading.event.data.agentId.startsWith(run)) outcomes.push(reading.event.data);
    }
  });
});

afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.close()));
});

afterAll(async () => {
  await remit.close();
});

describe('promise 1: an agent acts on the one effective decision, on real brokers', () => {
  it('an agent that has just connected misses no decision, and its outcome is on the log', async () => {
    decides = () => [{}];
    const agent = await connect('newcomer');
    const act = await agent.act(READ_COSTS, () => 'the costs');
    expect(act).toMatchObject({ status: 'executed', result: 'the costs' });
    expect(act.answer.mayActNow()).toBe(true);
    const { intentId } = act.answer;
    while (!outcomes.some((outcome) => outcome.intentId === intentId)) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const sent = heard.find(({ intent }) => intent.intentId === intentId);
    expect(sent?.message.key?.toString()).toBe(agent.agentId);
    expect(sent?.message.partition).toBe(partitionOfAgent(agent.agentId));
  });

  it('agents on several partitions with many proposals in flight each get their own answers', async () => {
    decides = ({ action }) => [{ outcome: action.parameters?.['even'] === true ? 'allow' : 'deny' }];
    const several = await Promise.all(['a', 'b', 'c'].map((name) => connect(name)));
    const answers = await Promise.all(
      several.flatMap((agent) =>
        Array.from({ length: 50 }, async (_, n) => {
          const answer = await agent.propose({ ...READ_COSTS, parameters: { n, even: n % 2 === 0 } });
          return {
            wanted: n % 2 === 0 ? 'allow' : 'deny',
            outcome: answer.outcome,
            its: answer.agentId === agent.agentId,
          };
        }),
      ),
    );
    expect(answers.filter(({ wanted, outcome, its }) => !its || wanted !== outcome)).toEqual([]);
  });

  it('the first final decision that the brokers appended in time counts', async () => {
    decides = (_, appendTime) => [
      { outcome: 'allow', validUntil: new Date(appendTime - 1).toISOString() },
      { outcome: 'hold' },
      { outcome: 'deny' },
      { outcome: 'allow' },
    ];
    const agent = await connect('patient');
    let held = 0;
    const answer = await agent.propose(READ_COSTS, { onHold: () => (held += 1) });
    expect(answer).toMatchObject({ outcome: 'deny', decision: { outcome: 'deny' } });
    expect(held).toBe(1);
  });
});

describe('promise 3: an agent fails closed, on real brokers', () => {
  it('an allow that the brokers appended too late means no', async () => {
    decides = (_, appendTime) => [{ validUntil: new Date(appendTime - 1).toISOString() }];
    const agent = await connect('late');
    expect(await agent.propose(READ_COSTS, { timeoutMs: 1000 })).toMatchObject({
      outcome: 'deny',
      code: 'REMIT_AGENT_NO_DECISION',
    });
  });

  it('brokers out of reach mean no, and once they are back the agent works on', async () => {
    decides = () => [{}];
    const line = network();
    const bus = new KafkaBus({ brokers, connection: { socketFactory: line.socketFactory } });
    const agent = await RemitAgent.connect({ bus, agentId: `${run}-cut-off` });
    line.cut();
    const answer = await agent.propose(READ_COSTS, { timeoutMs: 1000 });
    line.mend();
    const next = await agent.propose(READ_COSTS, { timeoutMs: PATIENCE_MS });
    await agent.close();
    await bus.close();
    expect(answer).toMatchObject({ outcome: 'deny' });
    expect(['REMIT_AGENT_NO_DECISION', 'REMIT_AGENT_PUBLISH_FAILED']).toContain(answer.code);
    expect(next).toMatchObject({ outcome: 'allow' });
  });
});
