import type { ServiceName, TopicDeclaration } from '#contracts';

/** Header values by name, in the order of first appearance; a repeated name has an array. */
export type MessageHeaders = Readonly<Record<string, Buffer | readonly Buffer[]>>;

/** A message as it lies on the log. */
export interface ReceivedMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Broker append time, ms since the epoch. */
  readonly appendTime: number;
  /** Running maximum of `appendTime` over the partition up to and including this message, ms since the epoch. */
  readonly logTime: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: MessageHeaders;
  /** The service of Remit whose signature it carries; left out where signatures are not in use, or it has no right one. */
  readonly writtenBy?: ServiceName | 'unsigned';
}

/** A message to append. Without `partition`, murmur2 of the key chooses it. */
export interface OutgoingMessage {
  readonly topic: string;
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly headers?: OutgoingHeaders;
  readonly partition?: number;
}

export type OutgoingHeaders = Readonly<Record<string, string | Buffer | readonly Buffer[]>>;

/** What follows from a message of a batch. */
export interface ResultMessage extends OutgoingMessage {
  /** The message it follows from: it becomes a dead letter when the result is larger than its topic allows. */
  readonly source: ReceivedMessage;
}

/** Where a published message lies. `appendTime` is the broker's, ms since the epoch. */
export interface PublishedMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly appendTime: number;
}

/** Neighbouring messages of one partition, in offset order. */
export interface Batch {
  readonly topic: string;
  readonly partition: number;
  readonly messages: readonly ReceivedMessage[];
  /** From here on the partition was read: offsets between here and the last message that are left out hold none. */
  readonly readFrom: number;
  /**
   * Shows that the work goes on; the bus keeps the group membership alive by itself as long as a handler shows that at
   * least every minute. Throws `REMIT_BUS_PARTITION_LOST` when the partition has been taken away: give up, somebody else
   * gets the batch.
   */
  heartbeat(): Promise<void>;
}

/** A message nobody can read or work off, with a stable code and a sentence that says what to do. */
export interface Unreadable {
  readonly message: ReceivedMessage;
  readonly code: string;
  readonly reason: string;
  /** It could be read, and no result or effect of it can ever be had: that is a fault of Remit's own, or of its surroundings. */
  readonly givenUp?: true;
}

/** What came of a batch. Offsets are committed after the broker has acknowledged all of it. */
export interface BatchResult {
  readonly publish: readonly ResultMessage[];
  readonly unreadable: readonly Unreadable[];
}

export type BatchHandler = (batch: Batch) => Promise<BatchResult>;

export interface ConsumeOptions {
  readonly group: string;
  readonly topics: readonly string[];
}

/** A member of a consumer group at work. */
export interface Consumption {
  /** Partitions assigned to this member now, per topic. Empty until the group has settled. */
  assigned(): ReadonlyMap<string, readonly number[]>;
  /**
   * The next offset to be worked off, per topic and assigned partition. Left out while it is not known: the group has
   * never committed there, and this member has not got anything either.
   */
  positions(): ReadonlyMap<string, ReadonlyMap<number, number>>;
  /** Reads a partition of this member again, from an earlier offset on, once the batch in hand is done. */
  goBack(topic: string, partition: number, next: number): void;
  /** The member is in the group and knows its partitions; it may have none where there are more members than partitions. */
  settled(): boolean;
  /** Finishes the batch in hand, commits it and leaves the group. */
  stop(): Promise<void>;
}

/** What came of a batch in the hands of a consumer group. */
export interface BatchReport {
  readonly group: string;
  readonly topic: string;
  readonly messages: number;
  /** From the batch's arrival until its offset was committed, or it failed, ms. */
  readonly ms: number;
  /** Code of the error for which the same messages come again. */
  readonly failed?: string;
  /** What went to dead letters. */
  readonly parked: readonly Unreadable[];
}

/** A reader of this bus: its consumer group, or `view` for a private one, and what it reads. */
export interface ReaderName {
  readonly group: string;
  readonly topics: readonly string[];
}

/** For how long a reader has not read although the brokers answered, ms; 0 while it reads. */
export interface Standstill {
  readonly reader: ReaderName;
  readonly ms: number;
}

/** Is told of what the consumer groups of a bus do, and changes nothing of it. It must not throw. */
export interface ConsumptionWatch {
  joined(options: ConsumeOptions, consumption: Consumption): void;
  worked(report: BatchReport): void;
  /** A reader stood still, and was made anew. */
  renewed(reader: ReaderName): void;
}

/** A consumer group is about to go on in a partition. */
export interface GroupReading {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  /** Where it has to go on, by what it has committed or worked off; `undefined`: it has never committed. */
  readonly expected: number | undefined;
  /** Where it does go on. Beyond `expected`: what lay between is no longer kept. Before it: the log is another one. */
  readonly readFrom: number;
}

