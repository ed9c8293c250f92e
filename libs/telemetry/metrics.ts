import type { Attributes, Meter, SpanContext } from '@opentelemetry/api';
import { TraceFlags } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  InstrumentType,
  MeterProvider,
  MetricReader,
  type ScopeMetrics,
} from '@opentelemetry/sdk-metrics';
import { METRICS, type InstrumentKind, type MetricDeclaration } from './metric-table.js';
import { spanAt, type TracePlace } from './chain-sampling.js';
import { mergedMetrics } from './merged-metrics.js';
import { expositionOf, type Exemplar, type ExpositionFormat } from './open-metrics.js';
import { saysUnsampled, spanContextOf } from './trace-context.js';

type Metric = (typeof METRICS)[keyof typeof METRICS];
export type MetricOf<Kind extends InstrumentKind> = Extract<Metric, { readonly instrument: Kind }>;

/** The attributes that the table names for a metric, and no others. */
export type AttributesOf<M extends MetricDeclaration> = Partial<
  Readonly<Record<M['attributes'][number]['name'], string>>
>;

export interface Counted<M extends MetricDeclaration> {
  add(count: number, attributes: AttributesOf<M>): void;
}

export interface Recorded<M extends MetricDeclaration> {
  /** `trace`: where the observation was made; it becomes an exemplar when it is sampled. */
  record(value: number, attributes: AttributesOf<M>, trace?: SpanContext): void;
}

/** For paths on which every microsecond counts: adds up in a plain map, and tells the counter when it is scraped. */
export interface Tallied<M extends MetricDeclaration> {
  /** `key` stands for the attributes, which are asked for only when the key is new. */
  count(key: string, attributes: () => AttributesOf<M>): void;
}

/** What a metric is just now. */
export interface Reading {
  readonly metric: MetricOf<'gauge'> | MetricOf<'counter'>;
  readonly value: number;
  readonly attributes?: Attributes;
}

export function reading<M extends Reading['metric']>(metric: M, value: number, attributes: AttributesOf<M>): Reading {
  return { metric, value, attributes };
}

/** Where a message was traced, for an observation about it; what is sampled out costs one look at its header. */
export function exemplarTraceOf(headers: Parameters<typeof spanContextOf>[0]): SpanContext | undefined {
  return saysUnsampled(headers['traceparent']) ? undefined : spanContextOf(headers);
}

/** Where a span has been made, for an observation about the same: it is there, whatever its parent says of sampling. */
export function exemplarTraceAt(place: TracePlace): SpanContext {
  return { ...spanAt(place), traceFlags: TraceFlags.SAMPLED };
}

/** Is asked at every scrape; whatever it does not name is left out of it. */
export type ReadingSource = () => readonly Reading[] | Promise<readonly Reading[]>;

export interface MetricsOptions {
  /** `service.name` of everything this process exposes. */
  readonly service: string;
  readonly version: string;
  /** Told once of a source that fails or takes too long, and again only after it has worked. */
  readonly onTrouble?: (message: string) => void;
  /** How long a scrape waits for a source, ms. */
  readonly sourceMs?: number;
}

/** Series of one metric at most; more are counted together under `otel.metric.overflow`. */
const MOST_SERIES = 5000;
const SOURCE_MS = 1500;
/** What differs less is kept in mind between scrapes; when it is more, it is told at once. */
const MOST_TALLIES = 2000;

class Tally<M extends MetricDeclaration> implements Tallied<M> {
  readonly #counts = new Map<string, { readonly attributes: AttributesOf<M>; count: number }>();

  constructor(private readonly counter: Counted<M>) {}

  count(key: string, attributes: () => AttributesOf<M>): void {
    const known = this.#counts.get(key);
    if (known !== undefined) {
      known.count += 1;
      return;
    }
    if (this.#counts.size >= MOST_TALLIES) {
      this.tell();
      this.#counts.clear();
    }
    this.#counts.set(key, { attributes: attributes(), count: 1 });
  }

