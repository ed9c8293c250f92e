import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { InMemorySpanExporter, type ReadableSpan } from '@opentelemetry/sdk-trace';
import { MemoryBus, MemoryLog, type ReceivedMessage } from '#bus';
import { TOPICS } from '#contracts';
import { Tracing } from '#telemetry';
import { eventually } from '#testing';
import { RemitAgent } from './remit-agent.js';

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const ACTION = { type: 'read_costs', target: 'reporting', parameters: { account: 'DE-secret' } };

describe('the trace of an agent', () => {
  const spans = new InMemorySpanExporter();
  const tracing = new Tracing({
    service: 'agent',
    version: '1',
    endpoint: 'http://127.0.0.1:1',
    sampling: { ratio: 1, keep: new Set() },
    exporter: spans,
  });
  let bus: MemoryBus;
  let agent: RemitAgent;

  beforeAll(() => tracing.registerGlobally());

  beforeEach(async () => {
    bus = new MemoryBus(new MemoryLog(Date.now));
    await bus.ensureTopics(Object.values(TOPICS));
    agent = await RemitAgent.connect({ bus, agentId: 'cost-monitor', timeoutMs: 20 });
  });

  afterEach(async () => {
    await agent.close();
    await bus.close();
    spans.reset();
  });

  afterAll(() => tracing.shutdown());

  async function finished(): Promise<readonly ReadableSpan[]> {
    // on a machine that stood still, a wait for a decision may be over before its intent is sent
    await nextTurn();
    await tracing.flush();
    return spans.getFinishedSpans();
  }

  async function intents(): Promise<ReceivedMessage[]> {
    const all: ReceivedMessage[] = [];
    const following = await bus.follow({ topics: [TOPICS.agentActions.name], from: 'start' }, (messages) => {
      all.push(...messages);
    });
    await eventually(() => all.length > 0);
    await following.stop();
    return all;
  }

  it('a proposal is a turn of its own, and its intent goes out under it', async () => {
    await agent.propose(ACTION);
    const all = await finished();
    const [send, invoke] = ['send agent.actions', 'invoke_agent cost-monitor'].map((name) =>
      all.find((span) => span.name === name),
    );
    expect(invoke?.parentSpanContext).toBeUndefined();
    expect(send?.parentSpanContext?.spanId).toBe(invoke?.spanContext().spanId);
    expect(invoke?.attributes).toMatchObject({ 'gen_ai.operation.name': 'invoke_agent', 'agent.id': 'cost-monitor' });
    const { traceId, spanId } = send?.spanContext() ?? {};
    expect((await intents()).map(({ headers }) => String(headers['traceparent']))).toEqual([
      `00-${traceId ?? ''}-${spanId ?? ''}-01`,
    ]);
    expect(JSON.stringify(all.map(({ attributes }) => attributes))).not.toContain('DE-secret');
  });

  it('several proposals of one turn hang under one span, in the trace that was handed in', async () => {
    await agent.invoke(
      async () => {
        await agent.propose(ACTION);
        await agent.propose(ACTION);
      },
      { traceparent: PARENT },
    );
    const all = await finished();
    const invokes = all.filter(({ name }) => name.startsWith('invoke_agent'));
    expect(invokes.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual(['b7ad6b7169203331']);
    const sends = all.filter(({ name }) => name === 'send agent.actions');
    expect(sends.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual(
      [invokes[0], invokes[0]].map((span) => span?.spanContext().spanId),
    );
  });

  it('what the application traces around it holds it, and another agent begins a turn of its own', async () => {
    const other = await RemitAgent.connect({ bus, agentId: 'planner', timeoutMs: 20 });
    await agent.invoke(() => other.propose(ACTION));
    await other.close();
    const all = await finished();
    const [outer, inner] = ['invoke_agent cost-monitor', 'invoke_agent planner'].map((name) =>
      all.find((span) => span.name === name),
    );
    expect(inner?.parentSpanContext?.spanId).toBe(outer?.spanContext().spanId);
  });

  it('a turn that fails is an error of its kind, and fails as before; what the error says stays with the agent', async () => {
    await expect(agent.invoke(() => Promise.reject(new RangeError('no account DE-secret')))).rejects.toThrow(
      'DE-secret',
    );
    const refused = Object.assign(new Error('no account DE-secret'), { code: 'ECONNREFUSED' });
    await expect(agent.invoke(() => Promise.reject(refused))).rejects.toBe(refused);
    const all = await finished();
    expect(all.map(({ status }) => status)).toEqual([
      { code: 2, message: 'RangeError' },
      { code: 2, message: 'ECONNREFUSED' },
    ]);
    expect(all.map(({ attributes }) => attributes['error.type'])).toEqual(['RangeError', 'ECONNREFUSED']);
  });

  it('a proposal that nobody could send is an error', async () => {
    await bus.close();
    const answer = await agent.propose(ACTION);
    expect(answer.code).toBe('REMIT_AGENT_PUBLISH_FAILED');
    const send = (await finished()).find(({ name }) => name === 'send agent.actions');
    expect(send?.status.code).toBe(2);
  });
});
