import type { EachBatchPayload } from 'kafkajs';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  BatchHandler,
  BatchReport,
  BatchResult,
  ConsumeOptions,
  Consumption,
  ConsumptionWatch,
  ReadingGate,
  ReceivedMessage,
  Standstill,
  Unreadable,
} from './bus.js';
import { CommitQueue, type CommitRequest } from './commit-queue.js';
import { prepareResult, type DeadLetterOffice, type PreparedResult } from './dead-letter.js';
import { codeOf, messageOf, type BusLog } from './errors.js';
import { coordinatorLost } from './kafkajs-repairs.js';
import { reportOfFailure } from './failed-batch.js';
import { Isolation } from './isolation.js';
import { brokerErrorOf, isMembershipLost, type ClientFactory } from './kafka-client.js';
import type { KafkaProducer, Shipment } from './kafka-producer.js';
import { hasAppendTime, receivedMessage, startReader, type OpenReader, type Reader } from './kafka-reader.js';
import type { KafkaTopics } from './kafka-topics.js';
import { HEARTBEAT_MS, Membership } from './membership.js';
import type { Partitioner, TopicLimits } from './topic-limits.js';
import { BackOff } from './waiting.js';

export const DEFAULT_SESSION_MS = 10_000;
/** How long a stopping member tries to finish the batch in hand; what is left uncommitted is read again by others. */
const STOP_PATIENCE_MS = 5000;
/** How long a coordinator that does not take a commit is asked again, before the group is joined anew. */
const COMMIT_PATIENCE_MS = 5000;
const NOT_OURS_PAUSE_MS = 200;

export interface ConsumptionDependencies {
  readonly client: ClientFactory;
  readonly producer: KafkaProducer;
  readonly topics: KafkaTopics;
  readonly partitioner: Partitioner;
  readonly office: DeadLetterOffice;
  readonly log: BusLog;
  readonly watch: ConsumptionWatch | undefined;
  /** A member that has been silent for so long is out of the group, ms; its partitions go to others. */
  readonly sessionMs: number;
  /** {@link ReaderOptions.renewAfterMs} */
  readonly renewAfterMs: number;
  /** {@link Membership} */
  readonly handlerPatienceMs: number;
  readonly gate: ReadingGate | undefined;
  readonly stopped: (reader: OpenReader) => void;
}

interface Assignment {
  readonly partitions: ReadonlyMap<string, readonly number[]>;
  /** The next offsets to be worked off, per topic and partition, as far as they are known. */
  readonly positions: Map<string, Map<number, number>>;
  /** The running maxima of append times that go with the committed offsets, per `topic/partition`, ms. */
  readonly times: Promise<Map<string, number>>;
  readonly commits: CommitQueue;
}

/** A member of a consumer group: batch in, results acknowledged, offset committed. */
export class KafkaConsumption implements Consumption, OpenReader {
  readonly #reader: Reader;
  readonly #resumptions = new Set<NodeJS.Timeout>();
  readonly #failures = new Map<string, BackOff>();
  readonly #isolation: Isolation;
  /** Partitions that are to be read again, and from where: what was fetched before is not theirs. */
  readonly #goingBack = new Map<string, number>();
  #assignment: Assignment | undefined;
  #stopBy = Infinity;