  tell(): void {
    for (const tallied of this.#counts.values()) {
      if (tallied.count > 0) this.counter.add(tallied.count, tallied.attributes);
      tallied.count = 0;
    }
  }
}

class ScrapeReader extends MetricReader {
  constructor() {
    super({
      cardinalitySelector: () => MOST_SERIES,
      // a gauge that nobody tells any more is gone: cumulative ones would show their last value for ever
      aggregationTemporalitySelector: (type) =>
        type === InstrumentType.OBSERVABLE_GAUGE ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
    });
  }

  protected onShutdown(): Promise<void> {
    return Promise.resolve();
  }

  protected onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
}

/** A source that is still at work is not asked again: one that hangs costs one call. */
interface AskedSource {
  readonly name: string;
  readonly ask: ReadingSource;
  /** Answers are used again for so long, ms. */
  readonly freshMs: number;
  answer?: { readonly at: number; readonly readings: readonly Reading[] };
  running?: Promise<readonly Reading[]> | undefined;
  isInTrouble: boolean;
}

/** The metrics of one process. No global state: nothing is counted that was not given this object. */
export class Metrics {
  readonly #reader = new ScrapeReader();
  readonly #meter: Meter;
  readonly #exemplars = new Map<string, (Exemplar | undefined)[]>();
  readonly #sources: AskedSource[] = [];
  readonly #included: (() => Promise<readonly ScopeMetrics[]>)[] = [];
  readonly #tallies: { tell(): void }[] = [];
  readonly #observed = new Map<string, readonly Reading[]>();
  readonly #counters = new Map<string, Counted<MetricDeclaration>>();
  readonly #histograms = new Map<string, Recorded<MetricDeclaration>>();
  #collection: Promise<Awaited<ReturnType<ScrapeReader['collect']>>> | undefined;

