import type { Context } from '@opentelemetry/api';
import { ExportResultCode, type ExportResult } from '@opentelemetry/core';
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type Span,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';

/** What became of the spans of this process since it started. */
export interface SpanCounts {
  readonly ended: number;
  /** The collector has taken them. */
  readonly exported: number;
  /** Sent, and not taken. */
  readonly failed: number;
  /** Never sent: too many were waiting, or the process ended. */
  readonly dropped: number;
}

export interface DeliveryOptions {
  /** Spans that may wait at most, in the queue and on their way; what comes on top is dropped. */
  readonly mostWaiting: number;
  readonly batchSize: number;
  /** How long a span waits for others before it is sent, ms. */
  readonly delayMs: number;
  /** How long one sending may take, ms. */
  readonly sendMs: number;
}

/** A batch on its way. */
interface Sending {
  /** It has come to an end, and is counted; what is told of it later is not. */
  readonly over: Promise<void>;
  end(result: ExportResult): void;
}

/**
 * Sends spans in batches, with bounded memory, and knows what became of every one: the SDK's own processor drops
 * without telling, and waits without bound when it is shut down.
 */
export class CountedDelivery implements SpanProcessor {
  readonly #batches: BatchSpanProcessor;
  readonly #sendings = new Set<Sending>();
  #ended = 0;
  #exported = 0;
  #failed = 0;
  #dropped = 0;

  constructor(
    exporter: SpanExporter,
    private readonly options: DeliveryOptions,
  ) {
    this.#batches = new BatchSpanProcessor({
      exporter: this.#counting(exporter),
      // admission is decided here: the SDK's queue is never full
      maxQueueSize: options.mostWaiting,
      maxExportBatchSize: options.batchSize,
      scheduledDelayMillis: options.delayMs,
      exportTimeoutMillis: options.sendMs,
    });
  }

  counts(): SpanCounts {
    return { ended: this.#ended, exported: this.#exported, failed: this.#failed, dropped: this.#dropped };
  }

  get #waiting(): number {
    return this.#ended - this.#exported - this.#failed - this.#dropped;
  }

  onStart(span: Span, parentContext: Context): void {
    this.#batches.onStart(span, parentContext);
  }

  onEnd(span: ReadableSpan): void {
    this.#ended += 1;
    if (this.#waiting > this.options.mostWaiting) this.#dropped += 1;
    else this.#batches.onEnd(span);
  }

  async forceFlush(): Promise<void> {
    await this.#batches.forceFlush();
  }

  async shutdown(): Promise<void> {
    await this.#batches.shutdown();
  }

  /**
   * Sends what is waiting, for at most `withinMs`; what is not sent or not taken by then is lost, and counted so. Never
   * rejects.
   */
  async end(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, withinMs)));
    // the first batch that fails ends the SDK's shutdown, and not the others
    const sent = this.shutdown().catch(() => this.#sent());
    await Promise.race([sent, late]);
    clearTimeout(timer);
    const error = new Error('the process has ended');
    for (const sending of this.#sendings) sending.end({ code: ExportResultCode.FAILED, error });
    await this.#sent();
    this.#dropped += this.#waiting;
  }

  async #sent(): Promise<void> {
    await Promise.all([...this.#sendings].map(({ over }) => over));
  }

  #counting(exporter: SpanExporter): SpanExporter {
    return {
      export: (spans, done) => {
        const { promise, resolve } = Promise.withResolvers<ExportResult>();
        const over = promise.then((result) => {
          this.#sendings.delete(sending);
          if (result.code === ExportResultCode.SUCCESS) this.#exported += spans.length;
          else this.#failed += spans.length;
          done(result);
        });
        const sending = { over, end: resolve };
        this.#sendings.add(sending);
        exporter.export(spans, resolve);
      },
      forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
      shutdown: () => exporter.shutdown(),
    };
  }
}
