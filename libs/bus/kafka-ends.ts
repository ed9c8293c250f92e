import kafkajs, { type Cluster, type Consumer } from 'kafkajs';
import type { LogEnds } from './bus.js';
import { BusError } from './errors.js';
import { brokerErrorOf, unreachable, type ClientFactory } from './kafka-client.js';
import { CREATION_ATTEMPTS, missingTopic } from './kafka-topics.js';
import { askAgain } from './waiting.js';

/** Batches wait for these look-ups: what does not answer soon must fail soon. */
const IMPATIENT = { requestTimeout: 5000, connectionTimeout: 1000, retry: { retries: 0 } };

/** Less than a second, when brokers refuse at once. */
const ATTEMPTS = 5;

interface Connected {
  readonly consumer: Consumer;
  readonly cluster: Cluster;
}

/**
 * Where logs begin and end. kafkajs' admin client asks one topic at a time, twice, and only up to the oldest open
 * transaction: a view that waits for such an end could miss events that are already on the log. A consumer's connection
 * asks for everything in one request; kafkajs hands it out through the partition assigner. That consumer never runs.
 */
export class KafkaEnds {
  #connection: Promise<Connected> | undefined;
  readonly #lookups = new Map<string, { running?: Promise<LogEnds>; next?: Promise<LogEnds> }>();

  constructor(private readonly client: ClientFactory) {}

  /** Callers share a look-up that has not begun yet. */
  ends(topics: readonly string[]): Promise<LogEnds> {
    const key = topics.join('\n');
    const lookup = this.#lookups.get(key) ?? {};
    this.#lookups.set(key, lookup);
    lookup.next ??= this.#after(lookup.running, async () => {
      delete lookup.next;
      lookup.running = this.#ask(topics, false, ATTEMPTS).finally(() => delete lookup.running);
      return lookup.running;
    });
    return lookup.next;
  }

  async #after(running: Promise<unknown> | undefined, begin: () => Promise<LogEnds>): Promise<LogEnds> {
    await running?.catch(() => undefined);
    return begin();
  }

  /** The first offsets that are still kept. */
  starts(topics: readonly string[]): Promise<LogEnds> {
    return this.#ask(topics, true, ATTEMPTS);
  }

  /** As `Bus.firstBetween`: asks the leader for as much as it takes to see a message. */
  async firstBetween(topic: string, partition: number, from: number, to: number): Promise<number | undefined> {
    const start = (await this.starts([topic])).get(topic)?.[partition] ?? 0;
    const what = `${topic}/${String(partition)} could not be read from ${String(from)} on`;
    return this.#question([topic], what, ATTEMPTS, (cluster) =>
      firstMessage(cluster, topic, partition, Math.max(from, start), to),
    );
  }

  /** Resolves when every partition has a leader that answers. */
  async haveLeaders(topics: readonly string[]): Promise<void> {
    await this.#ask(topics, true, CREATION_ATTEMPTS);
  }

  #ask(topics: readonly string[], fromBeginning: boolean, attempts: number): Promise<LogEnds> {
    const what = `the ends of ${topics.join(', ')} could not be read`;
    return this.#question(topics, what, attempts, (cluster) => lookUp(cluster, topics, fromBeginning));
  }

  async #question<Answer>(
    topics: readonly string[],
    what: string,
    attempts: number,
    ask: (cluster: Cluster) => Promise<Answer>,
  ): Promise<Answer> {
    try {
      return await askAgain(async () => {
        this.#connection ??= this.#connect();
        const connection = this.#connection;
        try {
          return await ask((await connection).cluster);
        } catch (error) {
          if (this.#connection === connection) this.#connection = undefined;
          void disconnect(connection);
          throw error;
        }
      }, attempts);
    } catch (error) {
      if (brokerErrorOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION')
        throw missingTopic(`among ${topics.join(', ')}`, error);
      throw error instanceof BusError ? error : unreachable(what, error);
    }
  }

  async #connect(): Promise<Connected> {
    let cluster: Cluster | undefined;
    const consumer = this.client(IMPATIENT).consumer({
      groupId: 'remit.never-joined',
      readUncommitted: true,
      allowAutoTopicCreation: false,
      partitionAssigners: [
        (given) => {
          cluster = given.cluster;
          return kafkajs.PartitionAssigners.roundRobin(given);
        },
      ],
    });
    await consumer.connect();
    return { consumer, cluster: cluster as unknown as Cluster };
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection) await disconnect(connection);
  }
}

async function disconnect(connection: Promise<Connected>): Promise<void> {
  await connection.then(({ consumer }) => consumer.disconnect()).catch(() => undefined);
}

async function lookUp(cluster: Cluster, topics: readonly string[], fromBeginning: boolean): Promise<LogEnds> {
  await cluster.addMultipleTargetTopics([...topics]);
  await cluster.refreshMetadataIfNecessary();
  const answers = await cluster.fetchTopicsOffset(
    topics.map((topic) => ({
      topic,
      fromBeginning,
      partitions: partitionsOf(cluster, topic).map((partition) => ({ partition })),
    })),
  );
  const ends = new Map<string, number[]>();
  for (const { topic, partitions } of answers) {
    const offsets: number[] = [];
    for (const { partition, offset } of partitions) offsets[partition] = Number(offset);
    ends.set(topic, offsets);
  }
  return ends;
}

/** Of one answer as much as is read here. */
interface Fetched {
  readonly responses: readonly {
    readonly partitions: readonly {
      readonly messages: readonly { readonly offset: string; readonly isControlRecord?: boolean }[];
    }[];
  }[];
}

const READ_UNCOMMITTED = 0;
const FETCH_BYTES = 64 * 1024;
const FETCH_WAIT_MS = 500;

async function firstMessage(
  cluster: Cluster,
  topic: string,
  partition: number,
  from: number,
  to: number,
): Promise<number | undefined> {
  await cluster.addMultipleTargetTopics([topic]);
  await cluster.refreshMetadataIfNecessary();
  const [leader] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]));
  if (leader === undefined) throw new Error(`${topic}/${String(partition)} has no leader`);
  const broker = await cluster.findBroker({ nodeId: leader });
  for (let next = from; next < to;) {
    const { responses } = (await broker.fetch({
      isolationLevel: READ_UNCOMMITTED,
      maxWaitTime: FETCH_WAIT_MS,
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      topics: [{ topic, partitions: [{ partition, fetchOffset: String(next), maxBytes: FETCH_BYTES }] }],
    })) as Fetched;
    const records = (responses[0]?.partitions[0]?.messages ?? [])
      .map(({ offset, isControlRecord }) => ({ offset: Number(offset), isControlRecord }))
      .filter(({ offset }) => offset >= next);
    const message = records.find(({ isControlRecord }) => isControlRecord !== true);
    if (message !== undefined) return message.offset < to ? message.offset : undefined;
    const last = records.at(-1);
    if (last === undefined) throw new Error(`nothing came of ${topic}/${String(partition)} from ${String(next)} on`);
    next = last.offset + 1;
  }
  return undefined;
}

function partitionsOf(cluster: Cluster, topic: string): number[] {
  const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
  if (partitions.length === 0) throw missingTopic(topic);
  return partitions;
}
