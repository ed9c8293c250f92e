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

  /** Resolves when every partition has a leader that answers. */
  async haveLeaders(topics: readonly string[]): Promise<void> {
    await this.#ask(topics, true, CREATION_ATTEMPTS);
  }

  async #ask(topics: readonly string[], fromBeginning: boolean, attempts: number): Promise<LogEnds> {
    try {
      return await askAgain(async () => {
        this.#connection ??= this.#connect();
        const connection = this.#connection;
        try {
          return await lookUp((await connection).cluster, topics, fromBeginning);
        } catch (error) {
          if (this.#connection === connection) this.#connection = undefined;
          void disconnect(connection);
          throw error;
        }
      }, attempts);
    } catch (error) {
      if (brokerErrorOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION')
        throw missingTopic(`among ${topics.join(', ')}`, error);
      throw error instanceof BusError
        ? error
        : unreachable(`the ends of ${topics.join(', ')} could not be read`, error);
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

function partitionsOf(cluster: Cluster, topic: string): number[] {
  const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
  if (partitions.length === 0) throw missingTopic(topic);
  return partitions;
}
