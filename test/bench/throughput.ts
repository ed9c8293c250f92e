import { fork, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { v7 as uuidv7 } from 'uuid';
import { KafkaBus, type OutgoingMessage } from '#bus';
import { EVENTS, TOPICS, writeEvent, type TopicDeclaration } from '#contracts';
import { type Intent } from '#domain';
import { ENGINE } from '#service';
import { activateCharterText } from '#testing';
import { figure, median, type Figure } from './figure.js';
import type { SpanCounts } from '#telemetry';
import { BENCH_CHARTER, BENCH_OUT, type WorkerOrder, type WorkerReport } from './workers/order.js';

const ROOT = join(import.meta.dirname, '../../..');
const ROUNDS = 3;
const INTENTS = 60_000;
/** The stock transport is slow: fewer intents give as steady a rate. */
const INTENTS_STOCK = 15_000;
const AGENTS = 48;
/** Rates are taken after this share of the intents: compilers and caches are warm then. */
const WARM_SHARE = 0.25;
const GIVE_UP_AFTER_MS = 180_000;

interface Variant {
  readonly name: string;
  readonly worker: string;
  readonly intents: number;
  readonly output: string;
  readonly options?: Partial<WorkerOrder>;
  /** Share of the intents that their agents trace. */
  readonly sampled?: number;
}

const VARIANTS = {
  bare: { name: 'bare pass-through', worker: 'bare-pass-through', intents: INTENTS, output: BENCH_OUT.name },
  segment: { name: 'segment', worker: 'segment', intents: INTENTS, output: TOPICS.agentDecisions.name },
  audited: {
    name: 'segment and audit',
    worker: 'segment',
    intents: INTENTS,
    output: TOPICS.agentDecisions.name,
    options: { audit: true },
  },
  stock: { name: 'stock Nest transport', worker: 'stock-nest', intents: INTENTS_STOCK, output: BENCH_OUT.name },
  stockConcurrent: {
    name: 'stock Nest transport, 12 at once',
    worker: 'stock-nest',
    intents: INTENTS_STOCK,
    output: BENCH_OUT.name,
    options: { concurrency: TOPICS.agentActions.partitions },
  },
} as const satisfies Record<string, Variant>;

/**
 * Decisions per second: ours beside a bare kafkajs loop and beside the stock Nest transport, in interleaved rounds on
 * one broker, medians of three.
 */
export async function measureThroughput(
  brokers: readonly string[],
  progress: (line: string) => void,
): Promise<Figure[]> {
  const topics: TopicDeclaration[] = [...Object.values(TOPICS), BENCH_OUT];
  const bus = new KafkaBus({ brokers, topics, replicationFactor: 1 });
  try {
    await bus.ensureTopics(topics);
    await activateBenchCharter(bus);

    const rates = new Map<string, number[]>();
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const variant of Object.values<Variant>(VARIANTS)) {
        const rate = await drain(bus, brokers, variant);
        rates.set(variant.name, [...(rates.get(variant.name) ?? []), rate]);
        progress(
          `round ${String(round)} of ${String(ROUNDS)}: ${variant.name} ${Math.round(rate).toLocaleString('en')}/s`,
        );
      }
    }
    const rateOf = (variant: Variant): number => median(rates.get(variant.name) ?? []);
    const beside = (ours: Variant, baseline: Variant): Figure =>
      figure(`decisions per second: ${ours.name}`, rateOf(ours), '1/s', baseline.name, rateOf(baseline));
    return [
      beside(VARIANTS.segment, VARIANTS.bare),
      beside(VARIANTS.audited, VARIANTS.bare),
      beside(VARIANTS.segment, VARIANTS.stock),
      beside(VARIANTS.segment, VARIANTS.stockConcurrent),
    ];
  } finally {
    await bus.close();
  }
}

export async function activateBenchCharter(bus: KafkaBus): Promise<void> {
  const text = readFileSync(join(ROOT, BENCH_CHARTER), 'utf8');
  await activateCharterText(bus, text);
}

/** Decides so many intents in one process, all layers, and returns the rate. What was decided stays on the log. */
export async function decideLive(bus: KafkaBus, brokers: readonly string[], intents: number): Promise<number> {
  await activateBenchCharter(bus);
  return drain(bus, brokers, { ...VARIANTS.segment, intents });
}

/**
 * Decides so many intents, a share of which their agents trace, and returns the rate and what became of the spans.
 */
export async function decideTraced(
  bus: KafkaBus,
  brokers: readonly string[],
  wanted: { readonly intents: number; readonly sampled: number; readonly options: Partial<WorkerOrder> },
): Promise<{ readonly rate: number; readonly spans: SpanCounts | undefined }> {
  let spans: SpanCounts | undefined;
  const variant = { ...VARIANTS.segment, ...wanted };
  const rate = await drain(bus, brokers, variant, (report) => (spans = report.spans));
  return { rate, spans };
}

