import type { EachBatchPayload } from 'kafkajs';
import type { Batch, ReceivedMessage } from './bus.js';
import { BusError } from './errors.js';
import { isMembershipLost } from './kafka-client.js';

/** How often a member shows the coordinator that it is there, ms. */
export const HEARTBEAT_MS = 1000;
/**
 * A handler that has shown no progress for so long hangs, ms. Several statements of a database may follow each other
 * without any, each of which takes up to 20 s where the database is silent.
 */
export const DEFAULT_HANDLER_PATIENCE_MS = 60_000;

/** Keeps this member in the group while a batch is in hand, and notices when it is out. */
export class Membership {
  #lost: unknown;
  #progressAt = 0;

  constructor(
    private readonly payload: Pick<EachBatchPayload, 'heartbeat'>,
    private readonly handlerPatienceMs: number,
    private readonly beatMs = HEARTBEAT_MS,
  ) {}

  batch(topic: string, partition: number, messages: readonly ReceivedMessage[], readFrom: number): Batch {
    const heartbeat = (): Promise<void> => {
      this.#progressAt = performance.now();
      return this.#heartbeat();
    };
    return { topic, partition, messages, readFrom, heartbeat };
  }

  /** Heartbeats while it waits for something that ends. */
  async during<Result>(work: Promise<Result>): Promise<Result> {
    return this.#beating(work, () => true);
  }

  /**
   * Heartbeats while a handler works, which may wait for a database longer than a session lasts. One that has hung loses
   * its partition: the heartbeats end once it has shown no progress for so long, with `batch.heartbeat()` or otherwise.
   */
  async handling<Result>(work: Promise<Result>): Promise<Result> {
    this.#progressAt = performance.now();
    return this.#beating(work, () => performance.now() - this.#progressAt < this.handlerPatienceMs);
  }

  async #beating<Result>(work: Promise<Result>, isAlive: () => boolean): Promise<Result> {
    const timer = setInterval(() => {
      if (isAlive()) void this.#heartbeat().catch(() => undefined);
    }, this.beatMs);
    try {
      return await work;
    } finally {
      clearInterval(timer);
    }
  }

  async #heartbeat(): Promise<void> {
    try {
      await this.payload.heartbeat();
    } catch (error) {
      // brokers that are away are waited for
      if (!isMembershipLost(error)) return;
      this.#lost = error;
      throw new BusError('REMIT_BUS_PARTITION_LOST', 'the partition goes to another member: give up this batch', error);
    }
  }

  /** Throws the broker's own error, by which kafkajs knows that it has to join again. */
  throwIfLost(): void {
    if (this.#lost !== undefined) throw this.#lost as Error;
  }
}
