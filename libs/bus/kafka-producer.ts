import type { Message, Producer, RecordMetadata } from 'kafkajs';
import { BusError, messageOf, type BusLog } from './errors.js';
import { accessProblem, brokerErrorOf, REQUEST_RETRY, type ClientFactory } from './kafka-client.js';
import { missingTopic, type KafkaTopics } from './kafka-topics.js';
import type { OutgoingMessage, PublishedMessage } from './bus.js';
import { recordSpaceOf, type PreparedMessage } from './topic-limits.js';

/** Largest record batch we send, bytes: kafkajs takes quadratic time to group the messages of one partition. */
const LARGEST_BATCH_BYTES = 512 * 1024;
/** Largest request, bytes: encoding is synchronous and must not hold up heartbeats. */
const LARGEST_REQUEST_BYTES = 1024 * 1024;

/** Messages on their way, in order. `sent` counts those that the brokers have acknowledged. */
export interface Shipment {
  readonly messages: readonly PreparedMessage[];
  sent: number;
  /** Filled where somebody wants to know; in the order of `messages`. */
  readonly positions?: PublishedMessage[];
}

interface Waiting {
  readonly shipment: Shipment;
  /** Sent in requests of its own, after it failed together with others: it must not fail for their sake. */
  alone: boolean;
  /** Tried again with a new producer id after the broker had forgotten or fenced the old one. */
  renewed: boolean;
  resolve(): void;
  reject(error: unknown): void;
}

/** One record batch in the making. */
interface Pile {
  readonly topic: string;
  readonly partition: number;
  readonly messages: Message[];
  bytes: number;
  /** Messages whose position somebody wants to know. */
  readonly asked: { readonly positions: PublishedMessage[]; readonly index: number; readonly place: number }[];
}

/** One request in the making. */
interface Load {
  readonly piles: Pile[];
  readonly aboard: { readonly waiting: Waiting; taken: number }[];
}

/** The broker no longer knows this producer id or its sequence: a new id starts afresh. */
const STALE_PRODUCER: ReadonlySet<string | undefined> = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
  'PRODUCER_FENCED',
  'INVALID_TXN_STATE',
]);

/**
 * One idempotent producer, one request in flight; what arrives meanwhile travels together in the next.
 *
 * One in flight, because kafkajs takes sequence numbers back when a request fails and gives them to the next one: with
 * two in flight a broker could take the second for a repetition of the first and drop it. For the same reason a
 * producer that has failed is never used again.
 */
export class KafkaProducer {
  readonly #queue: Waiting[] = [];
  #producer: Promise<Producer> | undefined;
  #pumping: Promise<void> | undefined;
  #closed = false;

  constructor(
    private readonly client: ClientFactory,
    private readonly topics: KafkaTopics,
    private readonly log: BusLog,
  ) {}

