import {
  ROOT_CONTEXT,
  context,
  trace,
  type Attributes,
  type Context,
  type Link,
  type Span,
  type SpanKind,
  type Tracer,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { setGlobalErrorHandler } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  RandomIdGenerator,
  TracerProvider,
  type IdGenerator,
  type SpanExporter,
} from '@opentelemetry/sdk-trace';
import type { SamplingTerms, TracePlace } from './chain-sampling.js';
import { CountedDelivery, type SpanCounts } from './counted-delivery.js';
import { onceAMinute } from './once-a-minute.js';
import { otlpExporter, SEND_MS } from './otlp-exporter.js';

export interface TracingOptions {
  /** `service.name` of every span of this process. */
  readonly service: string;
  readonly version: string;
  /** Base address of an OTLP/HTTP collector, such as `http://127.0.0.1:4318`. */
  readonly endpoint: string;
  /** How long one sending may take, ms; five seconds unless told. */
  readonly sendMs?: number;
  readonly sampling: SamplingTerms;
  /** Told, at most once a minute, that spans do not arrive. */
  readonly onTrouble?: (message: string) => void;
  /** Where spans go instead of the endpoint. */
  readonly exporter?: SpanExporter;
}

/** What a span begins with. Times are ms since the epoch; without one it is now. */
export interface SpanBeginning {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
  readonly links?: Link[];
  readonly startTime?: number;
}

const DELIVERY = { mostWaiting: 8192, batchSize: 1024, delayMs: 200 };
const SHUTDOWN_MS = 1500;
/** Longest attribute, characters: what agents write must not make spans large. */
const LONGEST_ATTRIBUTE = 1024;

/** Random ids, except that the next span may be given its own. */
class ChosenIds implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  #traceId: string | undefined;
  #spanId: string | undefined;

  choose(ids: { readonly traceId: string; readonly spanId: string }): void {
    this.#traceId = ids.traceId;
    this.#spanId = ids.spanId;
  }

  generateTraceId(): string {
    const chosen = this.#traceId;
    this.#traceId = undefined;
    return chosen ?? this.#random.generateTraceId();
  }

  generateSpanId(): string {
    const chosen = this.#spanId;
    this.#spanId = undefined;
    return chosen ?? this.#random.generateSpanId();
  }
}

/** The tracing of one process. Every span that is begun is sent: whether to begin one is decided before. */
export class Tracing {
  readonly sampling: SamplingTerms;
  readonly #ids = new ChosenIds();
  readonly #delivery: CountedDelivery;
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  #isGlobal = false;

  constructor(options: TracingOptions) {
    const { service, version, endpoint, sendMs = SEND_MS, sampling, exporter, onTrouble } = options;
    this.sampling = sampling;
    this.#delivery = new CountedDelivery(
      // all that may wait, at once: when the process ends
      exporter ?? otlpExporter(endpoint, { sendMs, atOnce: DELIVERY.mostWaiting / DELIVERY.batchSize }),
      { ...DELIVERY, sendMs },
    );
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes({ 'service.name': service, 'service.version': version }),
      sampler: new AlwaysOnSampler(),
      idGenerator: this.#ids,
      spanProcessors: [this.#delivery],
      spanLimits: { attributeValueLengthLimit: LONGEST_ATTRIBUTE },
    });
    this.#tracer = this.#provider.getTracer('remit', version);
    // the SDK reports a collector that is away here, at every try; its own handler prints to the console
    setGlobalErrorHandler(
      onceAMinute((error) => onTrouble?.(error instanceof Error ? error.message : JSON.stringify(error))),
    );
  }

  /** Begins a span under another one, or as the first of a trace. */
  begin(place: TracePlace | undefined, { name, ...beginning }: SpanBeginning): Span {
    let under: Context = ROOT_CONTEXT;
    if (place !== undefined && 'traceId' in place) this.#ids.choose(place);
    else if (place !== undefined) under = trace.setSpanContext(ROOT_CONTEXT, place.parent);
    return this.#tracer.startSpan(name, beginning, under);
  }

  /**
   * Makes this the process's global OpenTelemetry provider until it is shut down, so that whatever uses the API (agents,
   * libraries) traces through it, with contexts that survive `await`.
   */
  registerGlobally(): void {
    this.#isGlobal = true;
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    trace.setGlobalTracerProvider(this.#provider);
  }

  counts(): SpanCounts {
    return this.#delivery.counts();
  }

  /** Sends what is waiting, now. Rejects when the collector does not take it. */
  async flush(): Promise<void> {
    await this.#delivery.forceFlush();
  }

  /** Sends what is waiting, for less than two seconds, whatever the collector does. Never rejects. */
  async shutdown(): Promise<void> {
    if (this.#isGlobal) {
      trace.disable();
      context.disable();
    }
    await this.#delivery.end(SHUTDOWN_MS);
  }
}
