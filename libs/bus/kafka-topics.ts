import kafkajs, { type Admin } from 'kafkajs';
import { topicConfiguration, type AccessRule, type TopicDeclaration } from '#contracts';
import { BusError } from './errors.js';
import { createAcls } from './kafka-acls.js';
import { brokerErrorOf, unreachable, type ClientFactory } from './kafka-client.js';
import { limitsOf, type TopicLimits } from './topic-limits.js';
import { askAgain } from './waiting.js';

const MAX_BATCH = 'max.message.bytes';
const TIME_TYPE = 'message.timestamp.type';
const APPEND_TIME = 'LogAppendTime';

/** Kafka's own default, for topics whose settings we may not read. */
const DEFAULT_MAX_BATCH_BYTES = 1024 * 1024 + 12;

const ATTEMPTS = 5;
/** About 30 s: other processes create the same topics at the same moment, and brokers may be busy or still starting. */
export const CREATION_ATTEMPTS = 20;

/** The next offset a group has to read, and the text it has left there. */
export interface CommittedOffset {
  readonly next: number;
  readonly metadata: string;
}

/** Creates, checks and describes topics; reads what groups have committed. */
export class KafkaTopics {
  readonly #limits = new Map<string, TopicLimits>();
  #admin: Promise<Admin> | undefined;

  constructor(
    private readonly client: ClientFactory,
    declarations: readonly TopicDeclaration[],
    private readonly replicationFactor: number,
  ) {
    for (const declaration of declarations) this.#limits.set(declaration.name, limitsOf(declaration));
  }

  /** Throws `REMIT_BUS_TOPIC_DIFFERS` with every difference, `REMIT_BUS_TOO_FEW_BROKERS`, `REMIT_BUS_UNREACHABLE`. */
  async ensure(declarations: readonly TopicDeclaration[]): Promise<void> {
    if (declarations.length === 0) return;
    let brokers = 0;
    try {
      await this.#ask('the topics could not be created or checked', CREATION_ATTEMPTS, async (admin) => {
        const existing = new Set(await admin.listTopics());
        const missing = declarations.filter(({ name }) => !existing.has(name));
        if (missing.length > 0) {
          brokers = (await admin.describeCluster()).brokers.length;
          await this.#create(admin, missing);
        }
        const differences = await differencesOf(admin, declarations);
        if (differences.length > 0) throw differs(differences);
      });
    } catch (error) {
      // tried until now: a cluster that starts has all its brokers only after a while
      if (brokerErrorOf(error) !== 'INVALID_REPLICATION_FACTOR') throw error;
      throw tooFewBrokers(this.replicationFactor, brokers, error);
    }
    for (const declaration of declarations) this.#limits.set(declaration.name, limitsOf(declaration));
  }

  async #create(admin: Admin, missing: readonly TopicDeclaration[]): Promise<void> {
    await admin.createTopics({
      waitForLeaders: false,
      timeout: 30_000,
      topics: missing.map((declaration) => ({
        topic: declaration.name,
        numPartitions: declaration.partitions,
        replicationFactor: this.replicationFactor,
        configEntries: Object.entries(settingsOf(declaration)).map(([name, value]) => ({ name, value })),
      })),
    });
  }

  /** Gives rights to principals. */
  async allow(rules: readonly AccessRule[]): Promise<void> {
    await this.#ask('the rights could not be given', ATTEMPTS, (admin) => createAcls(admin, rules));
  }

  /** What is known of a topic without asking: declared or asked before. */
  known(topic: string): TopicLimits | undefined {
    return this.#limits.get(topic);
  }

  /** Asks the brokers next time: they have refused what we thought they would take. */
  forget(topic: string): void {
    this.#limits.delete(topic);
  }

  /** Throws `REMIT_BUS_TOPIC_MISSING`, `REMIT_BUS_NOT_APPEND_TIME`, `REMIT_BUS_UNREACHABLE`. */
  async limits(topic: string): Promise<TopicLimits> {
    const known = this.#limits.get(topic);
    if (known !== undefined) return known;
    const limits = await this.#ask(`${topic} could not be described`, ATTEMPTS, (admin) => describe(admin, topic));
    this.#limits.set(topic, limits);
    return limits;
  }

  /** What a group has committed, per topic and partition; nothing where it never has. */
  async committed(group: string, topics: readonly string[]): Promise<Map<string, Map<number, CommittedOffset>>> {
    const committed = await this.#ask(`the offsets of group ${group} could not be read`, ATTEMPTS, (admin) =>
      admin.fetchOffsets({ groupId: group, topics: [...topics] }),
    );
    return new Map(
      committed.map(({ topic, partitions }) => [
        topic,
        new Map(
          partitions
            .filter(({ offset }) => Number(offset) >= 0)
            .map(({ partition, offset, metadata }) => [partition, { next: Number(offset), metadata: metadata ?? '' }]),
        ),
      ]),
    );
  }

  /** A failed admin client is replaced: kafkajs may keep dead connections in it. */
  async #ask<Answer>(what: string, attempts: number, question: (admin: Admin) => Promise<Answer>): Promise<Answer> {
    try {
      return await askAgain(async () => {
        try {
          this.#admin ??= this.#connect();
          return await question(await this.#admin);
        } catch (error) {
          if (!(error instanceof BusError)) await this.close();
          throw error;
        }
      }, attempts);
    } catch (error) {
      throw error instanceof BusError ? error : unreachable(what, error);
    }
  }

  async #connect(): Promise<Admin> {
    const admin = this.client({ retry: { initialRetryTime: 100, retries: 2 } }).admin();
    await admin.connect();
    return admin;
  }

  async close(): Promise<void> {
    const admin = this.#admin;
    this.#admin = undefined;
    await admin?.then((connected) => connected.disconnect()).catch(() => undefined);
  }
}

