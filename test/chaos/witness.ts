import kafkajs, { type Kafka, type Producer } from 'kafkajs';
import { hash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';

/** An intent whose outcome is known beforehand. */
interface Known {
  readonly agentId: string;
  readonly expected: 'allow' | 'deny';
  /** SHA-256 of the action in RFC 8785 form. */
  readonly digest: string;
  /** When the agent first tried to publish it, ms since the epoch. */
  readonly triedAt: number;
  acknowledged: boolean;
}

/** A decision as it lies on the log. */
interface Seen {
  readonly digest: string;
  readonly outcome: string;
  readonly validUntil: number;
  readonly appendTime: number;
}

/** What the witness reads of a decision. */
interface DecisionData {
  readonly intentId?: string;
  readonly outcome?: string;
  readonly validUntil?: string;
  readonly action?: { readonly digest?: string };
}

/** What came of everything that was published. */
export interface Testimony {
  readonly intents: number;
  readonly lost: number;
  readonly contradictory: number;
  readonly wronglyAllowed: number;
  readonly failedClosed: number;
  readonly longestSilenceMs: number;
}

const AGENTS = Array.from({ length: 48 }, (_, index) => `chaos-agent-${String(index)}`);

/** A charter in which the witness knows every answer: `read` is allowed, `wipe` is out of bounds. */
export const WITNESS_CHARTER = [
  'charter: chaos',
  'stage: enforce',
  'decision_ttl: 10m',
  'classifications: [public, internal]',
  'systems:',
  '  ledger: { classification: internal }',
  'boundaries:',
  '  - { id: action-restriction, never: [wipe] }',
  'agents:',
  ...AGENTS.map(
    (id) => `  ${id}: { owner: chaos, purpose: chaos, scope: { actions: [read, wipe], systems: [ledger] } }`,
  ),
].join('\n');

const ACTIONS = 'agent.actions';
const DECISIONS = 'agent.decisions';
const BATCH_MS = 100;

/**
 * An agent of its own making: it shares no code with Remit, publishes with stock kafkajs, sends again what is not
 * acknowledged, and reads the decisions back from the log itself, so that no reader's standstill is its own.
 */
export class Witness {
  readonly #kafka: Kafka;
  readonly #known = new Map<string, Known>();
  readonly #seen = new Map<string, Seen[]>();
  readonly #next = new Map<number, number>();
  #producer: Producer | undefined;
  #partitions: number | undefined;
  #publishing: Promise<void> | undefined;
  #goesOn = false;
  #number = 0;

  constructor(brokers: readonly string[]) {
    this.#kafka = new kafkajs.Kafka({
      brokers: [...brokers],
      clientId: 'chaos-witness',
      logLevel: kafkajs.logLevel.NOTHING,
      connectionTimeout: 2000,
      requestTimeout: 5000,
      retry: { retries: 2, initialRetryTime: 100 },
    });
  }

  /** Publishes so many intents a second until {@link Witness.pause}, faults or not. */
  begin(perSecond: number): void {
    this.#goesOn = true;
    this.#publishing ??= this.#publish(perSecond);
  }

  async pause(): Promise<void> {
    this.#goesOn = false;
    await this.#publishing;
    this.#publishing = undefined;
  }

  /** Acknowledged so far. */
  acknowledged(): number {
    let count = 0;
    for (const { acknowledged } of this.#known.values()) if (acknowledged) count += 1;
    return count;
  }

  async #publish(perSecond: number): Promise<void> {
    const perBatch = Math.max(1, Math.round((perSecond * BATCH_MS) / 1000));
    while (this.#goesOn) {
      const began = Date.now();
      const intents = Array.from({ length: perBatch }, () => this.#intent());
      // what the brokers do not acknowledge is sent again, the same intent, as the guide asks of agents
      while (!(await this.#send(intents))) await sleep(BATCH_MS);
      await sleep(Math.max(0, began + BATCH_MS - Date.now()));
    }
  }

  #intent(): { intentId: string; key: string; value: string } {
    const number = this.#number++;
    const agentId = AGENTS[number % AGENTS.length] ?? '';
    // so that every agent does both
    const expected = Math.floor(number / AGENTS.length) % 2 === 0 ? 'allow' : 'deny';
    const intentId = uuidv7();
    // names in order: this is its canonical form
    const action = { parameters: { number }, target: 'ledger', type: expected === 'allow' ? 'read' : 'wipe' };
    const digest = hash('sha256', JSON.stringify(action));
    this.#known.set(intentId, { agentId, expected, digest, triedAt: Date.now(), acknowledged: false });
    const value = JSON.stringify({
      specversion: '1.0',
      id: intentId,
      source: `/agents/${agentId}`,
      type: 'io.remit.intent.v1',
      subject: agentId,
      data: { intentId, agentId, action },
    });
    return { intentId, key: agentId, value };
  }

  async #send(intents: readonly { intentId: string; key: string; value: string }[]): Promise<boolean> {
    try {
      if (this.#producer === undefined) {
        const producer = this.#kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
        await producer.connect();
        this.#producer = producer;
      }
      const headers = { 'content-type': 'application/cloudevents+json' };
      this.#partitions ??= (await this.endsOf(ACTIONS)).size;
      const partitionOf = kafkajs.Partitioners.DefaultPartitioner();
      const partitionMetadata = Array.from({ length: this.#partitions }, (_, partitionId) => ({
        ...{ partitionErrorCode: 0, partitionId, leader: 0, replicas: [], isr: [] },
      }));
      const messages = intents.map(({ key, value }) => {
        const message = { key, value, headers };
        return { ...message, partition: partitionOf({ topic: ACTIONS, partitionMetadata, message }) };
      });
      const answers = await this.#producer.send({ topic: ACTIONS, acks: -1, messages });
      // kafkajs says that all is sent although it has left a partition out whose leader moved during a retry
      const answered = new Set(answers.map(({ partition }) => partition));
      for (const [index, { intentId }] of intents.entries()) {
        const known = this.#known.get(intentId);
        if (known && answered.has(messages[index]?.partition ?? -1)) known.acknowledged = true;
      }
      return intents.every(({ intentId }) => this.#known.get(intentId)?.acknowledged === true);
    } catch {
      const broken = this.#producer;
      this.#producer = undefined;
      await broken?.disconnect().catch(() => undefined);
      return false;
    }
  }

  /** Forgets what was published before: the next {@link Witness.settle} tells of what comes from now on. */
  beginRound(): void {
    this.#known.clear();
    this.#seen.clear();
  }

  /** Waits until every acknowledged intent has an effective decision, at most so long, ms; then says what came of all. */
  async settle(withinMs: number): Promise<Testimony> {
    await this.pause();
    const deadline = Date.now() + withinMs;
    for (;;) {
      const isWhole = await this.#readOn(deadline);
      if ((isWhole && this.#open() === 0) || Date.now() > deadline) break;
      await sleep(500);
    }
    return this.#testimony();
  }

  #open(): number {
    let open = 0;
    for (const [intentId, known] of this.#known) {
      if (known.acknowledged && this.#effective(intentId, known).length === 0) open += 1;
    }
    return open;
  }

  /** Reads the decisions from where it was to the present end. Whether it got there. */
  async #readOn(deadline: number): Promise<boolean> {
    const consumer = this.#kafka.consumer({
      groupId: `chaos-witness-${randomUUID()}`,
      maxWaitTimeInMs: 100,
      retry: { retries: 0, restartOnFailure: () => Promise.resolve(false) },
    });
    try {
      const ends = await this.endsOf(DECISIONS);
      const open = new Set(
        [...ends].filter(([partition, end]) => end > (this.#next.get(partition) ?? 0)).map(([at]) => at),
      );
      if (open.size === 0) return true;
      await consumer.connect();
      await consumer.subscribe({ topics: [DECISIONS], fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachMessage: ({ partition, message }) => {
          const next = this.#next.get(partition) ?? 0;
          const offset = Number(message.offset);
          if (offset >= next) {
            this.#next.set(partition, offset + 1);
            this.#keep(message.value, Number(message.timestamp));
          }
          if (offset + 1 >= (ends.get(partition) ?? 0)) open.delete(partition);
          return Promise.resolve();
        },
      });
      for (const [partition] of ends) {
        consumer.seek({ topic: DECISIONS, partition, offset: String(this.#next.get(partition) ?? 0) });
      }
      const patience = Math.min(deadline, Date.now() + READ_PATIENCE_MS);
      while (open.size > 0 && Date.now() < patience) await sleep(50);
      return open.size === 0;
    } catch {
      return false;
    } finally {
      await consumer.disconnect().catch(() => undefined);
    }
  }

  /** The end of each partition, from the brokers now. */
  async endsOf(topic: string): Promise<Map<number, number>> {
    const admin = this.#kafka.admin();
    try {
      await admin.connect();
      const offsets = await admin.fetchTopicOffsets(topic);
      return new Map(offsets.map(({ partition, high }) => [partition, Number(high)]));
    } finally {
      await admin.disconnect().catch(() => undefined);
    }
  }

  /** What a group has committed, per topic and partition, from the brokers now. */
  async committedOf(groupId: string): Promise<Map<string, Map<number, number>>> {
    const admin = this.#kafka.admin();
    try {
      await admin.connect();
      const committed = await admin.fetchOffsets({ groupId });
      return new Map(
        committed.map(({ topic, partitions }) => [
          topic,
          new Map(partitions.map(({ partition, offset }) => [partition, Number(offset)])),
        ]),
      );
    } finally {
      await admin.disconnect().catch(() => undefined);
    }
  }

  /** The consumer groups there are. */
  async groups(): Promise<string[]> {
    const admin = this.#kafka.admin();
    try {
      await admin.connect();
      return (await admin.listGroups()).groups.map(({ groupId }) => groupId);
    } finally {
      await admin.disconnect().catch(() => undefined);
    }
  }

  #keep(value: Buffer | null, appendTime: number): void {
    const message = JSON.parse(value?.toString('utf8') ?? '{}') as DecisionData & { data?: DecisionData };
    // CloudEvents, structured or binary
    const { intentId, outcome, validUntil, action } = message.data ?? message;
    if (intentId === undefined || outcome === undefined) return;
    const seen = this.#seen.get(intentId) ?? [];
    seen.push({ digest: action?.digest ?? '', outcome, validUntil: Date.parse(validUntil ?? ''), appendTime });
    this.#seen.set(intentId, seen);
  }

  /** Final decisions of exactly this action that were appended in time; the first of them counts. */
  #effective(intentId: string, { digest }: Known): readonly Seen[] {
    const seen = this.#seen.get(intentId) ?? [];
    return seen.filter((one) => one.outcome !== 'hold' && one.digest === digest && one.appendTime <= one.validUntil);
  }

  /** Of each intent that has an effective decision: from the first attempt to publish it to the decision's append, ms. */
  waitsMs(): number[] {
    return [...this.#known].flatMap(([intentId, known]) => {
      const [first] = this.#effective(intentId, known);
      return first === undefined ? [] : [first.appendTime - known.triedAt];
    });
  }

  /** For whoever has to find out what became of them: acknowledged intents without an effective decision. */
  async lostOnes(): Promise<string[]> {
    const lost = [...this.#known].filter(
      ([intentId, known]) => known.acknowledged && this.#effective(intentId, known).length === 0,
    );
    if (lost.length === 0) return [];
    const places = await this.#placesOf(new Set(lost.map(([intentId]) => intentId)));
    return lost.map(([intentId, { agentId, triedAt }]) => {
      const decisions = (this.#seen.get(intentId) ?? []).map((seen) => JSON.stringify(seen)).join(' ') || 'none';
      const at = places.get(intentId)?.join(', ') ?? 'nowhere';
      return `${intentId} of ${agentId}, tried ${new Date(triedAt).toISOString()}, on the log at ${at}; decisions: ${decisions}`;
    });
  }

  /** Where intents lie on the log, as `partition/offset (time)`. */
  async #placesOf(intentIds: ReadonlySet<string>): Promise<Map<string, string[]>> {
    const places = new Map<string, string[]>();
    const ends = await this.endsOf(ACTIONS);
    const open = new Set([...ends].filter(([, end]) => end > 0).map(([partition]) => partition));
    const consumer = this.#kafka.consumer({ groupId: `chaos-witness-${randomUUID()}`, maxWaitTimeInMs: 100 });
    await consumer.connect();
    await consumer.subscribe({ topics: [ACTIONS], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachMessage: ({ partition, message }) => {
        const { id = '' } = JSON.parse(message.value?.toString('utf8') ?? '{}') as { id?: string };
        if (intentIds.has(id)) {
          const at = `${String(partition)}/${message.offset} (${new Date(Number(message.timestamp)).toISOString()})`;
          places.set(id, [...(places.get(id) ?? []), at]);
        }
        if (Number(message.offset) + 1 >= (ends.get(partition) ?? 0)) open.delete(partition);
        return Promise.resolve();
      },
    });
    const patience = Date.now() + READ_PATIENCE_MS;
    while (open.size > 0 && Date.now() < patience) await sleep(50);
    await consumer.disconnect();
    return places;
  }

  #testimony(): Testimony {
    const total = { intents: 0, lost: 0, contradictory: 0, wronglyAllowed: 0, failedClosed: 0 };
    for (const [intentId, known] of this.#known) {
      const { expected, acknowledged } = known;
      const valid = this.#effective(intentId, known);
      const [effective] = valid;
      if (acknowledged) total.intents += 1;
      if (acknowledged && effective === undefined) total.lost += 1;
      if (new Set(valid.map(({ outcome }) => outcome)).size > 1) total.contradictory += 1;
      if (effective?.outcome === 'allow' && expected === 'deny') total.wronglyAllowed += 1;
      if (effective?.outcome === 'deny' && expected === 'allow') total.failedClosed += 1;
    }
    return { ...total, longestSilenceMs: this.#longestSilence() };
  }

  /** Per agent: the longest time it waited with no decision of its own coming. */
  #longestSilence(): number {
    let longest = 0;
    for (const agentId of AGENTS) {
      const waits: { from: number; to: number }[] = [];
      for (const [intentId, known] of this.#known) {
        if (known.agentId !== agentId) continue;
        const [first] = this.#effective(intentId, known);
        if (first !== undefined) waits.push({ from: known.triedAt, to: first.appendTime });
      }
      const ends = waits.map(({ to }) => to).sort((a, b) => a - b);
      for (const { from, to } of waits) {
        const firstEnd = ends.find((end) => end >= from) ?? to;
        longest = Math.max(longest, firstEnd - from);
      }
    }
    return longest;
  }

  async close(): Promise<void> {
    await this.pause();
    await this.#producer?.disconnect().catch(() => undefined);
  }
}

const READ_PATIENCE_MS = 20_000;
