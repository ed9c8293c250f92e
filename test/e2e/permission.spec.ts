import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { PermissionDatabase } from '#authority';
import { KafkaBus, type OutgoingMessage, type ReceivedMessage } from '#bus';
import { EVENTS, readEvent, TOPICS, writeEvent } from '#contracts';
import {
  effectiveDecision,
  permissionCommandSchema,
  type Action,
  type AppendedDecision,
  type Intent,
  type PermissionEvent,
} from '#domain';
import {
  activateCharterText,
  eventually,
  startApp,
  untilReady,
  type AppName,
  type Backends,
  type RunningApp,
} from '#testing';
import { createOwnDatabase, type OwnDatabase } from '../integration/own-database.js';
import { startOwnBroker, type OwnBroker } from '../integration/own-broker.js';

const SHAPES: Record<string, AppName[]> = {
  'two replicas of one process': ['standalone', 'standalone'],
  'services, permission twice': ['permission', 'permission', 'boundary', 'verifier', 'policy'],
};
const HELD = 12;
const USES = 5;
const RACERS = 20;
const UNLOCK: Action = { type: 'unlock', target: 'desk' };
const SETTLING_MS = 5;

function charterText(name: string, approvers = 2): string {
  return `
charter: ${name}
stage: enforce
decision_ttl: 10m
classifications: [public, internal]
systems:
  desk: { classification: internal }
  ledger: { classification: internal, environment: production }
agents:
  clerk: { scope: { actions: ['*'], systems: [desk, ledger] } }
  racer: { scope: { actions: ['*'], systems: [desk, ledger] } }
  late: { scope: { actions: ['*'], systems: [desk, ledger] } }
  moved: { scope: { actions: ['*'], systems: [desk, ledger] } }
  taken: { scope: { actions: ['*'], systems: [desk, ledger] } }
permissions:
  unlock_account: { required_for: { actions: [unlock] }, max_duration: 1h }
  production_change: { max_duration: 30m, bind: [action], approvals: { count: ${String(approvers)}, role: operations } }
  quick_change: { max_duration: 30m, bind: [action], hold_for: 2s, approvals: { count: 1, role: operations } }
policies:
  - id: production
    severity: critical
    scope: { actions: [update] }
    violated_when: action.environment == "production"
    effect: hold
    unless_granted: production_change
    reason: production data changes need two people
  - id: quick
    severity: critical
    scope: { actions: [patch] }
    violated_when: "true"
    effect: hold
    unless_granted: quick_change
    reason: a patch needs a second look
`;
}

/** What an agent and the door see of the log. */
class Onlooker {
  readonly #decisions = new Map<string, AppendedDecision[]>();
  readonly #events = new Map<string, PermissionEvent>();
  #stops: (() => Promise<void>)[] = [];

  constructor(private readonly bus: KafkaBus) {}