function settingsOf(declaration: TopicDeclaration): Record<string, string> {
  return Object.fromEntries(
    Object.entries(topicConfiguration(declaration)).map(([name, value]) => [name, String(value)]),
  );
}

interface Difference {
  readonly topic: string;
  readonly text: string;
  readonly remedy: string;
}

async function differencesOf(admin: Admin, declarations: readonly TopicDeclaration[]): Promise<Difference[]> {
  const names = declarations.map(({ name }) => name);
  const partitions = await partitionCounts(admin, names);
  const settings = await settingsOnBroker(admin, names, [
    ...new Set(declarations.flatMap((declaration) => Object.keys(settingsOf(declaration)))),
  ]);
  const differences: Difference[] = [];
  for (const declaration of declarations) {
    const topic = declaration.name;
    const count = partitions.get(topic);
    if (count !== declaration.partitions) {
      differences.push({
        topic,
        text: `has ${count} partitions and must have ${declaration.partitions}`,
        remedy:
          'partition numbers are part of an address: copy it to a new topic with the right number, or remove it if it is empty',
      });
    }
    for (const [name, wanted] of Object.entries(settingsOf(declaration))) {
      const found = settings.get(topic)?.get(name);
      if (found === wanted) continue;
      differences.push({
        topic,
        text: `has ${name}=${found} and must have ${name}=${wanted}`,
        remedy: `kafka-configs.sh --alter --entity-type topics --entity-name ${topic} --add-config ${name}=${wanted}`,
      });
    }
  }
  return differences;
}

function tooFewBrokers(copies: number, brokers: number, cause: unknown): BusError {
  return new BusError(
    'REMIT_BUS_TOO_FEW_BROKERS',
    `each topic is to have ${copies} copies (REMIT_REPLICATION_FACTOR), and the cluster has ${brokers} broker` +
      `${brokers === 1 ? '' : 's'}: start the others, or ask for fewer copies`,
    cause,
  );
}

function differs(differences: readonly Difference[]): BusError {
  const lines = differences.map(({ topic, text, remedy }) => `  ${topic} ${text}\n    ${remedy}`);
  return new BusError('REMIT_BUS_TOPIC_DIFFERS', `existing topics have other settings:\n${lines.join('\n')}`);
}

async function partitionCounts(admin: Admin, topics: readonly string[]): Promise<Map<string, number>> {
  const { topics: described } = await admin.fetchTopicMetadata({ topics: [...topics] });
  return new Map(described.map(({ name, partitions }) => [name, partitions.length]));
}

async function settingsOnBroker(
  admin: Admin,
  topics: readonly string[],
  configNames: string[],
): Promise<Map<string, Map<string, string>>> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: topics.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name, configNames })),
  });
  return new Map(
    resources.map(({ resourceName, configEntries }) => [
      resourceName,
      new Map(configEntries.map(({ configName, configValue }) => [configName, configValue])),
    ]),
  );
}

async function describe(admin: Admin, topic: string): Promise<TopicLimits> {
  try {
    const partitions = (await partitionCounts(admin, [topic])).get(topic) ?? 0;
    const settings = (await settingsOnBroker(admin, [topic], [MAX_BATCH, TIME_TYPE])).get(topic);
    const timeType = settings?.get(TIME_TYPE);
    if (timeType !== undefined && timeType !== APPEND_TIME) {
      throw new BusError(
        'REMIT_BUS_NOT_APPEND_TIME',
        `${topic} has ${TIME_TYPE}=${timeType}: its times are the writers' own; set it to ${APPEND_TIME}`,
      );
    }
    return { partitions, maxBatchBytes: Number(settings?.get(MAX_BATCH) ?? DEFAULT_MAX_BATCH_BYTES) };
  } catch (error) {
    if (brokerErrorOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') throw missingTopic(topic, error);
    throw error;
  }
}

export function missingTopic(topic: string, cause?: unknown): BusError {
  return new BusError('REMIT_BUS_TOPIC_MISSING', `topic missing: ${topic}; create it with ensureTopics first`, cause);
}
