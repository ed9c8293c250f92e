import { setImmediate as nextTurn } from 'node:timers/promises';
import { TOPICS, type TopicDeclaration } from '#contracts';
import type {
  Batch,
  BatchHandler,
  BatchReport,
  Bus,
  CommittedOffsets,
  ConsumeOptions,
  Consumption,
  ConsumptionWatch,
  Following,
  FollowOptions,
  LogEnds,
  MessageHeaders,
  MessageReader,
  OutgoingMessage,
  PublishedMessage,
  ReceivedMessage,
  Standstill,
  Unreadable,
} from './bus.js';
import { prepareResult, type DeadLetterOffice } from './dead-letter.js';
import { BusError, codeOf, messageOf, type BusLog } from './errors.js';
import { reportOfFailure } from './failed-batch.js';
import { Isolation } from './isolation.js';
import {
  limitsOf,
  Partitioner,
  recordBytes,
  recordSpaceOf,
  tooLarge,
  type PreparedMessage,
  type TopicLimits,
} from './topic-limits.js';
import { BackOff, Signal } from './waiting.js';

/** Most messages in one batch; small, so that tests see several. */
const BATCH_MESSAGES = 100;

type StoredMessage = Omit<ReceivedMessage, 'logTime'>;

interface StoredTopic {
  readonly declaration: TopicDeclaration;
  readonly limits: TopicLimits;
  readonly partitions: readonly StoredMessage[][];
}

/** What the brokers hold: topics and consumer groups. Several {@link MemoryBus}es share one, as processes share Kafka. */
export class MemoryLog {
  readonly #topics = new Map<string, StoredTopic>();
  readonly #groups = new Map<string, MemoryGroup>();
  #appended = new Signal<undefined>();

  /** `now`: the brokers' clock, ms since the epoch. It may go back, as clocks do. */
  constructor(private readonly now: () => number) {}

  ensure(declarations: readonly TopicDeclaration[]): void {
    const differences: string[] = [];
    for (const declaration of declarations) {
      const existing = this.#topics.get(declaration.name);
      if (existing === undefined) {
        const partitions = Array.from({ length: declaration.partitions }, () => []);
        this.#topics.set(declaration.name, { declaration, limits: limitsOf(declaration), partitions });
        continue;
      }
      for (const setting of ['partitions', 'maxBatchBytes', 'retentionMs', 'compacted'] as const) {
        const [found, wanted] = [existing.declaration[setting], declaration[setting]];
        if (found !== wanted) differences.push(`  ${declaration.name} has ${setting}=${found} and must have ${wanted}`);
      }
    }
    if (differences.length > 0) {
      throw new BusError('REMIT_BUS_TOPIC_DIFFERS', `existing topics have other settings:\n${differences.join('\n')}`);
    }
  }

  topic(name: string): StoredTopic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new BusError('REMIT_BUS_TOPIC_MISSING', `topic missing: ${name}; create it first`);
    return topic;
  }

  append({ topic, partition, message }: PreparedMessage): PublishedMessage {
    const messages = this.topic(topic).partitions[partition];
    if (messages === undefined) throw new BusError('REMIT_BUS_TOPIC_MISSING', `${topic} has no partition ${partition}`);
    const position = { topic, partition, offset: messages.length, appendTime: this.now() };
    messages.push({
      ...position,
      key: bytesOf(message.key),
      value: bytesOf(message.value),
      headers: headersOf(message),
    });
    this.wakeReaders();
    return position;
  }

  /** Up to a batch of messages from an offset on, with the running maximum that begins at `logTime`. */
  read(topic: string, partition: number, from: number, logTime: number): ReceivedMessage[] {
    let maximum = logTime;
    const stored = this.topic(topic).partitions[partition]?.slice(from, from + BATCH_MESSAGES) ?? [];
    return stored.map((message) => {
      maximum = Math.max(maximum, message.appendTime);
      return { ...message, logTime: maximum };
    });
  }

  end(topic: string): number[] {
    return this.topic(topic).partitions.map((messages) => messages.length);
  }

  group(name: string): MemoryGroup {
    let group = this.#groups.get(name);
    if (group === undefined) this.#groups.set(name, (group = new MemoryGroup(this)));
    return group;
  }

  /** Resolves at the next append or change of a group. */
  news(): Promise<undefined> {
    return this.#appended.promise;
  }

  wakeReaders(): void {
    const news = this.#appended;
    this.#appended = new Signal();
    news.give(undefined);
  }
}

function bytesOf(part: string | Buffer | null): Buffer | null {
  return typeof part === 'string' ? Buffer.from(part) : part;
}

