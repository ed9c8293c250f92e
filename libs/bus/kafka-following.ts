import kafkajs, { type EachBatchPayload, type PartitionAssigner } from 'kafkajs';
import type {
  ConsumptionWatch,
  Following,
  FollowOptions,
  LogEnds,
  MessageReader,
  ReaderName,
  ReceivedMessage,
  Standstill,
} from './bus.js';
import { BusError, codeOf, messageOf, type BusLog } from './errors.js';
import type { ClientFactory } from './kafka-client.js';
import { hasAppendTime, receivedMessage, startReader, type OpenReader, type Reader } from './kafka-reader.js';
import { BackOff, Signal } from './waiting.js';

export interface FollowingDependencies {
  readonly client: ClientFactory;
  readonly log: BusLog;
  /** A group name that nobody has had. */
  readonly groupOf: () => string;
  readonly watch: ConsumptionWatch | undefined;
  /** {@link ReaderOptions.renewAfterMs} */
  readonly renewAfterMs: number;
  readonly stopped: (reader: OpenReader) => void;
}

/** One partition as far as it has been handed out. */
interface Cursor {
  next: number;
  logTime: number;
  readonly backOff: BackOff;
}

/**
 * A private reader. Each kafkajs consumer it uses is the only member of a group of its own, which never commits and
 * vanishes with it; the position is kept here, so that nothing is skipped or handed out twice when one is replaced.
 */
export class KafkaFollowing implements Following, OpenReader {
  readonly #cursors = new Map<string, Cursor>();
  readonly #resumptions = new Set<NodeJS.Timeout>();
  readonly #inPlace = new Signal<undefined>();
  readonly #name: ReaderName;
  readonly #reader: Reader;

  constructor(
    private readonly on: FollowingDependencies,
    private readonly options: FollowOptions,
    start: LogEnds,
    private readonly onMessages: MessageReader,
  ) {
    for (const [topic, offsets] of start) {
      offsets.forEach((offset, partition) => {
        if (options.partitions?.includes(partition) === false) return;
        const at = typeof options.from === 'string' ? undefined : options.from.get(partition);
        const next = Math.max(offset, at?.nextOffset ?? 0);
        this.#cursors.set(`${topic}/${partition}`, { next, logTime: at?.logTime ?? 0, backOff: new BackOff() });
        onMessages([], { topic, partition, nextOffset: next });
      });
    }
    this.#name = { group: 'view', topics: options.topics };
    this.#reader = startReader({
      client: on.client,
      log: on.log,
      name: this.#name,
      concurrency: 1,
      renewAfterMs: on.renewAfterMs,
      onRenewed: () => on.watch?.renewed(this.#name),
      config: () => ({ groupId: on.groupOf(), partitionAssigners: [assignAll(options.partitions)] }),
      onAssignment: (assignment) => this.#position(assignment),
      onNothing: (topic, partition, lastOffset) => this.#advance(topic, partition, lastOffset + 1),
      onBatch: (payload) => this.#read(payload),
    });
  }

  /** Resolves when the brokers have given us our partitions for the first time. */
  async inPlace(): Promise<void> {
    await this.#inPlace.promise;
  }

  standstill(): Standstill {
    return { reader: this.#name, ms: this.#reader.standstillMs() };
  }

  async stop(): Promise<void> {
    for (const timer of this.#resumptions) clearTimeout(timer);
    await this.#reader.stop();
    this.on.stopped(this);
    this.#inPlace.give(undefined);
  }

  /** kafkajs forgets where it was whenever it joins: nothing is committed. */
  #position(assignment: Readonly<Record<string, readonly number[]>> | undefined): void {
    if (assignment === undefined) return;
    for (const topic in assignment) {
      for (const partition of assignment[topic] ?? []) {
        const cursor = this.#cursors.get(`${topic}/${partition}`);
        if (cursor) this.#reader.consumer?.seek({ topic, partition, offset: String(cursor.next) });
      }
    }
    this.#inPlace.give(undefined);
  }

  #advance(topic: string, partition: number, nextOffset: number): void {
    const cursor = this.#cursors.get(`${topic}/${partition}`);
    if (cursor === undefined || nextOffset <= cursor.next) return;
    this.onMessages([], { topic, partition, nextOffset });
    cursor.next = nextOffset;
  }

  #read(payload: EachBatchPayload): Promise<void> {
    const { topic, partition, messages: raw } = payload.batch;
    const cursor = this.#cursors.get(`${topic}/${partition}`);
    if (cursor === undefined) return Promise.resolve();
    const lastOffset = payload.batch.lastOffset();
    try {
      const messages: ReceivedMessage[] = [];
      let { logTime } = cursor;
      for (const one of raw) {
        if (Number(one.offset) < cursor.next) continue;
        if (!hasAppendTime(one)) throw notAppendTime(topic, partition, one.offset);
        const appendTime = Number(one.timestamp);
        if (appendTime > logTime) logTime = appendTime;
        messages.push(receivedMessage(topic, partition, one, appendTime, logTime));
      }
      const nextOffset = Math.max(cursor.next, Number(lastOffset) + 1);
      if (messages.length > 0) this.onMessages(messages, { topic, partition, nextOffset });
      cursor.next = nextOffset;
      cursor.logTime = logTime;
      cursor.backOff.reset();
      payload.resolveOffset(lastOffset);
    } catch (error) {
      this.#comeAgain(payload, cursor, error);
    }
    return Promise.resolve();
  }

  #comeAgain(payload: EachBatchPayload, cursor: Cursor, error: unknown): void {
    const pauseMs = cursor.backOff.next();
    this.on.log({
      level: 'error',
      code: codeOf(error) ?? 'REMIT_BUS_HANDLER_FAILED',
      message: `following ${payload.batch.topic}/${payload.batch.partition} stops for ${pauseMs} ms: ${messageOf(error)}`,
      details: { error },
    });
    const resume = payload.pause();
    const timer = setTimeout(() => {
      this.#resumptions.delete(timer);
      resume();
    }, pauseMs);
    this.#resumptions.add(timer);
  }
}

function notAppendTime(topic: string, partition: number, offset: string): BusError {
  return new BusError(
    'REMIT_BUS_NOT_APPEND_TIME',
    `the time of ${topic}/${partition}/${offset} is its writer’s own, so nothing can be known as of a time: ` +
      'set message.timestamp.type=LogAppendTime on the topic and write its events again',
  );
}

/** kafkajs has no assignment by hand: a group of one member that assigns itself what it wants does the same. */
function assignAll(wanted: readonly number[] | undefined): PartitionAssigner {
  const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol;
  return ({ cluster }) => ({
    name: 'remit-private-reader',
    version: 1,
    assign: ({ members, topics }) => {
      const assignment: Record<string, number[]> = {};
      for (const topic of topics) {
        const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
        assignment[topic] = wanted ? partitions.filter((partition) => wanted.includes(partition)) : partitions;
      }
      return Promise.resolve(
        members.map(({ memberId }) => ({
          memberId,
          memberAssignment: MemberAssignment.encode({ version: 1, assignment, userData: Buffer.alloc(0) }),
        })),
      );
    },
    protocol: ({ topics }) => ({
      name: 'remit-private-reader',
      metadata: MemberMetadata.encode({ version: 1, topics, userData: Buffer.alloc(0) }),
    }),
  });
}
