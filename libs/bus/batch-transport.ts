import { BaseRpcContext, Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';
import type { Batch, BatchResult, Bus, Consumption } from './bus.js';
import { BusError, messageOf } from './errors.js';

export interface BatchTransportOptions {
  readonly bus: Bus;
  /** The consumer group that shares the work. */
  readonly group: string;
  /** Chooses the handlers of this transport where a process has several: `@MessagePattern(topic, transportId)`. */
  readonly transportId?: symbol;
}

/**
 * Feeds Nest controllers with batches. `@MessagePattern(topic)` marks the one handler of a topic; its payload is the
 * {@link Batch}, and it returns a {@link BatchResult}, a promise or an Observable of it. Offsets are committed after
 * the results have been acknowledged.
 */
export class BatchTransport extends Server implements CustomTransportStrategy {
  readonly #bus: Bus;
  readonly #group: string;
  #consumption: Consumption | undefined;

  constructor(options: BatchTransportOptions) {
    super();
    this.#bus = options.bus;
    this.#group = options.group;
    if (options.transportId !== undefined) this.transportId = options.transportId;
  }

  /** Throws `REMIT_BUS_HANDLER_TWICE`: results of two handlers could not be told apart. */
  override addHandler(
    pattern: unknown,
    callback: MessageHandler,
    isEventHandler?: boolean,
    extras?: Record<string, unknown>,
  ): void {
    if (typeof pattern !== 'string' || this.messageHandlers.has(pattern)) {
      throw new BusError('REMIT_BUS_HANDLER_TWICE', `one handler per topic name, please: ${JSON.stringify(pattern)}`);
    }
    super.addHandler(pattern, callback, isEventHandler, extras);
  }

  listen(callback: (error?: unknown) => void): void {
    this.#start().then(() => callback(), callback);
  }

  async #start(): Promise<void> {
    const topics = [...this.messageHandlers.keys()];
    this.#consumption = await this.#bus.consume({ group: this.#group, topics }, (batch) => this.#handle(batch));
  }

  async #handle(batch: Batch): Promise<BatchResult> {
    const handler = this.messageHandlers.get(batch.topic) as MessageHandler;
    try {
      const result: unknown = await handler(batch, new BaseRpcContext([batch]));
      return (isObservable(result) ? await lastValueFrom(result) : result) as BatchResult;
    } catch (error) {
      // Nest hands on a plain object for an error that it has logged itself
      if (error instanceof Error) throw error;
      throw new BusError('REMIT_BUS_HANDLER_FAILED', `the handler of ${batch.topic} failed: ${textOf(error)}`, error);
    }
  }

  /** Finishes the batch in hand, commits it and leaves the group. */
  async close(): Promise<void> {
    await this.#consumption?.stop();
    this.#consumption = undefined;
  }

  /** Partitions assigned now, per topic. */
  assigned(): ReadonlyMap<string, readonly number[]> {
    return this.#consumption?.assigned() ?? new Map();
  }

  /** The next offsets to be worked off, per topic and assigned partition, as far as they are known. */
  positions(): ReadonlyMap<string, ReadonlyMap<number, number>> {
    return this.#consumption?.positions() ?? new Map();
  }

  /** Reads a partition again from an earlier offset on. */
  goBack(topic: string, partition: number, next: number): void {
    this.#consumption?.goBack(topic, partition, next);
  }

  /** In the group, with all the partitions it is to have. */
  settled(): boolean {
    return this.#consumption?.settled() ?? false;
  }

  /** There are no transport events: readiness is asked for with {@link settled}. */
  on(): void {
    return undefined;
  }

  unwrap<Wrapped>(): Wrapped {
    return this.#bus as Wrapped;
  }
}

function textOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : messageOf(error);
}
