import { describe, expect, it } from '@jest/globals';
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace';
import { v7 as uuidv7 } from 'uuid';
import { EVENTS, sha256, writeEvent } from '#contracts';
import {
  actionDigestOf,
  checkCharter,
  INITIAL_AUTHORITY,
  judge,
  judgeWithoutFacts,
  judgeWithoutCharter,
  LAYERS,
  type Charter,
  type Intent,
  type JudgedIntent,
  type Layer,
} from '#domain';
import { Metrics, Tracing, type SamplingTerms } from '#telemetry';
import { readExposition, type ExposedSample } from '#testing';
import type { Judged, JudgedLayer } from './judged.js';
import { measureJudging } from './judging-metrics.js';
import { traceJudging } from './judging-trace.js';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';

const CHARTER_TEXT = [
  'charter: metrics',
  'stage: enforce',
  'classifications: [public]',
  'systems: { reporting: { classification: public } }',
  'agents:',
  '  reporter: { owner: tests, purpose: report, scope: { actions: [read], systems: [reporting] } }',
  'policies:',
  '  - { id: no-exports, severity: non_critical, violated_when: action.destination == "elsewhere", effect: deny, reason: no }',
  'rollout: { non_critical: shadow }',
].join('\n');

function charter(): Charter {
  const checked = checkCharter(CHARTER_TEXT, sha256);
  if (!checked.ok) throw new Error(JSON.stringify(checked));
  return checked.charter;
}

function intentOf(agentId: string, type: string, destination?: string): Intent {
  const action = { type, target: 'reporting', ...(destination === undefined ? {} : { destination }) };
  return { intentId: uuidv7(), agentId, action };
}

/** An intent as a segment of these layers has judged it. */
function judgedBy(
  layers: readonly Layer[],
  intent: Intent,
  how: {
    charter?: Charter | undefined;
    withoutFacts?: boolean;
    before?: JudgedIntent['verdicts'];
    /** What its agent says of traces: `none` where it says nothing. */
    trace?: 'sampled' | 'not sampled' | 'none';
  } = {},
): Judged {
  const { charter: inForce, withoutFacts = false, before = [], trace = 'not sampled' } = how;
  const judgedAt = Date.UTC(2026, 10, 3, 12);
  const actionDigest = actionDigestOf(intent.action, sha256);
  const input = inForce && { intent, actionDigest, judgedAt, charter: inForce, authority: INITIAL_AUTHORITY };
  const judged = layers.map((layer, index): JudgedLayer => {
    const verdict = withoutFacts
      ? judgeWithoutFacts(layer, 'not-kept')
      : input
        ? judge(layer, input)
        : judgeWithoutCharter(layer);
    return { layer, verdict, ms: (index + 1) / 1000 };
  });
  const event = writeEvent(EVENTS.intent, {
    id: intent.intentId,
    source: '/spec',
    subject: intent.agentId,
    data: intent,
  });
  const place = { topic: 'agent.actions', partition: 0, offset: 0 };
  const traceparent = Buffer.from(`00-${TRACE_ID}-b7ad6b7169203331-${trace === 'sampled' ? '01' : '00'}`);
  const message = {
    ...{ ...place, appendTime: judgedAt, logTime: judgedAt, key: Buffer.from(intent.agentId) },
    value: Buffer.from(event.value),
    headers: trace === 'none' ? {} : { traceparent },
  };
  const stamp = {
    judgedAt: new Date(judgedAt).toISOString(),
    source: place,
    charter: { digest: inForce?.digest ?? null, position: 1 },
    permissions: { position: 0 },
  };
  return {
    batch: { ...place, messages: [message], readFrom: 0, heartbeat: () => Promise.resolve() },
    message,
    subject: { intent, actionDigest, stamp, verdicts: [...before, ...judged.map(({ verdict }) => verdict)] },
    layers: judged,
    charter: inForce,
    decision: undefined,
    began: judgedAt,
    ended: judgedAt,
  };
}

/** What the metrics say after a segment has judged these, in one batch. */
async function exposedAfter(
  judged: readonly Judged[],
  sampling?: SamplingTerms,
): Promise<(family: string) => readonly ExposedSample[]> {
  const metrics = new Metrics({ service: 'spec', version: '1' });
  const watch = measureJudging(metrics, sampling);
  const [first] = judged;
  for (const one of judged) expect(watch.judged(one)).toBeUndefined();
  if (first !== undefined) watch.finished?.(first.batch, judged);
  const families = readExposition(await metrics.scrape('openmetrics'), 'openmetrics');
  return (family) => families.find(({ name }) => name === family)?.samples ?? [];
}

/** The traces that layer times lead to. */
async function tracesLedTo(judged: Judged, sampling?: SamplingTerms): Promise<readonly string[]> {
  const exposed = await exposedAfter([judged], sampling);
  const traces = exposed('remit_layer_duration_seconds').flatMap(({ exemplar }) => exemplar?.labels['trace_id'] ?? []);
  return [...new Set(traces)];
}

/** The traces that a process on these terms makes of it. */
async function tracesMadeOf(judged: Judged, sampling: SamplingTerms): Promise<readonly string[]> {
  const exporter = new InMemorySpanExporter();
  const tracing = new Tracing({ service: 'spec', version: '1', endpoint: 'http://127.0.0.1:1', sampling, exporter });
  const watch = traceJudging(tracing, 'remit.boundary');
  watch.judged(judged);
  watch.finished?.(judged.batch, [judged]);
  await tracing.flush();
  const spans = exporter.getFinishedSpans().filter(({ name }) => name.startsWith('process '));
  await tracing.shutdown();
  return spans.map((span) => span.spanContext().traceId);
}

