import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { InMemorySpanExporter, type ReadableSpan } from '@opentelemetry/sdk-trace';
import { v7 as uuidv7 } from 'uuid';
import { MemoryBus, MemoryLog, type BatchResult, type ReceivedMessage } from '#bus';
import { EVENTS, sha256, TOPICS, writeEvent } from '#contracts';
import { checkCharter, LAYERS, type Intent, type Layer } from '#domain';
import { traceIdOfChain, Tracing, type SamplingTerms } from '#telemetry';
import { eventually } from '#testing';
import type { JudgingWatch } from './judged.js';
import { traceJudging } from './judging-trace.js';
import { createSegment, inputTopicOf } from './segment.js';
import { CHARTER_KEY, createViews } from './views.js';

const AGENT = 'reporter';
const CHARTER = `
charter: traces
stage: enforce
decision_ttl: 30s
classifications: [public, internal]
systems:
  reporting: { classification: internal }
boundaries:
  - { id: action-restriction, never: [drop] }
agents:
  ${AGENT}: { owner: tests, purpose: report, scope: { actions: [read], systems: [reporting] } }
`;
const TRACE = '0af7651916cd43dd8448eb211c80319c';
/** A busy machine is slow; its views are not behind. */
const VIEW_WAIT_MS = 60_000;
const TRACED = `00-${TRACE}-b7ad6b7169203331-01`;
const UNTRACED = `00-${TRACE}-b7ad6b7169203331-00`;

