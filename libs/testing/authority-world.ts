import { v7 as uuidv7 } from 'uuid';
import {
  createCommandHandler,
  createDecisionHandler,
  createRequestHandler,
  createSecondRoundHandler,
  reserveUses,
  startAuthorityTimer,
  type AuthorityTimer,
  type PermissionStore,
} from '#authority';
import { MemoryBus, MemoryLog, type Bus, type Consumption, type OutgoingMessage, type ReceivedMessage } from '#bus';
import {
  EVENTS,
  readEvent,
  sha256,
  TOPICS,
  writeEvent,
  type EventDeclaration,
  type TopicDeclaration,
} from '#contracts';
import {
  checkCharter,
  LAYERS,
  permissionCommandSchema,
  permissionEventSchema,
  type Action,
  type DeadLetter,
  type Decision,
  type Intent,
  type Layer,
  type PermissionEvent,
  type PermissionSnapshot,
} from '#domain';
import { MemoryEventStorage, MemoryEventStore } from '#event-store';
import { CHARTER_KEY, createSegment, createViews, inputTopicOf, type Views } from '#segment';
import { eventually, readTopic } from './bus-suite.js';

/** A busy machine is slow; it is not wrong. */
const VIEW_WAIT_MS = 30_000;
/** Longer than a millisecond of the log, so that what was appended binds whatever follows. */
const MILLISECOND_OVER_MS = 2;

export interface ReplicaOptions {
  /** One segment of all four layers unless told. */
  readonly shape?: readonly (readonly Layer[])[];
  /** Decides and orders nothing unless it runs the runtime; it does unless told. */
  readonly runtime?: boolean;
  readonly timer?: boolean;
  /** Without a store it counts no uses. */
  readonly counts?: boolean;
  /** Consumer groups are shared unless a zombie has its own. */
  readonly groupSuffix?: string;
  /** Recorded in every decision. */
  readonly engine?: string;
  /** Another store than the world's own, or something that stands before it. */
  readonly store?: (own: PermissionStore) => PermissionStore;
  readonly spoilBus?: (bus: Bus) => Bus;
}

/** A process that judges and decides authority. */
export interface Replica {
  readonly views: Views;
  readonly bus: MemoryBus;
  readonly store: PermissionStore;
  /** `kill -9`: nothing it does from now on reaches anybody. */
  crash(): void;
  stop(): Promise<void>;
}

/** All of temporary authority on one in-memory log and one in-memory store, with a clock that can be turned on. */
export class AuthorityWorld {
  readonly #startedAt = performance.now();
  #turnedOnBy = 0;
  readonly log = new MemoryLog(() => this.now());
  readonly storage = new MemoryEventStorage();
  readonly #bus = new MemoryBus(this.log);
  readonly #replicas: Replica[] = [];

