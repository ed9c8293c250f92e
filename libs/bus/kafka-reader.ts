import kafkajs, { type Consumer, type ConsumerConfig, type EachBatchPayload, type KafkaMessage } from 'kafkajs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageHeaders, ReaderName, ReceivedMessage, Standstill } from './bus.js';
import { BusError, codeOf, messageOf, type BusLog } from './errors.js';
import { joiningAt, type GroupPlace } from './group-place.js';
import { Line, type ClientFactory } from './kafka-client.js';
import { ReadingClock } from './reading-clock.js';
import { BackOff, Signal } from './waiting.js';

/** A group member that is made anew, with growing pauses, whenever kafkajs gives one up or one stands still. */
export interface Reader {
  /** The kafkajs consumer at work, if any. */
  readonly consumer: Consumer | undefined;
  /** For how long it has not read although the brokers answered, ms; 0 while it reads. */
  standstillMs(): number;
  stop(): Promise<void>;
}

/** What a bus knows of everything in it that reads. */
export interface OpenReader {
  stop(): Promise<void>;
  standstill(): Standstill;
}

export interface ReaderOptions {
  readonly client: ClientFactory;
  readonly log: BusLog;
  readonly name: ReaderName;
  /** Called for each consumer that is made. */
  readonly config: () => ConsumerConfig;
  readonly concurrency: number;
  /** A consumer that has not read for so long is made anew, ms; the next one later. Longer than a rebalance may take. */
  readonly renewAfterMs: number;
  readonly onRenewed: () => void;
  /** The partitions this member has got, whenever the group has settled; and `undefined` when it has lost them. */
  readonly onAssignment: (assignment: Readonly<Record<string, readonly number[]>> | undefined) => void;
  /** An answer without a message for us (transaction markers only) that ends at this offset. */
  readonly onNothing?: (topic: string, partition: number, lastOffset: number) => void;
  readonly onBatch: (payload: EachBatchPayload) => Promise<void>;
}

/** How long the members of a group wait for one that does not come back to a rebalance, ms. */
const REBALANCE_TIMEOUT_MS = 10_000;
/**
 * kafkajs waits 5 s longer than that for the answer to a join: only then is it clear that none comes. What is made anew
 * then has the time to join within 30 s of the brokers' return.
 */
export const DEFAULT_RENEW_AFTER_MS = 16_000;

/**
 * Settings that every reader shares. `readUncommitted`: somebody's open transaction must not stop a partition.
 * Small answers per partition: what follows from a batch is larger than the batch and has to fit into one send.
 */
const READING = {
  readUncommitted: true,
  allowAutoTopicCreation: false,
  minBytes: 1,
  maxWaitTimeInMs: 100,
  maxBytesPerPartition: 256 * 1024,
  rebalanceTimeout: REBALANCE_TIMEOUT_MS,
} as const;

/** Patience within one consumer, about 5 s: a member that comes back within its session goes on where it was. */
const READER_RETRY = { initialRetryTime: 100, maxRetryTime: 1000, retries: 8 };
/** How long a consumer may take its leave: to end the batch in hand, commit it and leave its group. */
const FAREWELL_MS = 15_000;
const TICK_MS = 1000;
/** A renewal that did not help although the brokers answered makes the next wait twice as long, at most so many times. */
const MAX_PATIENCE = 8;