describe('the trace of what is judged', () => {
  let now = Date.UTC(2026, 10, 3, 12);
  let bus: MemoryBus;
  let log: MemoryLog;
  let spans: InMemorySpanExporter;
  let tracing: Tracing | undefined;
  const stops: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    log = new MemoryLog(() => now);
    bus = new MemoryBus(log);
    await bus.ensureTopics(Object.values(TOPICS));
    const checked = checkCharter(CHARTER, sha256);
    if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
    const { name, digest } = checked.charter;
    const event = writeEvent(EVENTS.charterEvent, {
      id: digest,
      source: '/test',
      subject: name,
      data: { event: 'CharterActivated', charter: name, digest, text: CHARTER, activatedBy: 'test' },
    });
    await bus.publish([{ topic: TOPICS.charterEvents.name, key: CHARTER_KEY, ...event }]);
    now += 1;
    spans = new InMemorySpanExporter();
  });

  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
    await tracing?.shutdown();
    await bus.close();
  });

  async function start(segments: readonly (readonly Layer[])[], sampling: SamplingTerms): Promise<void> {
    tracing = new Tracing({
      service: 'remit-test',
      version: '1',
      endpoint: 'http://127.0.0.1:1',
      sampling,
      exporter: spans,
    });
    for (const layers of segments) {
      const own = new MemoryBus(log);
      const views = createViews(own);
      await views.start();
      const group = `test.${layers.join('.')}`;
      const segment = createSegment(
        { layers, engine: 'remit/test', viewWaitMs: VIEW_WAIT_MS, watches: [traceJudging(tracing, group)] },
        views,
      );
      const consumption = await own.consume({ group, topics: [inputTopicOf(layers)] }, segment);
      stops.push(async () => {
        await consumption.stop();
        await views.stop();
        await own.close();
      });
    }
  }

  async function propose(type: string, headers: Record<string, string>, chainId = 'a chain'): Promise<void> {
    const intent: Intent = {
      intentId: uuidv7(),
      agentId: AGENT,
      action: { type, target: 'reporting', parameters: { account: 'DE-secret' } },
      chainId,
    };
    const event = writeEvent(EVENTS.intent, { id: intent.intentId, source: '/test', subject: AGENT, data: intent });
    const message = { value: event.value, headers: { ...headers, ...event.headers } };
    await bus.publish([{ topic: TOPICS.agentActions.name, key: AGENT, ...message }]);
    now += 1;
  }

  async function decisions(count: number): Promise<ReceivedMessage[]> {
    const all: ReceivedMessage[] = [];
    const following = await bus.follow({ topics: [TOPICS.agentDecisions.name], from: 'start' }, (messages) => {
      all.push(...messages);
    });
    await eventually(() => all.length >= count);
    await following.stop();
    await tracing?.flush();
    expect(all).toHaveLength(count);
    return all;
  }

  const named = (name: string): ReadableSpan[] => spans.getFinishedSpans().filter((span) => span.name === name);
  const parentOf = ({ parentSpanContext }: ReadableSpan): string | undefined => parentSpanContext?.spanId;
  const all: SamplingTerms = { ratio: 1, keep: new Set(['deny', 'hold']) };

  it('is one span a process and intent, under the one before, and the decision under the last', async () => {
    await start(
      LAYERS.map((layer) => [layer]),
      all,
    );
    await propose('read', { traceparent: TRACED });
    const [decision] = await decisions(1);
    const path = [
      'process agent.actions',
      'process governance.boundary-checked',
      'process governance.permission-checked',
      'process governance.scope-verified',
      'send agent.decisions',
    ].map((name) => named(name)[0]);
    expect(path.map((span) => span && parentOf(span))).toEqual([
      'b7ad6b7169203331',
      ...path.slice(0, -1).map((span) => span?.spanContext().spanId),
    ]);
    expect(new Set(path.map((span) => span?.spanContext().traceId))).toEqual(new Set([TRACE]));
    expect(String(decision?.headers['traceparent'])).toBe(`00-${TRACE}-${path.at(-1)?.spanContext().spanId ?? ''}-01`);
  });

  it('links every intent to the batch it came in', async () => {
    await start([LAYERS], all);
    await propose('read', { traceparent: TRACED });
    await propose('read', { traceparent: TRACED });
    await decisions(2);
    const polls = new Set(named('poll agent.actions').map((poll) => poll.spanContext().spanId));
    const links = named('process agent.actions').flatMap((span) => span.links.map(({ context }) => context.spanId));
    expect(links).toHaveLength(2);
    for (const link of links) expect(polls).toContain(link);
  });

  it('says what each layer found, as events of one span, and nothing of what the action is done with', async () => {
    await start([LAYERS], all);
    await propose('drop', { traceparent: TRACED });
    await decisions(1);
    const [span] = named('process agent.actions');
    expect(
      span?.events.filter(({ name }) => name === 'remit.verdict').map(({ attributes }) => attributes),
    ).toMatchObject(LAYERS.map((layer) => ({ 'remit.layer': layer })));
    expect(
      span?.events.filter(({ name }) => name === 'remit.finding').map(({ attributes }) => attributes),
    ).toMatchObject([
      { 'remit.layer': 'boundary', 'remit.rule': 'action-restriction', 'remit.enforced': true },
      { 'remit.layer': 'verification', 'remit.rule': 'intended-scope' },
    ]);
    expect(
      JSON.stringify(spans.getFinishedSpans().map(({ attributes, events }) => [attributes, events])),
    ).not.toContain('DE-secret');
  });

  it('hands baggage on and takes nothing from it', async () => {
    await start([LAYERS], all);
    await propose('drop', { traceparent: TRACED, baggage: 'remit.outcome=allow,agent.id=admin', tracestate: 'v=1' });
    const [decision] = await decisions(1);
    expect(String(decision?.headers['baggage'])).toBe('remit.outcome=allow,agent.id=admin');
    expect(String(decision?.headers['tracestate'])).toBe('v=1');
    expect(named('send agent.decisions')[0]?.attributes).toMatchObject({ 'remit.outcome': 'deny', 'agent.id': AGENT });
  });

  it('is kept for a denial that its agent does not trace, from where it is known to be one', async () => {
    await start(
      LAYERS.map((layer) => [layer]),
      all,
    );
    await propose('drop', { traceparent: UNTRACED });
    await propose('write', { traceparent: UNTRACED });
    await propose('read', { traceparent: UNTRACED });
    const messages = await decisions(3);
    const kept = (name: string): unknown[] => named(name).map(({ attributes }) => attributes['remit.action.type']);
    // the boundary denies the first, verification the second, nobody the third
    expect(kept('process agent.actions')).toEqual(['drop']);
    expect(kept('process governance.permission-checked')).toEqual(['drop', 'write']);
    expect(kept('send agent.decisions')).toEqual(['drop', 'write']);
    expect(messages.map(({ headers }) => String(headers['traceparent']).slice(-2))).toEqual(['01', '01', '00']);
  });

  it('of agents that know nothing of traces is one trace a chain', async () => {
    await start([LAYERS], all);
    await propose('read', {}, 'monthly report');
    await propose('drop', {}, 'monthly report');
    await propose('read', {}, 'another');
    await decisions(3);
    const traces = named('send agent.decisions').map((span) => span.spanContext().traceId);
    expect(traces).toEqual(['monthly report', 'monthly report', 'another'].map(traceIdOfChain));
  });

  it('costs nothing and changes no header where nothing is traced', async () => {
    await start([LAYERS], { ratio: 0, keep: new Set() });
    await propose('drop', { traceparent: UNTRACED, tracestate: 'v=1' });
    await propose('drop', {});
    const [first, second] = await decisions(2);
    expect(String(first?.headers['traceparent'])).toBe(UNTRACED);
    expect(second?.headers['traceparent']).toBeUndefined();
    expect(spans.getFinishedSpans()).toEqual([]);
  });
});