  constructor(private readonly options: MetricsOptions) {
    const { service, version } = options;
    const provider = new MeterProvider({
      resource: resourceFromAttributes({ 'service.name': service, 'service.version': version }),
      readers: [this.#reader],
    });
    this.#meter = provider.getMeter('remit', version);
  }

  counter<M extends MetricOf<'counter'>>(metric: M): Counted<M> {
    const known = this.#counters.get(metric.name);
    if (known !== undefined) return known;
    const counter = this.#meter.createCounter(metric.name, descriptionOf(metric));
    const counted = { add: (count: number, attributes: Attributes) => counter.add(count, attributes) };
    this.#counters.set(metric.name, counted);
    return counted;
  }

  tally<M extends MetricOf<'counter'>>(metric: M): Tallied<M> {
    const tally = new Tally(this.counter(metric));
    this.#tallies.push(tally);
    return tally;
  }

  histogram<M extends MetricOf<'histogram'>>(metric: M): Recorded<M> {
    const known = this.#histograms.get(metric.name);
    if (known !== undefined) return known;
    const buckets = [...metric.buckets];
    const advice = { explicitBucketBoundaries: buckets };
    const histogram = this.#meter.createHistogram(metric.name, { ...descriptionOf(metric), advice });
    const recorded = {
      record: (value: number, attributes: Attributes, trace?: SpanContext): void => {
        histogram.record(value, attributes);
        if (trace !== undefined && (trace.traceFlags & TraceFlags.SAMPLED) !== 0) {
          this.#keepExemplar(metric.name, attributes, buckets, value, trace);
        }
      },
    };
    this.#histograms.set(metric.name, recorded);
    return recorded;
  }

  /** `name` says which source it is, where it is in trouble. Its answer is used again for `freshMs`. */
  observe(name: string, ask: ReadingSource, freshMs = 0): void {
    this.#sources.push({ name, ask, freshMs, isInTrouble: false });
  }

  /** Never rejects, and takes little longer than the slowest source may. Scrapes at the same time share the work. */
  async scrape(format: ExpositionFormat): Promise<string> {
    const [{ resourceMetrics }, ...others] = await Promise.all([
      this.#collected(),
      ...this.#included.map((ask) => ask().catch(() => [])),
    ]);
    const scopeMetrics = mergedMetrics([...resourceMetrics.scopeMetrics, ...others.flat()]);
    return expositionOf({ ...resourceMetrics, scopeMetrics }, format, (metric, attributes, bucket) => {
      return this.#exemplars.get(seriesOf(metric, attributes))?.[bucket];
    });
  }

  /** What there is to tell, without who tells it: another thread of the process passes it on. */
  async collect(): Promise<readonly ScopeMetrics[]> {
    return (await this.#collected()).resourceMetrics.scopeMetrics;
  }

  /** Whatever another thread has collected is exposed as well. It must answer soon; one that rejects is left out. */
  include(ask: () => Promise<readonly ScopeMetrics[]>): void {
    this.#included.push(ask);
  }

  #collected(): ReturnType<ScrapeReader['collect']> {
    this.#collection ??= this.#collect().finally(() => (this.#collection = undefined));
    return this.#collection;
  }

  async #collect(): ReturnType<ScrapeReader['collect']> {
    for (const tally of this.#tallies) tally.tell();
    const answers = await Promise.all(this.#sources.map((source) => this.#ask(source)));
    for (const name of this.#observed.keys()) this.#observed.set(name, []);
    for (const [name, readings] of Map.groupBy(answers.flat(), ({ metric }) => metric.name)) {
      if (!this.#observed.has(name)) this.#createObservable(readings);
      this.#observed.set(name, readings);
    }
    return this.#reader.collect();
  }

  #createObservable([first]: readonly Reading[]): void {
    if (first === undefined) return;
    const { metric } = first;
    const observable =
      metric.instrument === 'gauge'
        ? this.#meter.createObservableGauge(metric.name, descriptionOf(metric))
        : this.#meter.createObservableCounter(metric.name, descriptionOf(metric));
    observable.addCallback((result) => {
      for (const { value, attributes } of this.#observed.get(metric.name) ?? []) result.observe(value, attributes);
    });
  }

  async #ask(source: AskedSource): Promise<readonly Reading[]> {
    const { answer, freshMs } = source;
    if (answer !== undefined && performance.now() - answer.at < freshMs) return answer.readings;
    if (source.running !== undefined) return [];
    let timer: NodeJS.Timeout | undefined;
    try {
      const running = (async () => source.ask())().finally(() => (source.running = undefined));
      source.running = running;
      const ms = this.options.sourceMs ?? SOURCE_MS;
      const over = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`it has not answered within ${String(ms)} ms`)), ms);
      });
      const readings = await Promise.race([running, over]);
      source.isInTrouble = false;
      source.answer = { at: performance.now(), readings };
      return readings;
    } catch (error) {
      if (!source.isInTrouble) {
        const why = error instanceof Error ? error.message : String(error);
        this.options.onTrouble?.(`REMIT_METRICS_SOURCE: the metrics of ${source.name} are left out: ${why}`);
      }
      source.isInTrouble = true;
      return [];
    } finally {
      clearTimeout(timer);
    }
  }

  #keepExemplar(
    metric: string,
    attributes: Attributes,
    buckets: readonly number[],
    value: number,
    { traceId, spanId }: SpanContext,
  ): void {
    const series = seriesOf(metric, attributes);
    let kept = this.#exemplars.get(series);
    if (kept === undefined) {
      if (this.#exemplars.size >= MOST_SERIES) return;
      this.#exemplars.set(series, (kept = []));
    }
    const bucket = buckets.findIndex((bound) => value <= bound);
    kept[bucket === -1 ? buckets.length : bucket] = { traceId, spanId, value, time: Date.now() };
  }
}

function descriptionOf({ unit, means }: MetricDeclaration): { readonly unit: string; readonly description: string } {
  return { unit, description: means };
}

function seriesOf(metric: string, attributes: Attributes): string {
  return JSON.stringify([metric, ...Object.entries(attributes).sort(([one], [other]) => (one < other ? -1 : 1))]);
}
