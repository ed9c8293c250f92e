import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { KafkaBus } from '#bus';
import { TOPICS } from '#contracts';
import { LAYERS } from '#domain';
import { ATTRIBUTES, messageAttributes, SPANS, Tracing, verdictEvents, type SpanCounts } from '#telemetry';
import { figure, median, type Figure } from './figure.js';
import { activateBenchCharter, decideTraced } from './throughput.js';
import type { WorkerOrder } from './workers/order.js';

const ROUNDS = 5;
const INTENTS = 40_000;
const SPANS_OF_A_SHAPE = 20_000;
/** Fewer at once than may wait: none is dropped. */
const SPANS_AT_ONCE = 1000;

interface Variant {
  readonly name: string;
  readonly sampled: number;
  readonly measures: boolean;
  readonly traces: boolean;
}

const VARIANTS = {
  off: { name: 'no telemetry', sampled: 0, measures: false, traces: false },
  metrics: { name: 'metrics', sampled: 0, measures: true, traces: false },
  untraced: { name: 'tracing on, nothing sampled', sampled: 0, measures: false, traces: true },
  some: { name: 'tracing on, 1 % sampled', sampled: 0.01, measures: false, traces: true },
  all: { name: 'tracing on, everything sampled', sampled: 1, measures: false, traces: true },
} as const satisfies Record<string, Variant>;

/**
 * Decisions per second in one process with all layers: without telemetry, with metrics, and with tracing of a share
 * of the intents, sent to a collector on this machine that takes everything. Interleaved rounds, there and back, medians
 * of five. Also what a span costs with the layers as its events, and as spans of their own.
 */
export async function measureTracing(brokers: readonly string[], progress: (line: string) => void): Promise<Figure[]> {
  const bus = new KafkaBus({ brokers, topics: Object.values(TOPICS), replicationFactor: 1 });
  const { collector, endpoint } = await startCollector();
  try {
    await bus.ensureTopics(Object.values(TOPICS));
    await activateBenchCharter(bus);
    const rates = new Map<string, number[]>();
    let spans: SpanCounts = { ended: 0, exported: 0, failed: 0, dropped: 0 };
    for (let round = 1; round <= ROUNDS; round += 1) {
      // what the spans of the last round have left behind troubles nobody who is measured
      await decideTraced(bus, brokers, { intents: INTENTS, sampled: 0, options: {} });
      const { all, ...few } = VARIANTS;
      const order = Object.values<Variant>(few);
      for (const variant of [...(round % 2 === 1 ? order : order.reverse()), all]) {
        const options: Partial<WorkerOrder> = {
          measures: variant.measures,
          ...(variant.traces ? { collector: endpoint } : {}),
        };
        const decided = await decideTraced(bus, brokers, { intents: INTENTS, sampled: variant.sampled, options });
        rates.set(variant.name, [...(rates.get(variant.name) ?? []), decided.rate]);
        if (variant === VARIANTS.all && decided.spans !== undefined) spans = decided.spans;
        progress(
          `round ${String(round)} of ${String(ROUNDS)}: ${variant.name} ${Math.round(decided.rate).toLocaleString('en')}/s`,
        );
      }
    }
    const rateOf = ({ name }: Variant): number => median(rates.get(name) ?? []);
    const besideNone = (variant: Variant): Figure =>
      figure(`decisions per second: ${variant.name}`, rateOf(variant), '1/s', VARIANTS.off.name, rateOf(VARIANTS.off));
    const asEvents = await cpuOf('events', endpoint);
    const asSpans = await cpuOf('spans', endpoint);
    return [
      besideNone(VARIANTS.metrics),
      besideNone(VARIANTS.untraced),
      besideNone(VARIANTS.some),
      besideNone(VARIANTS.all),
      figure('spans that arrived, everything sampled', spans.exported, 'spans', 'spans that ended', spans.ended),
      figure('an intent’s trace, layers as events', asEvents, 'µs of CPU', 'layers as spans of their own', asSpans),
    ];
  } finally {
    collector.disconnect();
    await bus.close();
  }
}

async function startCollector(): Promise<{ collector: ChildProcess; endpoint: string }> {
  const collector = fork(join(import.meta.dirname, 'workers', 'collector.js'));
  const { endpoint } = await new Promise<{ endpoint: string }>((resolve, reject) => {
    collector.once('message', (message) => resolve(message as { endpoint: string }));
    collector.once('exit', (code) => reject(new Error(`the collector ended with ${String(code)}`)));
  });
  return { collector, endpoint };
}

/** CPU time of this process for one intent's spans, from their beginning until they are sent, µs. */
async function cpuOf(shape: 'events' | 'spans', endpoint: string): Promise<number> {
  const tracing = new Tracing({ service: 'bench', version: '1', endpoint, sampling: { ratio: 1, keep: new Set() } });
  const attributes = messageAttributes('process', { topic: TOPICS.agentActions.name, partition: 1, offset: 1 });
  const verdicts = LAYERS.map((layer) => ({ layer, findings: [], passed: [], facts: {} }));
  const begin = (): void => {
    const span = tracing.begin(undefined, { name: 'process agent.actions', kind: SPANS.judge.kind, attributes });
    for (const verdict of verdicts) {
      if (shape === 'events') {
        for (const event of verdictEvents(verdict, 0.1)) span.addEvent(event.name, event.attributes);
      } else {
        const place = { parent: span.spanContext() };
        const said = { [ATTRIBUTES.layer.name]: verdict.layer };
        tracing.begin(place, { name: verdict.layer, kind: SPANS.invokeAgent.kind, attributes: said }).end();
      }
    }
    span.end();
  };
  const run = async (): Promise<number> => {
    const before = process.cpuUsage();
    for (let done = 0; done < SPANS_OF_A_SHAPE; done += SPANS_AT_ONCE) {
      for (let index = 0; index < SPANS_AT_ONCE; index += 1) begin();
      await tracing.flush();
    }
    const { user, system } = process.cpuUsage(before);
    return (user + system) / SPANS_OF_A_SHAPE;
  };
  await run();
  const cpu = await run();
  await tracing.shutdown();
  return cpu;
}
