import type { Consumer, ConsumerConfig, EachBatchPayload, KafkaMessage } from 'kafkajs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageHeaders, ReceivedMessage } from './bus.js';
import { messageOf, type BusLog } from './errors.js';
import type { ClientFactory } from './kafka-client.js';
import { BackOff, Signal } from './waiting.js';

/** A group member that is made again, with growing pauses, whenever kafkajs gives one up. */
export interface Reader {
  /** The kafkajs consumer at work, if any. */
  readonly consumer: Consumer | undefined;
  stop(): Promise<void>;
}

export interface ReaderOptions {
  readonly client: ClientFactory;
  readonly log: BusLog;
  readonly topics: readonly string[];
  /** Called for each consumer that is made. */
  readonly config: () => ConsumerConfig;
  readonly concurrency: number;
  /** The partitions this member has got, whenever the group has settled; and `undefined` when it has lost them. */
  readonly onAssignment: (assignment: Readonly<Record<string, readonly number[]>> | undefined) => void;
  /** An answer without a message for us (transaction markers only) that ends at this offset. */
  readonly onNothing?: (topic: string, partition: number, lastOffset: number) => void;
  readonly onBatch: (payload: EachBatchPayload) => Promise<void>;
}

/**
 * Settings that every reader shares. `readUncommitted`: somebody's open transaction must not stop a partition.
 * Small answers per partition: what is in hand at once stays small. A record batch that is larger comes whole and alone,
 * so an answer takes no more than these bytes from each partition and one largest batch.
 */
const READING = {
  readUncommitted: true,
  allowAutoTopicCreation: false,
  minBytes: 1,
  maxWaitTimeInMs: 100,
  maxBytesPerPartition: 256 * 1024,
} as const;

/** Patience within one consumer, about 5 s: a member that comes back within its session goes on where it was. */
const READER_RETRY = { initialRetryTime: 100, maxRetryTime: 1000, retries: 8 };

export function startReader(options: ReaderOptions): Reader {
  let stopping = false;
  let consumer: Consumer | undefined;
  const stopped = new Signal<undefined>();
  const backOff = new BackOff();

  async function readOnce(): Promise<void> {
    const current = options.client({ retry: READER_RETRY }).consumer({
      ...READING,
      ...options.config(),
      // kafkajs restarts some crashes by itself and others never: we make a new consumer after each
      retry: { ...READER_RETRY, restartOnFailure: () => Promise.resolve(false) },
    });
    const crashed = new Signal<unknown>();
    const { events } = current;
    current.on(events.CRASH, ({ payload }) => crashed.give(payload.error));
    current.on(events.REBALANCING, () => options.onAssignment(undefined));
    current.on(events.GROUP_JOIN, ({ payload }) => {
      backOff.reset();
      options.onAssignment(payload.memberAssignment);
    });
    if (options.onNothing) {
      const onNothing = options.onNothing;
      current.on(events.START_BATCH_PROCESS, ({ payload }) => {
        if (payload.batchSize === 0) onNothing(payload.topic, payload.partition, Number(payload.lastOffset));
      });
    }
    const begin = async (): Promise<void> => {
      await current.connect();
      await current.subscribe({ topics: [...options.topics], fromBeginning: true });
      await current.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: options.concurrency,
        eachBatch: options.onBatch,
      });
    };
    consumer = current;
    begin()
      // stopped while it was still connecting: kafkajs does not notice by itself
      .then(() => (stopping ? current.disconnect() : undefined))
      .catch((error: unknown) => crashed.give(error));
    const crash = await Promise.race([crashed.promise, stopped.promise]);
    await current.disconnect().catch(() => undefined);
    consumer = undefined;
    options.onAssignment(undefined);
    if (crash !== undefined) throw crash as Error;
  }

  async function readAlways(): Promise<void> {
    while (!stopping) {
      try {
        await readOnce();
      } catch (error) {
        options.log({
          level: 'warn',
          code: 'REMIT_BUS_UNREACHABLE',
          message: `reading ${options.topics.join(', ')} was interrupted and starts again: ${messageOf(error)}`,
        });
        await Promise.race([sleep(backOff.next()), stopped.promise]);
      }
    }
  }

  const ended = readAlways();
  return {
    get consumer() {
      return consumer;
    },
    async stop() {
      stopping = true;
      stopped.give(undefined);
      await ended;
    },
  };
}

const LOG_APPEND_TIME = 1;

/** What kafkajs knows of a record and does not type. */
type TimedMessage = KafkaMessage & { readonly batchContext?: { readonly timestampType?: number } };

/** The broker has set the time of this message, not its writer. */
export function hasAppendTime(message: KafkaMessage): boolean {
  return (message as TimedMessage).batchContext?.timestampType === LOG_APPEND_TIME;
}

export function receivedMessage(
  topic: string,
  partition: number,
  message: KafkaMessage,
  appendTime: number,
  logTime: number,
): ReceivedMessage {
  return {
    topic,
    partition,
    offset: Number(message.offset),
    appendTime,
    logTime,
    key: message.key,
    value: message.value,
    headers: message.headers as MessageHeaders,
  };
}