  /**
   * Resolves when the brokers have acknowledged all of it. After an error the same shipment may be handed in again: it
   * goes on behind what has been acknowledged.
   */
  send(shipment: Shipment): Promise<void> {
    if (this.#closed) return Promise.reject(new BusError('REMIT_BUS_CLOSED', 'the bus has been closed'));
    if (shipment.sent === shipment.messages.length) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#queue.push({ shipment, alone: false, renewed: false, resolve, reject });
      this.#pumping ??= this.#pump();
    });
  }

  async #pump(): Promise<void> {
    // callers of the same moment share the first request
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const load = this.#load();
      try {
        notePositions(load.piles, await this.#request(load.piles));
      } catch (error) {
        await this.#discardProducer();
        this.#sortOut(
          load.aboard.map(({ waiting }) => waiting),
          error,
        );
        continue;
      }
      for (const { waiting, taken } of load.aboard) {
        waiting.shipment.sent += taken;
        if (waiting.shipment.sent === waiting.shipment.messages.length) this.#takeOut(waiting).resolve();
      }
    }
    this.#pumping = undefined;
  }

  /** Takes from the queue, in order, what fits into one request. */
  #load(): Load {
    const load: Load = { piles: [], aboard: [] };
    const byAddress = new Map<string, Pile[]>();
    let requestBytes = 0;
    for (const waiting of this.#queue) {
      if (waiting.alone && load.aboard.length > 0) break;
      const { messages, sent, positions } = waiting.shipment;
      const passenger = { waiting, taken: 0 };
      for (let index = sent; index < messages.length; index += 1) {
        const { topic, partition, bytes, message } = messages[index] as PreparedMessage;
        let pile = byAddress.get(topic)?.[partition];
        const batchIsFull = pile !== undefined && pile.bytes + bytes > this.#batchSpace(topic);
        const requestIsFull = requestBytes > 0 && requestBytes + bytes > LARGEST_REQUEST_BYTES;
        // whatever follows waits too: later messages must not overtake
        if (batchIsFull || requestIsFull) return load;
        pile ??= addPile(topic, partition, byAddress, load.piles);
        if (passenger.taken === 0) load.aboard.push(passenger);
        if (positions) pile.asked.push({ positions, index, place: pile.messages.length });
        pile.messages.push(recordOf(message, partition));
        pile.bytes += bytes;
        requestBytes += bytes;
        passenger.taken += 1;
      }
      if (waiting.alone) break;
    }
    return load;
  }

  #batchSpace(topic: string): number {
    const limits = this.topics.known(topic);
    return limits === undefined ? LARGEST_BATCH_BYTES : Math.min(recordSpaceOf(limits), LARGEST_BATCH_BYTES);
  }

  async #request(piles: readonly Pile[]): Promise<RecordMetadata[]> {
    this.#producer ??= this.#connect();
    const producer = await this.#producer;
    return producer.sendBatch({
      acks: -1,
      topicMessages: piles.map(({ topic, messages }) => ({ topic, messages })),
    });
  }

  async #connect(): Promise<Producer> {
    const producer = this.client().producer({
      idempotent: true,
      allowAutoTopicCreation: false,
      retry: REQUEST_RETRY,
      createPartitioner: () => (choice) => choice.message.partition ?? 0,
    });
    await producer.connect();
    return producer;
  }

  #takeOut(waiting: Waiting): Waiting {
    this.#queue.splice(this.#queue.indexOf(waiting), 1);
    return waiting;
  }

  /** After a failed request: tries again what deserves it, and tells the others. */
  #sortOut(aboard: readonly Waiting[], error: unknown): void {
    const kind = brokerErrorOf(error);
    if (kind === 'MESSAGE_TOO_LARGE') {
      for (const { shipment } of aboard) for (const { topic } of shipment.messages) this.topics.forget(topic);
    }
    const outage = kind === undefined;
    for (const waiting of aboard) {
      if (STALE_PRODUCER.has(kind) && !waiting.renewed) {
        waiting.renewed = true;
        this.log({ level: 'warn', code: 'REMIT_BUS_CLIENT', message: `new producer id after ${kind}` });
      } else if (!outage && aboard.length > 1) {
        waiting.alone = true;
      } else {
        this.#takeOut(waiting).reject(publishFailed(waiting.shipment, kind, error));
      }
    }
  }

  async #discardProducer(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    await producer?.then((connected) => connected.disconnect()).catch(() => undefined);
  }

  /** Lets the request in flight end, then disconnects. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#pumping;
    await this.#discardProducer();
  }
}

function addPile(topic: string, partition: number, byAddress: Map<string, Pile[]>, piles: Pile[]): Pile {
  const pile: Pile = { topic, partition, messages: [], bytes: 0, asked: [] };
  const ofTopic = byAddress.get(topic);
  if (ofTopic === undefined) {
    const first: Pile[] = [];
    first[partition] = pile;
    byAddress.set(topic, first);
  } else {
    ofTopic[partition] = pile;
  }
  piles.push(pile);
  return pile;
}

function recordOf({ key, value, headers }: OutgoingMessage, partition: number): Message {
  if (headers === undefined) return { key, value, partition };
  return { key, value, partition, headers: headers as NonNullable<Message['headers']> };
}

/** Throws when a batch was not acknowledged: kafkajs can leave one out when its leader moves during a retry. */
function notePositions(piles: readonly Pile[], answers: readonly RecordMetadata[]): void {
  for (const { topic, partition, asked } of piles) {
    const answer = answers.find((one) => one.topicName === topic && one.partition === partition);
    if (answer === undefined) throw new Error(`no broker acknowledged the batch for ${topic}/${partition}`);
    const base = Number(answer.baseOffset);
    const appendTime = Number(answer.logAppendTime);
    for (const { positions, index, place } of asked) {
      positions[index] = { topic, partition, offset: base + place, appendTime };
    }
  }
}

function publishFailed(shipment: Shipment, kind: string | undefined, error: unknown): BusError {
  const { topic } = shipment.messages[shipment.sent] as PreparedMessage;
  if (kind === 'UNKNOWN_TOPIC_OR_PARTITION') return missingTopic(topic, error);
  const { length } = shipment.messages;
  const forbidden = accessProblem(`nothing can be written to ${topic}`, error);
  if (forbidden !== undefined) return forbidden;
  return new BusError(
    'REMIT_BUS_PUBLISH_FAILED',
    `the brokers acknowledged ${shipment.sent} of ${length} messages (next: ${topic}): ${messageOf(error)}; ` +
      'some of the rest may be on the log all the same: publish it again, readers ignore repetitions',
    error,
  );
}