function headersOf({ headers }: OutgoingMessage): MessageHeaders {
  const bytes = Object.create(null) as Record<string, Buffer | readonly Buffer[]>;
  for (const [name, value] of Object.entries(headers ?? {})) {
    bytes[name] = typeof value === 'string' ? Buffer.from(value) : value;
  }
  return bytes;
}

interface Committed {
  readonly next: number;
  readonly logTime: number;
}

/** A consumer group: who has which partition, and how far each has been committed. */
class MemoryGroup {
  readonly #members: MemoryConsumption[] = [];
  readonly #committed = new Map<string, Committed>();
  /** Partitions with a batch in hand: a new owner waits until the old one is done with it, or dead. */
  readonly #inHand = new Map<string, MemoryConsumption>();
  readonly #wanted = new Set<string>();
  generation = 0;

  constructor(private readonly log: MemoryLog) {}

  join(member: MemoryConsumption): void {
    this.#members.push(member);
    this.#rebalance();
  }

  leave(member: MemoryConsumption): void {
    const index = this.#members.indexOf(member);
    if (index < 0) return;
    this.#members.splice(index, 1);
    for (const [where, holder] of this.#inHand) if (holder === member) this.#inHand.delete(where);
    this.#rebalance();
  }

  #rebalance(): void {
    this.generation += 1;
    const assignments = new Map(this.#members.map((member) => [member, new Map<string, number[]>()]));
    let turn = 0;
    for (const topic of new Set(this.#members.flatMap((member) => member.topics))) {
      const candidates = this.#members.filter((member) => member.topics.includes(topic));
      for (const partition of this.log.end(topic).keys()) {
        const member = candidates[turn % candidates.length] as MemoryConsumption;
        turn += 1;
        const assignment = assignments.get(member) as Map<string, number[]>;
        const partitions = assignment.get(topic);
        if (partitions) partitions.push(partition);
        else assignment.set(topic, [partition]);
      }
    }
    for (const [member, assignment] of assignments) member.assign(assignment);
    this.log.wakeReaders();
  }

  /** `undefined` while another member has a batch of this partition in hand. */
  take(where: string, member: MemoryConsumption): Committed | undefined {
    if (this.#inHand.has(where)) {
      this.#wanted.add(where);
      return undefined;
    }
    this.#inHand.set(where, member);
    return this.#committed.get(where) ?? { next: 0, logTime: 0 };
  }

  giveBack(where: string, member: MemoryConsumption): void {
    if (this.#inHand.get(where) !== member) return;
    this.#inHand.delete(where);
    if (this.#wanted.delete(where)) this.log.wakeReaders();
  }

  committed(where: string): Committed | undefined {
    return this.#committed.get(where);
  }

  commit(where: string, committed: Committed): void {
    this.#committed.set(where, committed);
  }
}

interface MemoryClient {
  readonly log: MemoryLog;
  readonly office: DeadLetterOffice;
  readonly partitioner: Partitioner;
  readonly report: BusLog;
  readonly watch: ConsumptionWatch | undefined;
}

/** A member of a group: one loop per partition. */
class MemoryConsumption implements Consumption {
  readonly topics: readonly string[];
  readonly #group: MemoryGroup;
  readonly #loops = new Map<string, Promise<void>>();
  readonly #isolation: Isolation;
  #assigned: ReadonlyMap<string, readonly number[]> = new Map();
  #stopping = false;
  #crashed = false;

  constructor(
    private readonly client: MemoryClient,
    private readonly options: ConsumeOptions,
    handler: BatchHandler,
  ) {
    this.topics = options.topics;
    this.#isolation = new Isolation(handler, { group: options.group, log: client.report });
    this.#group = client.log.group(options.group);
    this.#group.join(this);
  }

  assign(assignment: ReadonlyMap<string, readonly number[]>): void {
    this.#assigned = assignment;
    for (const [topic, partitions] of assignment) {
      for (const partition of partitions) {
        this.#keepWorking(topic, partition);
      }
    }
  }

  #keepWorking(topic: string, partition: number): void {
    const where = `${topic}/${partition}`;
    if (this.#loops.has(where) || !this.#owns(topic, partition)) return;
    const loop = this.#work(topic, partition, where).finally(() => {
      this.#loops.delete(where);
      this.#keepWorking(topic, partition);
    });
    this.#loops.set(where, loop);
  }

  assigned(): ReadonlyMap<string, readonly number[]> {
    return this.#assigned;
  }

  positions(): ReadonlyMap<string, ReadonlyMap<number, number>> {
    const positionsOf = (topic: string, partitions: readonly number[]): ReadonlyMap<number, number> => {
      return new Map(
        partitions.map((partition) => [partition, this.#group.committed(`${topic}/${partition}`)?.next ?? 0]),
      );
    };
    return new Map([...this.#assigned].map(([topic, partitions]) => [topic, positionsOf(topic, partitions)]));
  }

  goBack(topic: string, partition: number, next: number): void {
    const where = `${topic}/${partition}`;
    if (!this.#owns(topic, partition)) return;
    const logTime = this.client.log.read(topic, partition, 0, 0).findLast(({ offset }) => offset < next)?.logTime ?? 0;
    this.#group.commit(where, { next, logTime });
    this.client.log.wakeReaders();
  }

  settled(): boolean {
    return !this.#stopping;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.client.log.wakeReaders();
    await Promise.all(this.#loops.values());
    this.#group.leave(this);
    this.#assigned = new Map();
  }

  /** As if the process had died here: nothing more is appended or committed, the group goes on without it. */
  crash(): void {
    this.#crashed = true;
    this.#stopping = true;
    this.#group.leave(this);
  }

  #owns(topic: string, partition: number): boolean {
    return !this.#stopping && this.#assigned.get(topic)?.includes(partition) === true;
  }

  async #work(topic: string, partition: number, where: string): Promise<void> {
    const backOff = new BackOff();
    await nextTurn();
    while (this.#owns(topic, partition)) {
      const news = this.client.log.news();
      const committed = this.#group.take(where, this);
      const messages = committed ? this.client.log.read(topic, partition, committed.next, committed.logTime) : [];
      const [first] = messages;
      const last = messages.at(-1);
      if (first === undefined || last === undefined) {
        if (committed) this.#group.giveBack(where, this);
        await news;
        continue;
      }
      const began = performance.now();
      const report = (rest: Pick<BatchReport, 'parked' | 'failed'>): void => {
        const ms = performance.now() - began;
        this.client.watch?.worked({ group: this.options.group, topic, messages: messages.length, ms, ...rest });
      };
      try {
        const parked = await this.#process(topic, partition, messages);
        if (this.#crashed) return;
        this.#group.commit(where, { next: last.offset + 1, logTime: last.logTime });
        backOff.reset();
        report({ parked });
      } catch (error) {
        report({ failed: codeOf(error) ?? 'REMIT_BUS_HANDLER_FAILED', parked: [] });
        const message = `${where}: the same messages come again: ${messageOf(error)}`;
        const { group } = this.options;
        this.client.report(reportOfFailure({ group, firstOffset: first.offset, messages, error, message }));
        await backOff.wait();
      } finally {
        this.#group.giveBack(where, this);
      }
      await nextTurn();
    }
  }

  async #process(
    topic: string,
    partition: number,
    messages: readonly ReceivedMessage[],
  ): Promise<readonly Unreadable[]> {
    const { log, office, partitioner } = this.client;
    const { generation } = this.#group;
    const batch: Batch = {
      topic,
      partition,
      messages,
      readFrom: messages[0]?.offset ?? 0,
      heartbeat: () => {
        if (!this.#crashed && this.#group.generation === generation) return Promise.resolve();
        return Promise.reject(new BusError('REMIT_BUS_PARTITION_LOST', 'the group has changed: give up this batch'));
      },
    };
    const result = await this.#isolation.handle(batch);
    if (this.#crashed) return [];
    const prepared = prepareResult(result, office, (name) => log.topic(name).limits, partitioner);
    for (const message of prepared.messages) log.append(message);
    return prepared.parked;
  }
}

/** A private reader: one loop over all its partitions. */
class MemoryFollowing implements Following {
  readonly #cursors: { readonly topic: string; readonly partition: number; next: number; logTime: number }[] = [];
  readonly #ended: Promise<void>;
  #stopping = false;

  constructor(
    private readonly client: MemoryClient,
    options: FollowOptions,
    private readonly onMessages: MessageReader,
  ) {
    for (const topic of options.topics) {
      for (const [partition, end] of client.log.end(topic).entries()) {
        if (options.partitions?.includes(partition) === false) continue;
        const at = typeof options.from === 'string' ? undefined : options.from.get(partition);
        const next = at?.nextOffset ?? (options.from === 'end' ? end : 0);
        this.#cursors.push({ topic, partition, next, logTime: at?.logTime ?? 0 });
        onMessages([], { topic, partition, nextOffset: next });
      }
    }
    this.#ended = this.#read();
  }

  async #read(): Promise<void> {
    const backOff = new BackOff();
    await nextTurn();
    while (!this.#stopping) {
      const news = this.client.log.news();
      let idle = true;
      for (const cursor of this.#cursors) {
        const { topic, partition } = cursor;
        const messages = this.client.log.read(topic, partition, cursor.next, cursor.logTime);
        const last = messages.at(-1);
        if (last === undefined) continue;
        idle = false;
        const nextOffset = last.offset + 1;
        try {
          this.onMessages(messages, { topic, partition, nextOffset });
        } catch (error) {
          const code = codeOf(error) ?? 'REMIT_BUS_HANDLER_FAILED';
          this.client.report({ level: 'error', code, message: `following ${topic}: ${messageOf(error)}` });
          await backOff.wait();
          continue;
        }
        cursor.next = nextOffset;
        cursor.logTime = last.logTime;
      }
      await (idle ? news : nextTurn());
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.client.log.wakeReaders();
    await this.#ended;
  }

  crash(): void {
    this.#stopping = true;
  }
}

export interface MemoryBusOptions {
  /** The name in dead letters; `remit` by default. */
  readonly clientId?: string;
  readonly deadLetterTopic?: string;
  readonly log?: BusLog;
  readonly watch?: ConsumptionWatch | undefined;
}

/** The in-memory twin of `KafkaBus`: one process on a {@link MemoryLog}. */
export class MemoryBus implements Bus {
  readonly #client: MemoryClient;
  readonly #readers = new Set<MemoryConsumption | MemoryFollowing>();
  #closed = false;

  constructor(log: MemoryLog, options: MemoryBusOptions = {}) {
    this.#client = {
      log,
      office: { topic: options.deadLetterTopic ?? TOPICS.deadLetters.name, service: options.clientId ?? 'remit' },
      partitioner: new Partitioner(),
      report: options.log ?? (() => undefined),
      watch: options.watch,
    };
  }

  async ensureTopics(declarations: readonly TopicDeclaration[]): Promise<void> {
    await this.#enter();
    this.#client.log.ensure(declarations);
  }

  async publish(messages: readonly OutgoingMessage[]): Promise<readonly PublishedMessage[]> {
    await this.#enter();
    const { log, partitioner } = this.#client;
    const prepared = messages.map((message): PreparedMessage => {
      const { limits } = log.topic(message.topic);
      const bytes = recordBytes(message);
      if (bytes > recordSpaceOf(limits)) throw tooLarge(message.topic, bytes, limits);
      return { topic: message.topic, partition: partitioner.choose(message, limits.partitions), bytes, message };
    });
    return prepared.map((message) => log.append(message));
  }

  async consume(options: ConsumeOptions, handler: BatchHandler): Promise<Consumption> {
    await this.#enter();
    for (const topic of [...options.topics, this.#client.office.topic]) this.#client.log.topic(topic);
    const consumption = new MemoryConsumption(this.#client, options, handler);
    this.#readers.add(consumption);
    this.#client.watch?.joined(options, consumption);
    return consumption;
  }

  async follow(options: FollowOptions, onMessages: MessageReader): Promise<Following> {
    await this.#enter();
    const following = new MemoryFollowing(this.#client, options, onMessages);
    this.#readers.add(following);
    return following;
  }

  async ends(topics: readonly string[]): Promise<LogEnds> {
    await this.#enter();
    return new Map(topics.map((topic) => [topic, this.#client.log.end(topic)]));
  }

  standstills(): readonly Standstill[] {
    return [];
  }

  async firstBetween(topic: string, partition: number, from: number, to: number): Promise<number | undefined> {
    await this.#enter();
    const end = this.#client.log.end(topic)[partition] ?? 0;
    return from < Math.min(to, end) ? from : undefined;
  }

  async starts(topics: readonly string[]): Promise<LogEnds> {
    await this.#enter();
    return new Map(topics.map((topic) => [topic, this.#client.log.end(topic).map(() => 0)]));
  }

  async committed(group: string, topics: readonly string[]): Promise<CommittedOffsets> {
    await this.#enter();
    const { log } = this.#client;
    return new Map(
      topics.map((topic) => {
        const committed = log.end(topic).flatMap((_, partition) => {
          const next = log.group(group).committed(`${topic}/${String(partition)}`)?.next;
          return next === undefined ? [] : [[partition, next] as const];
        });
        return [topic, new Map(committed)] as const;
      }),
    );
  }

  async readAt(topic: string, partition: number, offset: number): Promise<ReceivedMessage | undefined> {
    await this.#enter();
    return this.#client.log.read(topic, partition, offset, 0)[0];
  }

  /** Every call takes a turn, as every question to a broker does. */
  async #enter(): Promise<void> {
    await nextTurn();
    if (this.#closed) throw new BusError('REMIT_BUS_CLOSED', 'the bus has been closed');
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#readers].map((reader) => reader.stop()));
  }

  /** As if the process had died in the middle of what it was doing: nothing more is appended, committed or handed out. */
  crash(): void {
    this.#closed = true;
    for (const reader of this.#readers) reader.crash();
  }
}
