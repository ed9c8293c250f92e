import { randomUUID } from 'node:crypto';
import type { KafkaSecurity } from '#config';
import { TOPICS, type AccessRule, type TopicDeclaration } from '#contracts';
import type {
  BatchHandler,
  Bus,
  CommittedOffsets,
  ConsumeOptions,
  Consumption,
  ConsumptionWatch,
  Following,
  FollowOptions,
  LogEnds,
  MessageReader,
  OutgoingMessage,
  PublishedMessage,
  ReadingGate,
  ReceivedMessage,
  Standstill,
} from './bus.js';
import type { DeadLetterOffice } from './dead-letter.js';
import { BusError, type BusLog } from './errors.js';
import { brokerErrorOf, clientFactory, type ClientFactory, type Connection } from './kafka-client.js';
import { DEFAULT_SESSION_MS, KafkaConsumption } from './kafka-consumption.js';
import { KafkaEnds } from './kafka-ends.js';
import { KafkaFollowing, type FollowingDependencies } from './kafka-following.js';
import { KafkaProducer, type Shipment } from './kafka-producer.js';
import { DEFAULT_RENEW_AFTER_MS, type OpenReader } from './kafka-reader.js';
import { KafkaTopics } from './kafka-topics.js';
import { DEFAULT_HANDLER_PATIENCE_MS } from './membership.js';
import { Partitioner, recordBytes, recordSpaceOf, tooLarge, type PreparedMessage } from './topic-limits.js';
import { Signal } from './waiting.js';

export interface KafkaBusOptions {
  /** `host:port` of each. */
  readonly brokers: readonly string[];
  /** How brokers and dead letters name this process; `remit` by default. */
  readonly clientId?: string;
  /** Topics whose settings are known beforehand; others are asked for when first used. */
  readonly topics?: readonly TopicDeclaration[];
  /** Where what nobody can read is kept; `governance.dead-letters` by default. */
  readonly deadLetterTopic?: string;
  /** Copies of each topic that {@link KafkaBus.ensureTopics} creates; 1 by default. */
  readonly replicationFactor?: number;
  /** TLS and SASL; default: neither. */
  readonly security?: KafkaSecurity | undefined;
  /** For tests that stand between client and broker. */
  readonly connection?: Connection;
  /** Nothing is reported by default. */
  readonly log?: BusLog;
  readonly watch?: ConsumptionWatch | undefined;
  /** A member of a group that has been silent for so long is out of it, ms; 10,000 by default. */
  readonly sessionMs?: number;
  /** A reader that has not read for so long is made anew, ms; 16,000 by default: longer than a rebalance may take. */
  readonly renewAfterMs?: number;
  /** A handler that has shown no progress for so long loses its partition, ms; 60,000 by default. */
  readonly handlerPatienceMs?: number;
  /** Asked before groups of this process join, and before each batch. */
  readonly gate?: ReadingGate | undefined;
  /** Reports what the Kafka client tells of its ordinary work too, at level `debug`. Not by default. */
  readonly reportsClient?: boolean;
}

/** The log on Apache Kafka, over kafkajs. */
export class KafkaBus implements Bus {
  readonly #client: ClientFactory;
  readonly #clientId: string;
  readonly #log: BusLog;
  readonly #watch: ConsumptionWatch | undefined;
  readonly #gate: ReadingGate | undefined;
  readonly #topics: KafkaTopics;
  readonly #producer: KafkaProducer;
  readonly #ends: KafkaEnds;
  readonly #office: DeadLetterOffice;
  readonly #partitioner = new Partitioner();
  readonly #sessionMs: number;
  readonly #renewAfterMs: number;
  readonly #handlerPatienceMs: number;
  readonly #readers = new Set<OpenReader>();
  #closed = false;