/** A segment without views or charter, which judges one intent whenever it is called. */
async function judgeOne(
  watches: readonly JudgingWatch[],
  onWatchFault?: (error: unknown) => void,
): Promise<BatchResult> {
  const bus = new MemoryBus(new MemoryLog(() => Date.UTC(2026, 10, 3, 12)));
  await bus.ensureTopics(Object.values(TOPICS));
  const views = createViews(bus);
  await views.start();
  const options = { layers: LAYERS, engine: 'remit/test', viewWaitMs: VIEW_WAIT_MS, watches };
  const segment = createSegment({ ...options, ...(onWatchFault === undefined ? {} : { onWatchFault }) }, views);
  const intent: Intent = { intentId: uuidv7(), agentId: AGENT, action: { type: 'read', target: 'reporting' } };
  const event = writeEvent(EVENTS.intent, { id: intent.intentId, source: '/test', subject: AGENT, data: intent });
  const headers = {
    'content-type': Buffer.from(event.headers['content-type']),
    traceparent: Buffer.from(TRACED),
  };
  const at = { topic: TOPICS.agentActions.name, partition: 0, offset: 0, appendTime: 1, logTime: 1 };
  const message = { ...at, key: Buffer.from(AGENT), value: Buffer.from(event.value), headers };
  try {
    return await segment({
      topic: at.topic,
      partition: 0,
      messages: [message],
      readFrom: 0,
      heartbeat: () => Promise.resolve(),
    });
  } finally {
    await views.stop();
    await bus.close();
  }
}

describe('a watch that fails', () => {
  it('stops no judgement, and is reported', async () => {
    const faults: unknown[] = [];
    const failing: JudgingWatch = {
      judged: () => {
        throw new Error('no');
      },
    };
    const { publish } = await judgeOne([failing], (error) => faults.push(error));
    expect(publish).toHaveLength(1);
    expect(faults).toEqual([new Error('no')]);
  });
});

describe('a batch that comes again', () => {
  it('is told once: the spans of one that failed are never sent', async () => {
    const exporter = new InMemorySpanExporter();
    const sampling = { ratio: 1, keep: new Set<never>() };
    const identity = { service: 'remit-test', version: '1', endpoint: 'http://127.0.0.1:1' };
    const tracing = new Tracing({ ...identity, sampling, exporter });
    const tracer = traceJudging(tracing, 'test');
    // as where the batch fails before it is finished
    await judgeOne([{ judged: (one) => tracer.judged(one) }]);
    await judgeOne([tracer]);
    await tracing.flush();
    expect(
      exporter
        .getFinishedSpans()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['poll agent.actions', 'process agent.actions', 'send agent.decisions']);
    await tracing.shutdown();
  });
});