  constructor(
    private readonly on: ConsumptionDependencies,
    private readonly options: ConsumeOptions,
    concurrency: number,
    handler: BatchHandler,
  ) {
    this.#isolation = new Isolation(handler, { group: options.group, log: on.log });
    this.#reader = startReader({
      client: on.client,
      log: on.log,
      name: options,
      concurrency,
      renewAfterMs: on.renewAfterMs,
      onRenewed: () => on.watch?.renewed(options),
      config: () => ({
        groupId: options.group,
        sessionTimeout: on.sessionMs,
        heartbeatInterval: HEARTBEAT_MS,
      }),
      onAssignment: (assignment) => {
        const partitions = new Map<string, readonly number[]>(Object.entries(assignment ?? {}));
        const positions = new Map([...partitions.keys()].map((topic) => [topic, new Map<number, number>()]));
        this.#goingBack.clear();
        this.#assignment = assignment && {
          ...{ partitions, positions, commits: new CommitQueue((topic, partition) => this.#isOurs(topic, partition)) },
          times: this.#committedTimes(partitions, positions),
        };
      },
      onNothing: (topic, partition, lastOffset) => this.#passOver(topic, partition, lastOffset + 1),
      onBatch: (payload) => this.#process(payload),
    });
  }

  assigned(): ReadonlyMap<string, readonly number[]> {
    return this.#assignment?.partitions ?? new Map();
  }

  positions(): ReadonlyMap<string, ReadonlyMap<number, number>> {
    return this.#assignment?.positions ?? new Map();
  }

  standstill(): Standstill {
    return { reader: this.options, ms: this.#reader.standstillMs() };
  }

  goBack(topic: string, partition: number, next: number): void {
    const position = this.#assignment?.positions.get(topic);
    if (position === undefined || !this.#isOurs(topic, partition)) return;
    this.#goingBack.set(`${topic}/${partition}`, next);
    this.#reader.consumer?.seek({ topic, partition, offset: String(next) });
  }

  settled(): boolean {
    return this.#assignment !== undefined;
  }

  async stop(): Promise<void> {
    this.#stopBy = Math.min(this.#stopBy, performance.now() + STOP_PATIENCE_MS);
    for (const timer of this.#resumptions) clearTimeout(timer);
    await this.#reader.stop();
    this.on.stopped(this);
  }

  /**
   * Read again at every assignment: another member may have come further, and what this one had read beyond its last
   * commit must not count, or the same intent would be judged at another time.
   */
  async #committedTimes(
    assigned: ReadonlyMap<string, readonly number[]>,
    positions: ReadonlyMap<string, Map<number, number>>,
  ): Promise<Map<string, number>> {
    const backOff = new BackOff();
    for (;;) {
      try {
        const times = new Map<string, number>();
        const committed = await this.on.topics.committed(this.options.group, this.options.topics);
        for (const [topic, partitions] of committed) {
          for (const [partition, { next, metadata }] of partitions) {
            times.set(`${topic}/${partition}`, logTimeIn(metadata));
            if (assigned.get(topic)?.includes(partition) === true) positions.get(topic)?.set(partition, next);
          }
        }
        return times;
      } catch (error) {
        this.#report('REMIT_BUS_UNREACHABLE', `the committed times are not known yet: ${messageOf(error)}`);
        if (this.#mustGiveUp()) return new Map();
        await backOff.wait();
      }
    }
  }

  async #process(payload: EachBatchPayload): Promise<void> {
    const { topic, partition } = payload.batch;
    const where = `${topic}/${partition}`;
    const assignment = this.#assignment;
    if (!this.#isOurs(topic, partition) || assignment === undefined) {
      // comes again at once if kafkajs believes otherwise: that must not become a loop without rest
      await sleep(NOT_OURS_PAUSE_MS);
      return;
    }
    const began = performance.now();
    const membership = new Membership(payload, this.on.handlerPatienceMs);
    const times = await membership.during(assignment.times);
    if (this.#mustGiveUp()) return;
    const position = assignment.positions.get(topic);
    const readFrom = fetchedOffset(payload);
    const back = this.#goingBack.get(where);
    // fetched before it was told to go back: what is wanted comes next
    if (back !== undefined && readFrom !== back) return;
    const expected = back ?? position?.get(partition);
    if (expected === undefined) position?.set(partition, Number(payload.batch.firstOffset()));
    const fetched = read(payload, times.get(where) ?? 0);
    const { logTime } = fetched;
    let { messages, unreadable } = fetched;
    let prepared: PreparedResult;
    try {
      const { group } = this.options;
      const gate = this.on.gate?.admit({ group, topic, partition, expected, readFrom });
      const voidBefore = gate === undefined ? 0 : await membership.during(gate);
      messages = messages.filter(({ offset }) => offset >= voidBefore);
      unreadable = unreadable.filter(({ message }) => message.offset >= voidBefore);
      const batch = membership.batch(topic, partition, messages, readFrom);
      const { publish, unreadable: more } =
        messages.length === 0 ? NOTHING : await membership.handling(this.#isolation.handle(batch));
      prepared = await membership.during(this.#prepare({ publish, unreadable: [...unreadable, ...more] }));
      if (!(await this.#publish({ messages: prepared.messages, sent: 0 }, membership))) return;
      this.#failures.delete(where);
    } catch (error) {
      membership.throwIfLost();
      this.#comeAgain(where, payload, messages, error);
      const failed = codeOf(error) ?? 'REMIT_BUS_HANDLER_FAILED';
      this.#tell({ topic, messages: messages.length, ms: performance.now() - began, failed, parked: [] });
      return;
    }
    const lastOffset = payload.batch.lastOffset();
    const next = { offset: String(Number(lastOffset) + 1), metadata: JSON.stringify({ logTime }) };
    if (!(await this.#commit(payload, assignment.commits, next, membership))) return;
    times.set(where, logTime);
    position?.set(partition, Number(lastOffset) + 1);
    if (this.#goingBack.get(where) === back) this.#goingBack.delete(where);
    payload.resolveOffset(lastOffset);
    const { parked } = prepared;
    this.#tell({ topic, messages: messages.length, ms: performance.now() - began, parked });
  }

  /** Transaction markers behind the last message: there is nothing to work off, so nothing waits. */
  #passOver(topic: string, partition: number, next: number): void {
    const position = this.#assignment?.positions.get(topic);
    const before = position?.get(partition);
    if (before !== undefined && before < next) position?.set(partition, next);
  }

  #tell(report: Omit<BatchReport, 'group'>): void {
    this.on.watch?.worked({ group: this.options.group, ...report });
  }

  #isOurs(topic: string, partition: number): boolean {
    return this.#assignment?.partitions.get(topic)?.includes(partition) === true;
  }

  /** The partition pauses, then the same messages are read again; the other partitions go on. */
  #comeAgain(where: string, payload: EachBatchPayload, messages: readonly ReceivedMessage[], error: unknown): void {
    let backOff = this.#failures.get(where);
    if (backOff === undefined) this.#failures.set(where, (backOff = new BackOff()));
    const pauseMs = backOff.next();
    const message = `${where} waits ${pauseMs} ms, then the same messages come again: ${messageOf(error)}`;
    const { group } = this.options;
    this.on.log(reportOfFailure({ group, firstOffset: Number(payload.batch.firstOffset()), messages, error, message }));
    this.#pause(payload, pauseMs);
  }

  #pause(payload: EachBatchPayload, forMs: number): void {
    const resume = payload.pause();
    const timer = setTimeout(() => {
      this.#resumptions.delete(timer);
      resume();
    }, forMs);
    this.#resumptions.add(timer);
  }

  async #prepare(result: BatchResult): Promise<PreparedResult> {
    const { topics, office, partitioner } = this.on;
    const limits = new Map<string, TopicLimits>();
    const learn = async (topic: string): Promise<void> => {
      limits.set(topic, topics.known(topic) ?? (await topics.limits(topic)));
    };
    for (const { topic } of result.publish) if (!limits.has(topic)) await learn(topic);
    if (!limits.has(office.topic)) await learn(office.topic);
    return prepareResult(result, office, (topic) => limits.get(topic) as TopicLimits, partitioner);
  }

  /** Tries until the brokers have acknowledged all of it, while the partition is ours. */
  async #publish(shipment: Shipment, membership: Membership): Promise<boolean> {
    const backOff = new BackOff();
    while (shipment.sent < shipment.messages.length) {
      try {
        await membership.during(this.on.producer.send(shipment));
      } catch (error) {
        membership.throwIfLost();
        // the broker takes less than we thought: next time, with its own limits, what is too large gets parked
        if (brokerErrorOf(error) === 'MESSAGE_TOO_LARGE') throw error;
        this.#report(codeOf(error) ?? 'REMIT_BUS_PUBLISH_FAILED', messageOf(error));
        if (this.#mustGiveUp()) return false;
        await membership.during(backOff.wait());
      }
    }
    return true;
  }

  async #commit(
    payload: EachBatchPayload,
    commits: CommitQueue,
    next: { readonly offset: string; readonly metadata: string },
    membership: Membership,
  ): Promise<boolean> {
    const { topic, partition } = payload.batch;
    // unlike the consumer's own commitOffsets, this one works while the consumer is stopping
    const send = (request: CommitRequest): Promise<void> => payload.commitOffsetsIfNecessary(request);
    const backOff = new BackOff();
    const giveUpAt = performance.now() + COMMIT_PATIENCE_MS;
    for (;;) {
      try {
        return await membership.during(commits.commit({ topic, partition, ...next }, send));
      } catch (error) {
        if (isMembershipLost(error)) throw error;
        membership.throwIfLost();
        this.#report('REMIT_BUS_UNREACHABLE', `${topic}/${partition} is not committed yet: ${messageOf(error)}`);
        if (this.#mustGiveUp()) return false;
        // the group may have another coordinator by now; the batch comes again, with the same results
        if (performance.now() > giveUpAt) throw coordinatorLost(error as Error);
        await membership.during(backOff.wait());
      }
    }
  }

  #mustGiveUp(): boolean {
    return performance.now() > this.#stopBy;
  }

  #report(code: string, message: string): void {
    this.on.log({ level: 'warn', code, message, details: { group: this.options.group } });
  }
}

/** The offset that was asked for: kafkajs knows it and does not type it. */
function fetchedOffset({ batch }: EachBatchPayload): number {
  return Number((batch as unknown as { readonly fetchedOffset: string }).fetchedOffset);
}

const NOTHING: BatchResult = { publish: [], unreadable: [] };

/** The messages of an answer; those whose time the broker has not set cannot be judged. */
function read(
  payload: EachBatchPayload,
  committedTime: number,
): { messages: ReceivedMessage[]; unreadable: Unreadable[]; logTime: number } {
  const { topic, partition, messages: raw } = payload.batch;
  const messages: ReceivedMessage[] = [];
  const unreadable: Unreadable[] = [];
  let logTime = committedTime;
  for (const one of raw) {
    if (!hasAppendTime(one)) {
      unreadable.push({
        message: receivedMessage(topic, partition, one, logTime, logTime),
        code: 'REMIT_BUS_NOT_APPEND_TIME',
        reason: 'its time is its writer’s own: set message.timestamp.type=LogAppendTime on the topic',
      });
      continue;
    }
    const appendTime = Number(one.timestamp);
    if (appendTime > logTime) logTime = appendTime;
    messages.push(receivedMessage(topic, partition, one, appendTime, logTime));
  }
  return { messages, unreadable, logTime };
}

/** The running maximum in an offset's metadata; 0 where somebody else has committed it. */
function logTimeIn(metadata: string): number {
  try {
    const { logTime } = JSON.parse(metadata) as { logTime?: unknown };
    return typeof logTime === 'number' ? logTime : 0;
  } catch {
    return 0;
  }
}