  constructor(options: KafkaBusOptions) {
    const {
      brokers,
      clientId = 'remit',
      topics = [],
      replicationFactor = 1,
      security,
      connection,
      log = () => undefined,
      reportsClient = false,
    } = options;
    this.#clientId = clientId;
    this.#log = log;
    this.#watch = options.watch;
    this.#sessionMs = options.sessionMs ?? DEFAULT_SESSION_MS;
    this.#renewAfterMs = options.renewAfterMs ?? DEFAULT_RENEW_AFTER_MS;
    this.#handlerPatienceMs = options.handlerPatienceMs ?? DEFAULT_HANDLER_PATIENCE_MS;
    this.#gate = options.gate;
    this.#client = clientFactory({
      brokers,
      clientId,
      log,
      reportsClient,
      ...(security ? { security } : {}),
      ...(connection ? { connection } : {}),
    });
    this.#topics = new KafkaTopics(this.#client, topics, replicationFactor);
    this.#producer = new KafkaProducer(this.#client, this.#topics, log);
    this.#ends = new KafkaEnds(this.#client);
    this.#office = { topic: options.deadLetterTopic ?? TOPICS.deadLetters.name, service: clientId };
  }

  async ensureTopics(declarations: readonly TopicDeclaration[]): Promise<void> {
    this.#mustBeOpen();
    await this.#topics.ensure(declarations);
    // new partitions have no leader for a moment; whoever is told that the topics are there can use them at once
    await this.#ends.haveLeaders(declarations.map(({ name }) => name));
  }

  /** Gives rights to principals, where the brokers check them and this principal may. Rights that are there stay. */
  async allow(rules: readonly AccessRule[]): Promise<void> {
    this.#mustBeOpen();
    await this.#topics.allow(rules);
  }

  async publish(messages: readonly OutgoingMessage[]): Promise<readonly PublishedMessage[]> {
    try {
      return await this.#publishOnce(messages);
    } catch (error) {
      // the broker takes less than we thought; its own limits say which message is too large, or how to split
      if (brokerErrorOf(error) !== 'MESSAGE_TOO_LARGE') throw error;
      return this.#publishOnce(messages);
    }
  }

  async #publishOnce(messages: readonly OutgoingMessage[]): Promise<readonly PublishedMessage[]> {
    const prepared: PreparedMessage[] = [];
    for (const message of messages) {
      const { topic } = message;
      const limits = this.#topics.known(topic) ?? (await this.#topics.limits(topic));
      const bytes = recordBytes(message);
      if (bytes > recordSpaceOf(limits)) throw tooLarge(topic, bytes, limits);
      prepared.push({ topic, partition: this.#partitioner.choose(message, limits.partitions), bytes, message });
    }
    const shipment: Shipment & { positions: PublishedMessage[] } = { messages: prepared, sent: 0, positions: [] };
    await this.#producer.send(shipment);
    return shipment.positions;
  }

  async consume(options: ConsumeOptions, handler: BatchHandler): Promise<Consumption> {
    this.#mustBeOpen();
    // without it the first unreadable message would stop its partition
    await this.#topics.limits(this.#office.topic);
    let partitions = 0;
    for (const topic of options.topics) partitions += (await this.#topics.limits(topic)).partitions;
    await this.#gate?.joining(options);
    const consumption = new KafkaConsumption(
      {
        client: this.#client,
        producer: this.#producer,
        topics: this.#topics,
        partitioner: this.#partitioner,
        office: this.#office,
        log: this.#log,
        watch: this.#watch,
        sessionMs: this.#sessionMs,
        renewAfterMs: this.#renewAfterMs,
        handlerPatienceMs: this.#handlerPatienceMs,
        gate: this.#gate,
        stopped: (reader) => this.#readers.delete(reader),
      },
      options,
      partitions,
      handler,
    );
    this.#readers.add(consumption);
    this.#watch?.joined(options, consumption);
    return consumption;
  }

  async follow(options: FollowOptions, onMessages: MessageReader): Promise<Following> {
    this.#mustBeOpen();
    const { topics, from } = options;
    const start = await (from === 'end' ? this.#ends.ends(topics) : this.#ends.starts(topics));
    const following = new KafkaFollowing(this.#followingDependencies(), options, start, onMessages);
    this.#readers.add(following);
    await following.inPlace();
    return following;
  }

  async ends(topics: readonly string[]): Promise<LogEnds> {
    this.#mustBeOpen();
    return this.#ends.ends(topics);
  }

  async firstBetween(topic: string, partition: number, from: number, to: number): Promise<number | undefined> {
    this.#mustBeOpen();
    return this.#ends.firstBetween(topic, partition, from, to);
  }

  async starts(topics: readonly string[]): Promise<LogEnds> {
    this.#mustBeOpen();
    return this.#ends.starts(topics);
  }

  async committed(group: string, topics: readonly string[]): Promise<CommittedOffsets> {
    this.#mustBeOpen();
    const committed = await this.#topics.committed(group, topics);
    return new Map(
      [...committed].map(([topic, partitions]) => [
        topic,
        new Map([...partitions].map(([partition, { next }]) => [partition, next])),
      ]),
    );
  }

  async readAt(topic: string, partition: number, offset: number): Promise<ReceivedMessage | undefined> {
    this.#mustBeOpen();
    const [starts, ends] = await Promise.all([this.#ends.starts([topic]), this.#ends.ends([topic])]);
    const start = starts.get(topic)?.[partition] ?? 0;
    const end = ends.get(topic)?.[partition] ?? 0;
    if (offset < start || offset >= end) return undefined;
    const found = new Signal<ReceivedMessage | undefined>();
    const dependencies = this.#followingDependencies();
    const stopped = (reader: OpenReader): void => {
      dependencies.stopped(reader);
      found.give(undefined);
    };
    const following = new KafkaFollowing(
      { ...dependencies, stopped },
      { topics: [topic], from: 'start', partitions: [partition] },
      new Map([[topic, Array.from({ length: partition + 1 }, () => offset)]]),
      (messages, { nextOffset }) => {
        if (nextOffset > offset) found.give(messages.find((message) => message.offset === offset));
      },
    );
    this.#readers.add(following);
    const message = await found.promise;
    // closed while it was reading: that nothing came says nothing about the log
    this.#mustBeOpen();
    await following.stop();
    return message;
  }

  #followingDependencies(): FollowingDependencies {
    return {
      client: this.#client,
      log: this.#log,
      watch: this.#watch,
      renewAfterMs: this.#renewAfterMs,
      groupOf: () => `${this.#clientId}.view.${randomUUID()}`,
      stopped: (reader) => this.#readers.delete(reader),
    };
  }

  standstills(): readonly Standstill[] {
    return [...this.#readers].map((reader) => reader.standstill());
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new BusError('REMIT_BUS_CLOSED', 'the bus has been closed');
  }

  /** Stops what still reads, lets the last send end, disconnects. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#readers].map((reader) => reader.stop()));
    await this.#producer.close();
    await Promise.all([this.#ends.close(), this.#topics.close()]);
  }
}