  async start(): Promise<void> {
    const followings = await Promise.all([
      this.bus.follow({ topics: [TOPICS.agentDecisions.name], from: 'start' }, (all) =>
        all.forEach((m) => this.#decision(m)),
      ),
      this.bus.follow({ topics: [TOPICS.permissionEvents.name], from: 'start' }, (all) =>
        all.forEach((m) => this.#event(m)),
      ),
    ]);
    this.#stops = followings.map((following) => () => following.stop());
  }

  async stop(): Promise<void> {
    await Promise.all(this.#stops.map((stop) => stop()));
  }

  #decision(message: ReceivedMessage): void {
    const reading = readEvent(EVENTS.decision, message);
    if (!reading.ok) throw new Error(reading.reason);
    const decision = reading.event.data;
    const appended = { decision, appendTime: message.appendTime, offset: message.offset };
    this.#decisions.set(decision.intentId, [...(this.#decisions.get(decision.intentId) ?? []), appended]);
  }

  #event(message: ReceivedMessage): void {
    const reading = readEvent(EVENTS.permissionEvent, message);
    if (!reading.ok) throw new Error(reading.reason);
    const { agentId, version } = reading.event.data;
    const id = `${agentId}/${String(version)}`;
    if (!this.#events.has(id)) this.#events.set(id, reading.event.data);
  }

  decisions({ intentId }: Intent): readonly AppendedDecision[] {
    return this.#decisions.get(intentId) ?? [];
  }

  effective(intent: Intent): AppendedDecision['decision'] | undefined {
    return effectiveDecision(this.decisions(intent))?.decision;
  }

  events(agentId: string): PermissionEvent[] {
    return [...this.#events.values()]
      .filter((event) => event.agentId === agentId)
      .sort((one, other) => one.version - other.version);
  }
}

describe.each(Object.entries(SHAPES))('temporary authority on real brokers and a real database: %s', (_, names) => {
  let broker: OwnBroker;
  let database: OwnDatabase;
  let backends: Backends;
  let bus: KafkaBus;
  let onlooker: Onlooker;
  let apps: RunningApp[] = [];

  beforeAll(async () => {
    database = await createOwnDatabase();
    broker = await startOwnBroker();
    backends = { brokers: [broker.address], databaseUrl: database.url };
    bus = new KafkaBus({ brokers: backends.brokers, topics: Object.values(TOPICS), replicationFactor: 1 });
    await bus.ensureTopics(Object.values(TOPICS));
    await activate('first');
    apps = await Promise.all(names.map((name) => startApp(name, backends)));
    await untilReady(apps);
    onlooker = new Onlooker(bus);
    await onlooker.start();
  });

  afterAll(async () => {
    await onlooker.stop();
    await Promise.all(apps.map((app) => app.stop()));
    await bus.close();
    await Promise.all([broker.remove(), database.drop()]);
  });

  async function activate(name: string, approvers?: number): Promise<void> {
    await activateCharterText(bus, charterText(name, approvers));
  }

  /** The first process dies without a word; another takes its place. */
  async function killOne(): Promise<void> {
    const [victim, ...others] = apps;
    if (victim === undefined) throw new Error('nobody is there to be killed');
    await victim.stop('SIGKILL');
    apps = [...others, await startApp(victim.name, backends)];
  }

  function message(intent: Intent): OutgoingMessage {
    const { intentId: id, agentId: subject } = intent;
    const event = writeEvent(EVENTS.intent, { id, source: '/test', subject, data: intent });
    return { topic: TOPICS.agentActions.name, key: intent.agentId, ...event };
  }

  async function propose(agentId: string, ...actions: readonly Action[]): Promise<Intent[]> {
    const intents = actions.map((action): Intent => ({ intentId: uuidv7(), agentId, action }));
    await bus.publish(intents.map(message));
    return intents;
  }

  /** Sent twice, as by a door that was not sure: it counts once. Returns its id. */
  async function send(fields: Record<string, unknown>): Promise<string> {
    const command = permissionCommandSchema.parse({ commandId: uuidv7(), reason: 'as the test says', ...fields });
    const { commandId: id, agentId: subject } = command;
    const event = writeEvent(EVENTS.permissionCommand, { id, source: '/test', subject, data: command });
    const one = { topic: TOPICS.permissionCommands.name, key: subject, ...event };
    await bus.publish([one, one]);
    return id;
  }

  async function order(fields: Record<string, unknown> & { agentId: string }): Promise<PermissionEvent[]> {
    const commandId = await send(fields);
    const made = (): PermissionEvent[] =>
      onlooker.events(fields.agentId).filter((event) => event.commandId === commandId);
    await eventually(() => made().length > 0);
    await new Promise((resolve) => setTimeout(resolve, SETTLING_MS));
    return made();
  }

  async function requestsOf(intents: readonly Intent[]): Promise<{ requestId: string; actionDigest: string }[]> {
    const found = () =>
      intents.flatMap(({ intentId, agentId }) =>
        onlooker
          .events(agentId)
          .flatMap((event) =>
            event.event === 'PermissionRequested' && event.held?.intentId === intentId
              ? [{ requestId: event.requestId, actionDigest: event.held.actionDigest }]
              : [],
          ),
      );
    await eventually(() => found().length === intents.length);
    return found();
  }

  const grant = { command: 'GrantPermission', by: 'sam', roles: ['security'], permission: 'unlock_account' };

  it('every action that two people approve goes on, and is used once, although a replica is killed in the middle', async () => {
    const agentId = 'clerk';
    const actions = Array.from({ length: HELD }, (__, rate) => ({
      type: 'update',
      target: 'ledger',
      parameters: { rate },
    }));
    const intents = await propose(agentId, ...actions);
    const requests = await requestsOf(intents);
    const approve = { command: 'ApproveRequest', agentId, roles: ['operations'] };
    for (const [index, request] of requests.entries()) {
      await send({ ...approve, by: 'olga', ...request });
      await send({ ...approve, by: 'otto', ...request });
      if (index === HELD / 2) await killOne();
    }
    await eventually(() => intents.every((intent) => onlooker.effective(intent) !== undefined));
    expect(intents.map((intent) => onlooker.effective(intent)?.outcome)).toEqual(new Array(HELD).fill('allow'));
    const named = (name: string) => onlooker.events(agentId).filter(({ event }) => event === name);
    await eventually(() => named('PermissionUsed').length === HELD);
    expect(named('PermissionReserved')).toHaveLength(HELD);
    expect(named('PermissionGranted')).toHaveLength(HELD);
    expect(named('PermissionRefused')).toEqual([]);
  });

  it('a rejected action ends as rejected, one that nobody decides as expired', async () => {
    const [rejected] = await propose('clerk', { type: 'update', target: 'ledger', parameters: { rate: 99 } });
    const [ignored] = await propose('late', { type: 'patch', target: 'desk' });
    if (rejected === undefined || ignored === undefined) throw new Error('nothing was proposed');
    const [request] = await requestsOf([rejected]);
    await send({
      command: 'RejectRequest',
      agentId: 'clerk',
      by: 'olga',
      roles: ['operations'],
      ...requestIdOf(request),
    });
    await eventually(() => [rejected, ignored].every((intent) => onlooker.effective(intent) !== undefined));
    expect(onlooker.effective(rejected)?.outcome).toBe('deny');
    expect(JSON.stringify(onlooker.effective(rejected))).toContain('its approval was rejected');
    expect(onlooker.effective(ignored)?.outcome).toBe('deny');
    expect(JSON.stringify(onlooker.effective(ignored))).toContain('expired');
    expect(JSON.stringify(onlooker.effective(ignored))).not.toContain('rejected');
  });

  function requestIdOf(request: { requestId: string } | undefined): { requestId: string } {
    if (request === undefined) throw new Error('no request was opened');
    return { requestId: request.requestId };
  }

  it('the last uses of a grant go to exactly as many intents as it has, although a replica is killed in the middle', async () => {
    const agentId = 'racer';
    await order({ ...grant, agentId, durationMs: 600_000, uses: USES });
    const racing = propose(agentId, ...new Array<Action>(RACERS).fill(UNLOCK));
    await killOne();
    const intents = await racing;
    await eventually(() => intents.every((intent) => onlooker.effective(intent) !== undefined));
    const allowed = intents.filter((intent) => onlooker.effective(intent)?.outcome === 'allow');
    expect(allowed).toHaveLength(USES);
    const used = () => onlooker.events(agentId).filter(({ event }) => event === 'PermissionUsed');
    await eventually(() => used().length === USES);
  });

  it('a revocation and a suspension bind every intent after them', async () => {
    const agentId = 'taken';
    const outcome = async (): Promise<string | undefined> => {
      const [intent] = await propose(agentId, UNLOCK);
      if (intent === undefined) throw new Error('nothing was proposed');
      await eventually(() => onlooker.effective(intent) !== undefined);
      return onlooker.effective(intent)?.outcome;
    };
    const [granted] = await order({ ...grant, agentId, durationMs: 600_000, uses: null });
    expect(await outcome()).toBe('allow');
    await order({ command: 'SuspendAgent', agentId, by: 'sam' });
    expect(await outcome()).toBe('deny');
    await order({ command: 'ReinstateAgent', agentId, by: 'sam' });
    expect(await outcome()).toBe('allow');
    await order({ command: 'RevokeGrant', agentId, by: 'sam', grantId: granted?.commandId });
    expect(await outcome()).toBe('deny');
  });

  it('a hold ends as superseded under a charter that says something else of its approval', async () => {
    const [intent] = await propose('moved', { type: 'update', target: 'ledger' });
    if (intent === undefined) throw new Error('nothing was proposed');
    await requestsOf([intent]);
    await activate('second', 3);
    await eventually(() => onlooker.effective(intent) !== undefined);
    expect(onlooker.effective(intent)?.outcome).toBe('deny');
    expect(JSON.stringify(onlooker.effective(intent))).toContain('superseded');
  });

  it('everything that was stored is published, in order and without gaps', async () => {
    const store = new PermissionDatabase({ databaseUrl: database.url });
    try {
      await eventually(async () => (await store.unpublished(1)).length === 0);
      for (const agentId of await store.streams({ limit: 100 })) {
        const { events, version } = await store.readStream(agentId);
        await eventually(() => onlooker.events(agentId).length >= version);
        // what ends by itself meanwhile comes behind it
        expect(onlooker.events(agentId).slice(0, version)).toEqual(events.map(({ event }) => event));
      }
    } finally {
      await store.close();
    }
  });
});