  /** ms since the epoch, as the brokers and every timer see it. */
  now(): number {
    return Date.UTC(2026, 10, 3, 12) + Math.floor(performance.now() - this.#startedAt) + this.#turnedOnBy;
  }

  turnOn(ms: number): void {
    this.#turnedOnBy += ms;
  }

  async open(charter: string): Promise<void> {
    await this.#bus.ensureTopics(Object.values(TOPICS));
    await this.activate(charter);
  }

  async close(): Promise<void> {
    for (const replica of this.#replicas) await replica.stop();
    await this.#bus.close();
  }

  async start(options: ReplicaOptions = {}): Promise<Replica> {
    const {
      shape = [LAYERS],
      runtime = true,
      timer = false,
      counts = true,
      groupSuffix = '',
      engine = 'remit/test',
    } = options;
    const bus = new MemoryBus(this.log);
    const used = options.spoilBus?.(bus) ?? bus;
    const own = new MemoryEventStore(permissionEventSchema, this.storage);
    const store = options.store?.(own) ?? own;
    const views = createViews(bus);
    await views.start();
    const parts = { bus: used, store, views, viewWaitMs: VIEW_WAIT_MS };
    const consumptions: Consumption[] = [];
    for (const layers of shape) {
      const segment = createSegment(
        { layers, engine, viewWaitMs: VIEW_WAIT_MS, ...(counts ? { reserve: reserveUses(parts) } : {}) },
        views,
      );
      const group = `judging.${layers.join('.')}${groupSuffix}`;
      consumptions.push(await bus.consume({ group, topics: [inputTopicOf(layers)] }, segment));
    }
    let clock: AuthorityTimer | undefined;
    if (runtime) {
      const { permissionCommands, permissionRequests, agentDecisions, permissionEvents } = TOPICS;
      consumptions.push(
        await bus.consume({ group: 'commands', topics: [permissionCommands.name] }, createCommandHandler(parts)),
        await bus.consume({ group: 'requests', topics: [permissionRequests.name] }, createRequestHandler(parts)),
        await bus.consume({ group: 'uses', topics: [agentDecisions.name] }, createDecisionHandler(parts)),
        await bus.consume({ group: 'rounds', topics: [permissionEvents.name] }, createSecondRoundHandler(parts)),
      );
    }
    if (timer) {
      clock = startAuthorityTimer(parts, {
        now: () => this.now(),
        onFailure: () => undefined,
        everyMs: 5,
        sweepEveryMs: 5,
      });
    }
    let gone = false;
    const replica: Replica = {
      views,
      bus,
      store,
      crash: () => {
        gone = true;
        bus.crash();
      },
      stop: async () => {
        await clock?.stop();
        if (gone) return;
        gone = true;
        await Promise.all(consumptions.map((consumption) => consumption.stop()));
        await views.stop();
        await bus.close();
      },
    };
    this.#replicas.push(replica);
    return replica;
  }

  /** Resolves when it binds. Returns its digest. */
  async activate(text: string): Promise<string> {
    const checked = checkCharter(text, sha256);
    if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
    const { name, digest } = checked.charter;
    const data = { event: 'CharterActivated' as const, charter: name, digest, text, activatedBy: 'ann' };
    const event = writeEvent(EVENTS.charterEvent, { id: uuidv7(), source: '/test', subject: name, data });
    await this.publish({ topic: TOPICS.charterEvents.name, key: CHARTER_KEY, ...event });
    await this.settled();
    return digest;
  }

  async publish(...messages: OutgoingMessage[]): Promise<void> {
    await this.#bus.publish(messages);
  }

  /** Sends a command and returns what came of it, once it binds. Ids are made up where none is given. */
  async order(fields: Record<string, unknown>): Promise<PermissionEvent[]> {
    const command = permissionCommandSchema.parse({ commandId: uuidv7(), reason: 'as the test says', ...fields });
    await this.send(EVENTS.permissionCommand, TOPICS.permissionCommands, command.agentId, command);
    let made: PermissionEvent[] = [];
    await eventually(async () => {
      made = (await this.events()).filter(({ commandId }) => commandId === command.commandId);
      return made.length > 0;
    });
    await this.settled();
    return made;
  }

  async send<Data>(
    declaration: EventDeclaration<Data>,
    topic: TopicDeclaration,
    key: string,
    data: Data,
  ): Promise<void> {
    const event = writeEvent(declaration, { id: uuidv7(), source: '/test', subject: key, data });
    await this.publish({ topic: topic.name, key, ...event });
  }

  async propose(agentId: string, action: Action, more: Partial<Intent> = {}): Promise<Intent> {
    const intent: Intent = { intentId: uuidv7(), agentId, action, ...more };
    await this.send(EVENTS.intent, TOPICS.agentActions, agentId, intent);
    return intent;
  }

  /** Several intents of one agent, appended together. */
  async proposeAtOnce(agentId: string, actions: readonly Action[]): Promise<Intent[]> {
    const intents = actions.map((action): Intent => ({ intentId: uuidv7(), agentId, action }));
    const messages = intents.map((data) => {
      const event = writeEvent(EVENTS.intent, { id: data.intentId, source: '/test', subject: agentId, data });
      return { topic: TOPICS.agentActions.name, key: agentId, ...event };
    });
    await this.publish(...messages);
    return intents;
  }

  /** Waits while nothing is expected to happen. */
  async quiet(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** What has been published binds whatever follows. */
  settled(): Promise<void> {
    return this.quiet(MILLISECOND_OVER_MS);
  }

  snapshots(): Promise<PermissionSnapshot[]> {
    return this.#all(EVENTS.permissionSnapshot, TOPICS.permissionState);
  }

  /** The decisions of an intent in partition order, once there are so many. */
  async decisionsOf({ intentId }: Pick<Intent, 'intentId'>, count = 1): Promise<Decision[]> {
    let found: Decision[] = [];
    await eventually(async () => {
      found = (await this.#all(EVENTS.decision, TOPICS.agentDecisions)).filter((one) => one.intentId === intentId);
      return found.length >= count;
    });
    return found;
  }

  async decide(agentId: string, action: Action, more: Partial<Intent> = {}): Promise<Decision> {
    const [decision] = await this.decisionsOf(await this.propose(agentId, action, more));
    if (decision === undefined) throw new Error('nothing was decided');
    return decision;
  }

  /** Everything published about authority, repeats left out, in partition order. */
  async events(): Promise<PermissionEvent[]> {
    const seen = new Set<string>();
    return (await this.#all(EVENTS.permissionEvent, TOPICS.permissionEvents)).filter(({ agentId, version }) => {
      const id = `${agentId}/${String(version)}`;
      return !seen.has(id) && Boolean(seen.add(id));
    });
  }

  async eventsNamed<Name extends PermissionEvent['event']>(
    name: Name,
    count = 1,
  ): Promise<Extract<PermissionEvent, { event: Name }>[]> {
    let found: Extract<PermissionEvent, { event: Name }>[] = [];
    await eventually(async () => {
      found = (await this.events()).filter(
        (event): event is Extract<PermissionEvent, { event: Name }> => event.event === name,
      );
      return found.length >= count;
    });
    return found;
  }

  async deadLetters(count: number): Promise<DeadLetter[]> {
    let found: DeadLetter[] = [];
    await eventually(async () => {
      found = await this.#all(EVENTS.deadLetter, TOPICS.deadLetters);
      return found.length >= count;
    });
    return found;
  }

  messages(topic: TopicDeclaration): Promise<ReceivedMessage[]> {
    return readTopic(this.#bus, topic.name);
  }

  async #all<Data>(declaration: EventDeclaration<Data>, topic: TopicDeclaration): Promise<Data[]> {
    return (await this.messages(topic)).flatMap((message) => {
      const reading = readEvent(declaration, message);
      return reading.ok ? [reading.event.data] : [];
    });
  }
}

/** Every sentence of a decision's findings that count. */
export function enforcedReasons({ verdicts }: Decision): string {
  return verdicts
    .flatMap(({ findings }) =>
      findings.filter(({ enforced }) => enforced).map(({ rule, reason }) => `${rule}: ${reason}`),
    )
    .join('\n');
}