/** Puts intents on the log, then starts one worker and takes the rate at which its results appear there. */
async function drain(
  bus: KafkaBus,
  brokers: readonly string[],
  variant: Variant,
  onReport: (report: WorkerReport) => void = () => undefined,
): Promise<number> {
  const group = `bench-${uuidv7()}`;
  await startGroupAtTheEnd(bus, brokers, group);
  await publishIntents(bus, variant.intents, variant.sampled ?? 0);
  const before = await totalOf(bus, variant.output);
  const order: WorkerOrder = { brokers, group, audit: false, concurrency: 1, engine: ENGINE, ...variant.options };
  const worker = fork(join(import.meta.dirname, 'workers', `${variant.worker}.js`), [JSON.stringify(order)]);
  worker.on('message', (report) => onReport(report as WorkerReport));
  try {
    return await rateOfResults(bus, worker, variant, before);
  } finally {
    await stopped(worker);
  }
}

/** Each round drains its own intents only, whoever reads them. */
async function startGroupAtTheEnd(bus: KafkaBus, brokers: readonly string[], groupId: string): Promise<void> {
  const topic = TOPICS.agentActions.name;
  const ends = (await bus.ends([topic])).get(topic) ?? [];
  const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.ERROR }).admin();
  await admin.connect();
  try {
    const partitions = ends.map((offset, partition) => ({ partition, offset: String(offset) }));
    await admin.setOffsets({ groupId, topic, partitions });
  } finally {
    await admin.disconnect();
  }
}

async function rateOfResults(bus: KafkaBus, worker: ChildProcess, variant: Variant, before: number): Promise<number> {
  const gaveUp = performance.now() + GIVE_UP_AFTER_MS;
  let warm: { at: number; count: number } | undefined;
  for (;;) {
    const count = (await totalOf(bus, variant.output)) - before;
    const at = performance.now();
    if (count >= variant.intents && warm !== undefined) return ((count - warm.count) / (at - warm.at)) * 1000;
    if (warm === undefined && count >= variant.intents * WARM_SHARE) warm = { at, count };
    if (worker.exitCode !== null) throw new Error(`${variant.name}: the worker ended with ${String(worker.exitCode)}`);
    if (at > gaveUp) throw new Error(`${variant.name}: ${String(count)} of ${String(variant.intents)} results in time`);
    await sleep(25);
  }
}

async function totalOf(bus: KafkaBus, topic: string): Promise<number> {
  const ends = await bus.ends([topic]);
  return (ends.get(topic) ?? []).reduce((sum, end) => sum + end, 0);
}

async function stopped(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null) return;
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  worker.kill('SIGTERM');
  const late = setTimeout(() => worker.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(late);
}

async function publishIntents(bus: KafkaBus, count: number, sampled: number): Promise<void> {
  const chunk = 5_000;
  for (let from = 0; from < count; from += chunk) {
    await bus.publish(
      Array.from({ length: Math.min(chunk, count - from) }, (_, index) => intentMessage(from + index, sampled)),
    );
  }
}

/** About 700 bytes of intent and 250 bytes of headers, as agents really send them. */
function intentMessage(index: number, sampled: number): OutgoingMessage {
  const agentId = `worker-${String(index % AGENTS)}`;
  const intent: Intent = {
    intentId: uuidv7(),
    agentId,
    action: {
      type: 'update_record',
      target: 'reporting',
      parameters: {
        record: `customer-${String(index)}`,
        amount: index % 2000,
        note: 'quarterly review of the account, second reminder, nothing else to do',
        tags: ['review', 'reminder', 'automatic'],
      },
      destination: 'warehouse',
      dataClassification: 'internal',
    },
    onBehalfOf: 'maria@shop.example',
    trigger: { type: 'schedule', description: 'nightly review' },
    precedingActions: ['read_record', 'compare_record'],
    chainId: `nightly-review-${String(index % 500)}`,
  };
  const event = writeEvent(EVENTS.intent, {
    id: intent.intentId,
    source: `/agents/${agentId}`,
    subject: agentId,
    time: '2026-01-05T10:00:00.000Z',
    data: intent,
  });
  return {
    topic: TOPICS.agentActions.name,
    key: agentId,
    value: event.value,
    headers: {
      ...event.headers,
      traceparent: `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-${isSampled(index, sampled) ? '01' : '00'}`,
      tracestate: 'vendor=t61rcWkgMzE,other=00f067aa0ba902b7',
      baggage: 'agent.id=worker,tenant=shop,region=eu-west-1,release=2026.11',
    },
  };
}

/** Evenly spread: 1 % is every hundredth. */
function isSampled(index: number, share: number): boolean {
  return Math.floor((index + 1) * share) > Math.floor(index * share);
}