export function startReader(options: ReaderOptions): Reader {
  const { name } = options;
  let stopping = false;
  let consumer: Consumer | undefined;
  const stopped = new Signal<undefined>();
  const backOff = new BackOff();
  const clock = new ReadingClock();
  let patienceMs = options.renewAfterMs;
  let place: GroupPlace | undefined;

  async function readOnce(): Promise<void> {
    const line = new Line();
    const client = options.client({ retry: READER_RETRY }, line);
    const { partitionAssigners = [kafkajs.PartitionAssigners.roundRobin], ...config } = options.config();
    if (place?.group !== config.groupId) place = { group: config.groupId, memberId: undefined };
    const mine = place;
    const current = client.consumer({
      ...READING,
      ...config,
      partitionAssigners: partitionAssigners.map((assigner) => joiningAt(mine, assigner)),
      // kafkajs restarts some crashes by itself and others never: we make a new consumer after each
      retry: { ...READER_RETRY, restartOnFailure: () => Promise.resolve(false) },
    });
    // one that was given up may still come to life for a moment: its news are of no interest then
    let counts = true;
    const crashed = new Signal<unknown>();
    const { events } = current;
    clock.restart();
    current.on(events.CRASH, ({ payload }) => crashed.give(payload.error));
    current.on(events.REQUEST, () => clock.answered());
    current.on(events.FETCH, () => clock.fetched());
    current.on(events.REBALANCING, () => {
      if (!counts) return;
      clock.lost();
      options.onAssignment(undefined);
    });
    current.on(events.GROUP_JOIN, ({ payload }) => {
      if (!counts) return;
      backOff.reset();
      patienceMs = options.renewAfterMs;
      clock.joined();
      options.onAssignment(payload.memberAssignment);
    });
    if (options.onNothing) {
      const onNothing = options.onNothing;
      current.on(events.START_BATCH_PROCESS, ({ payload }) => {
        if (counts && payload.batchSize === 0) onNothing(payload.topic, payload.partition, Number(payload.lastOffset));
      });
    }
    const onBatch = async (payload: EachBatchPayload): Promise<void> => {
      if (!counts) return;
      const done = clock.inHand();
      try {
        await options.onBatch(payload);
      } finally {
        done();
      }
    };
    const begin = async (): Promise<void> => {
      await current.connect();
      await current.subscribe({ topics: [...name.topics], fromBeginning: true });
      await current.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: options.concurrency,
        eachBatch: onBatch,
      });
    };
    consumer = current;
    begin()
      // stopped while it was still connecting: kafkajs does not notice by itself
      .then(() => (stopping ? current.disconnect() : undefined))
      .catch((error: unknown) => crashed.give(error));
    const watchdog = setInterval(() => {
      if (clock.tick() < patienceMs) return;
      crashed.give(standsStill(name, patienceMs));
      if (clock.couldHaveRead()) patienceMs = Math.min(2 * patienceMs, MAX_PATIENCE * options.renewAfterMs);
    }, TICK_MS);
    const crash = await Promise.race([crashed.promise, stopped.promise]);
    clearInterval(watchdog);
    // whatever comes after a crash takes the same place in the group
    if (crash === undefined) await leave(current);
    counts = false;
    line.cut();
    void current.disconnect().catch(() => undefined);
    consumer = undefined;
    options.onAssignment(undefined);
    if (crash !== undefined) throw crash as Error;
  }

  async function readAlways(): Promise<void> {
    while (!stopping) {
      try {
        await readOnce();
      } catch (error) {
        const standstill = codeOf(error) === 'REMIT_BUS_STANDSTILL';
        if (standstill) options.onRenewed();
        options.log({
          level: 'warn',
          code: standstill ? 'REMIT_BUS_STANDSTILL' : 'REMIT_BUS_UNREACHABLE',
          message: `reading ${name.topics.join(', ')} was interrupted and starts again: ${messageOf(error)}`,
          details: { group: name.group },
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
    standstillMs: () => clock.standstillMs,
    async stop() {
      stopping = true;
      stopped.give(undefined);
      await ended;
    },
  };
}

function standsStill({ group }: ReaderName, forMs: number): BusError {
  return new BusError(
    'REMIT_BUS_STANDSTILL',
    `${group} has not read for ${forMs / 1000} s; if this comes again while the brokers are up, restart the process`,
  );
}

async function leave(consumer: Consumer): Promise<void> {
  const abort = new AbortController();
  const patience = sleep(FAREWELL_MS, undefined, { signal: abort.signal }).catch(() => undefined);
  await Promise.race([consumer.disconnect().catch(() => undefined), patience]);
  abort.abort();
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