function failClosedBy(samples: readonly ExposedSample[]): Record<string, number> {
  const told = samples.filter(({ value }) => value > 0);
  return Object.fromEntries(told.map(({ labels, value }) => [labels['remit_reason'] ?? '', value]));
}

describe('the metrics of judging', () => {
  it('count what each rule found, and whether it counted', async () => {
    const inForce = charter();
    const exported = intentOf('reporter', 'read', 'elsewhere');
    const exposed = await exposedAfter([
      judgedBy(LAYERS, exported, { charter: inForce }),
      judgedBy(LAYERS, exported, { charter: inForce }),
      judgedBy(LAYERS, intentOf('reporter', 'write'), { charter: inForce }),
      judgedBy(LAYERS, intentOf('reporter', 'read'), { charter: inForce }),
    ]);
    const findings = exposed('remit_findings').map(({ labels, value }) => ({ ...labels, value }));
    expect(findings).toEqual([
      {
        remit_rule: 'no-exports',
        remit_layer: 'policy',
        remit_mode: 'shadow',
        remit_effect: 'violation',
        remit_severity: 'non_critical',
        value: 2,
      },
      {
        remit_rule: 'intended-scope',
        remit_layer: 'verification',
        remit_mode: 'enforced',
        remit_effect: 'violation',
        remit_severity: 'critical',
        value: 1,
      },
    ]);
  });

  it('count an intent that failed closed once for its reason, however many layers and processes say so', async () => {
    const intent = intentOf('reporter', 'read');
    const all = await exposedAfter([judgedBy(LAYERS, intent, { withoutFacts: true })]);
    expect(failClosedBy(all('remit_fail_closed'))).toEqual({ 'not-kept': 1 });
    const later = await exposedAfter([
      judgedBy(['policy'], intent, { withoutFacts: true, before: [judgeWithoutFacts('verification', 'not-kept')] }),
    ]);
    expect(failClosedBy(later('remit_fail_closed'))).toEqual({});
    const without = await exposedAfter([judgedBy(LAYERS, intent)]);
    expect(failClosedBy(without('remit_fail_closed'))).toEqual({ 'no-active-charter': 1 });
    const unknown = await exposedAfter([judgedBy(LAYERS, intentOf('stranger', 'read'), { charter: charter() })]);
    expect(failClosedBy(unknown('remit_fail_closed'))).toEqual({ 'unknown-agent': 1 });
  });

  it('show every reason for failing closed before the first one does, so that the first is seen as a rise', async () => {
    const exposed = await exposedAfter([]);
    expect(exposed('remit_fail_closed').map(({ value }) => value)).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });

  it('time each layer of a few intents of a batch, with the trace where there is one', async () => {
    const inForce = charter();
    const batch = Array.from({ length: 200 }, () =>
      judgedBy(LAYERS, intentOf('reporter', 'read'), { charter: inForce, trace: 'sampled' }),
    );
    const exposed = await exposedAfter(batch);
    const samples = exposed('remit_layer_duration_seconds');
    const counts = samples.filter(({ name }) => name.endsWith('_count'));
    expect(counts.map(({ labels, value }) => [labels['remit_layer'], value])).toEqual(
      LAYERS.map((layer) => [layer, 4]),
    );
    const traced = samples.flatMap(({ exemplar }) => exemplar?.labels['trace_id'] ?? []);
    expect(traced).toEqual(LAYERS.map(() => TRACE_ID));
    const few = await exposedAfter(batch.slice(0, 3).map((one) => ({ ...one, layers: one.layers.slice(0, 1) })));
    expect(few('remit_layer_duration_seconds').find(({ name }) => name.endsWith('_count'))?.value).toBe(3);
  });

  it('lead to the trace of an intent wherever there is one, and only there, whatever its agent says of traces', async () => {
    const inForce = charter();
    const samplings: SamplingTerms[] = [0, 0.5, 1].flatMap((ratio) => [
      { ratio, keep: new Set() },
      { ratio, keep: new Set(['deny']) },
    ]);
    const intents = Array.from({ length: 10 }, (_, n) => intentOf('reporter', n % 2 === 0 ? 'read' : 'write'));
    let made = 0;
    for (const sampling of samplings) {
      for (const trace of ['none', 'sampled', 'not sampled'] as const) {
        for (const intent of intents) {
          const judged = judgedBy(LAYERS, intent, { charter: inForce, trace });
          const traces = await tracesMadeOf(judged, sampling);
          made += traces.length;
          expect({ trace, sampling, traces: await tracesLedTo(judged, sampling) }).toEqual({ trace, sampling, traces });
        }
      }
    }
    expect(made).toBeGreaterThan(0);
    expect(made).toBeLessThan(samplings.length * 3 * intents.length);
  });

  it('lead to the trace of an agent that has one also where this process makes none', async () => {
    const [traced, untraced, silent] = (['sampled', 'not sampled', 'none'] as const).map((trace) =>
      judgedBy(LAYERS, intentOf('reporter', 'write'), { charter: charter(), trace }),
    ) as [Judged, Judged, Judged];
    expect(await tracesLedTo(traced)).toEqual([TRACE_ID]);
    expect([await tracesLedTo(untraced), await tracesLedTo(silent)]).toEqual([[], []]);
  });

  it('do not grow with what agents call themselves and their actions', async () => {
    const inForce = charter();
    const hostile = Array.from({ length: 1000 }, (_, n) =>
      judgedBy(LAYERS, intentOf(`agent-${String(n)}`, `verb_${String(n)}`, `place ${String(n)}`), { charter: inForce }),
    );
    const exposed = await exposedAfter(hostile);
    expect(exposed('remit_findings').map(({ labels, value }) => [labels['remit_rule'], value])).toEqual([
      ['unknown-agent', 1000],
    ]);
  });
});