/** Is asked before a group reads on. What it throws makes the same messages come again. */
export interface ReadingGate {
  /** Before a member joins a group: where that has come, and where the log begins and ends. */
  joining(options: ConsumeOptions): Promise<void>;
  /** Before each batch. Returns the offset before which nothing of the partition is handled. */
  admit(reading: GroupReading): Promise<number>;
}

/** For each topic, the next offset to be read of each partition, as far as the group has committed one. */
export type CommittedOffsets = ReadonlyMap<string, ReadonlyMap<number, number>>;

/** Where to read on: the next offset, and the running maximum of append times before it, ms since the epoch. */
export interface StartPosition {
  readonly nextOffset: number;
  readonly logTime: number;
}

export interface FollowOptions {
  readonly topics: readonly string[];
  /**
   * `start`: everything ever kept. `end`: what comes after the call has returned. Positions by partition, for one topic:
   * from there; partitions without one from the start.
   */
  readonly from: 'start' | 'end' | ReadonlyMap<number, StartPosition>;
  /** Only these partitions; else all. */
  readonly partitions?: readonly number[];
}

/** How far a private reader has come: everything of this partition before `nextOffset` that is kept has been handed out. */
export interface ReadPosition {
  readonly topic: string;
  readonly partition: number;
  readonly nextOffset: number;
}

/**
 * Gets neighbouring messages of one partition, in offset order, each once, and how far the reader is after them.
 * Called with no messages when only the position has moved (expired messages, transaction markers). When it throws,
 * the reader stays where it is and hands out the same messages again later.
 */
export type MessageReader = (messages: readonly ReceivedMessage[], position: ReadPosition) => void;

/** A private reader of whole topics, which belongs to no shared group and commits nothing. */
export interface Following {
  stop(): Promise<void>;
}

/** For each topic, the offset after the last message of each partition. */
export type LogEnds = ReadonlyMap<string, readonly number[]>;

/**
 * The log as Remit uses it. Two implementations, `KafkaBus` and `MemoryBus`, pass one suite.
 *
 * Errors carry a code `REMIT_BUS_…`.
 */
export interface Bus {
  /** Creates what is missing; throws `REMIT_BUS_TOPIC_DIFFERS` when a topic exists with other settings. */
  ensureTopics(declarations: readonly TopicDeclaration[]): Promise<void>;
  /**
   * Appends with acks=all, idempotently, in order per partition, split by bytes into as many sends as needed.
   * Throws `REMIT_BUS_MESSAGE_TOO_LARGE` before anything is sent, `REMIT_BUS_PUBLISH_FAILED` when the brokers do not
   * acknowledge in time: then some of it may be on the log.
   */
  publish(messages: readonly OutgoingMessage[]): Promise<readonly PublishedMessage[]>;
  /**
   * Joins a consumer group. A broker outage means waiting, never a drop and never a crash. A handler that throws gets
   * the same messages again, later; meanwhile the other partitions go on. Where that can never help, the one message
   * that is why becomes a dead letter (see `OUTLOOKS`): so a handler may be given part of a batch again. Throws `REMIT_BUS_TOPIC_MISSING` when a
   * topic, or the one for dead letters, does not exist.
   */
  consume(options: ConsumeOptions, handler: BatchHandler): Promise<Consumption>;
  /** Resolves once the reader is in place: with `from: 'end'`, everything published afterwards reaches it. */
  follow(options: FollowOptions, onMessages: MessageReader): Promise<Following>;
  /**
   * Asks the brokers now, open transactions included. Callers share one look-up, but only one that began after they
   * asked. Throws `REMIT_BUS_UNREACHABLE` after a few tries.
   */
  ends(topics: readonly string[]): Promise<LogEnds>;
  /** For each topic, the first offset that is kept of each partition. Throws `REMIT_BUS_UNREACHABLE` after a few tries. */
  starts(topics: readonly string[]): Promise<LogEnds>;
  /** How far a group has come. Throws `REMIT_BUS_UNREACHABLE` after a few tries. */
  committed(group: string, topics: readonly string[]): Promise<CommittedOffsets>;
  /**
   * The offset of the first message that is kept from `from` on and before `to`. `undefined`: there is none, only
   * transaction markers, which take offsets and are no messages, or what has expired. Throws `REMIT_BUS_UNREACHABLE`.
   */
  firstBetween(topic: string, partition: number, from: number, to: number): Promise<number | undefined>;
  /**
   * One message, read back by its position; `undefined` when nothing is kept there (any more). Its `logTime` is its own
   * append time: of the messages before it nothing is known.
   */
  readAt(topic: string, partition: number, offset: number): Promise<ReceivedMessage | undefined>;
  /** Every reader that is open now. */
  standstills(): readonly Standstill[];
  close(): Promise<void>;
}
