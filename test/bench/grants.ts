import { v7 as uuidv7 } from 'uuid';
import { PermissionDatabase, reserveUses } from '#authority';
import { MemoryBus, MemoryLog, type Batch, type BatchHandler, type ReceivedMessage } from '#bus';
import { EVENTS, partitionOfAgent, sha256, TOPICS, writeEvent } from '#contracts';
import { checkCharter, LAYERS, type Intent, type PermissionEvent } from '#domain';
import { CHARTER_KEY, createSegment, createViews, type Views } from '#segment';
import { figure, median, type Figure } from './figure.js';

const ROUNDS = 7;
const WARM_UP_ROUNDS = 4;
const INTENTS = 5_000;
const RESERVING = 100;
const NOW = Date.UTC(2026, 10, 3, 12);
const DAY_MS = 24 * 60 * 60 * 1000;

/** A stream of its own in every run: the whole stream is read for each reservation. */
const COUNTED = `counted-${uuidv7()}`;

const CHARTER = `
charter: grants
stage: enforce
decision_ttl: 5m
classifications: [public, internal]
systems: { panel: { classification: internal } }
agents:
  standing: { scope: { actions: [unlock], systems: [panel] }, permissions: [unlock_account] }
  granted: { scope: { actions: [unlock], systems: [panel] } }
  laden: { scope: { actions: [unlock], systems: [panel] } }
  ${COUNTED}: { scope: { actions: [unlock], systems: [panel] } }
permissions:
  unlock_account: { required_for: { actions: [unlock] }, max_duration: 30d }
`;

function grantEvent(agentId: string, version: number, fields: { uses?: number; target?: string }): PermissionEvent {
  const { uses = null, target } = fields;
  return {
    event: 'PermissionGranted',
    agentId,
    version,
    commandId: `${agentId}-${version}`,
    at: new Date(NOW).toISOString(),
    by: 'sam',
    reason: 'a measurement',
    grantId: `${agentId}-${version}`,
    permission: 'unlock_account',
    constraints: target === undefined ? {} : { target },
    uses,
    expiresAt: new Date(NOW + DAY_MS).toISOString(),
    approvedBy: ['sam'],
    charterDigest: 'a'.repeat(64),
  };
}

async function prepareLog(bus: MemoryBus): Promise<PermissionEvent> {
  await bus.ensureTopics(Object.values(TOPICS));
  const checked = checkCharter(CHARTER, sha256);
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
  const { name, digest } = checked.charter;
  const activation = { event: 'CharterActivated' as const, charter: name, digest, text: CHARTER, activatedBy: 'bench' };
  const about = { source: '/bench', subject: name };
  const charter = writeEvent(EVENTS.charterEvent, { id: digest, ...about, data: activation });
  await bus.publish([{ topic: TOPICS.charterEvents.name, key: CHARTER_KEY, ...charter }]);
  const counted = grantEvent(COUNTED, 1, { uses: 1_000_000 });
  const others = Array.from({ length: 16 }, (_, index) => grantEvent('laden', index + 1, { target: `panel-${index}` }));
  const events = [grantEvent('granted', 1, {}), ...others, grantEvent('laden', 17, {}), counted];
  for (const data of events) {
    const event = writeEvent(EVENTS.permissionEvent, { id: data.commandId, ...about, data });
    await bus.publish([{ topic: TOPICS.permissionEvents.name, key: data.agentId, ...event }]);
  }
  return counted;
}

function batchOf(agentId: string, count: number): Batch {
  const partition = partitionOfAgent(agentId);
  const messages = Array.from({ length: count }, (_, offset): ReceivedMessage => {
    const data: Intent = { intentId: uuidv7(), agentId, action: { type: 'unlock', target: 'panel' } };
    const event = writeEvent(EVENTS.intent, { id: data.intentId, source: '/bench', subject: agentId, data });
    return {
      topic: TOPICS.agentActions.name,
      partition,
      offset,
      appendTime: NOW + 1_000,
      logTime: NOW + 1_000,
      key: Buffer.from(agentId),
      value: Buffer.from(event.value),
      headers: { 'content-type': Buffer.from(event.headers['content-type']) },
    };
  });
  return { topic: TOPICS.agentActions.name, partition, messages, readFrom: 0, heartbeat: () => Promise.resolve() };
}

async function judge(segment: BatchHandler, batch: Batch): Promise<void> {
  const { publish } = await segment(batch);
  const allowed = publish.filter(({ value }) => String(value).includes('"outcome":"allow"')).length;
  if (allowed !== batch.messages.length) throw new Error(`${allowed} of ${batch.messages.length} were allowed`);
}

function cpuMicroseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** Medians over rounds in which the agents take turns. */
async function cpuPerIntent(segment: BatchHandler, agents: readonly string[]): Promise<Map<string, number>> {
  const costs = new Map(agents.map((agent): [string, number[]] => [agent, []]));
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
    for (const agent of agents) {
      const batch = batchOf(agent, INTENTS);
      const before = cpuMicroseconds();
      await judge(segment, batch);
      if (round >= WARM_UP_ROUNDS) costs.get(agent)?.push((cpuMicroseconds() - before) / INTENTS);
    }
  }
  return new Map([...costs].map(([agent, all]) => [agent, median(all)]));
}

/** Wall time: what an intent that needs a use waits for the database, one after the other. */
async function millisecondsPerReservation(databaseUrl: string, bus: MemoryBus, views: Views, granted: PermissionEvent) {
  const store = new PermissionDatabase({ databaseUrl });
  try {
    const { commandId, agentId } = granted;
    await store.append(agentId, { expectedVersion: 0, commandId, commandDigest: 'a'.repeat(64), events: [granted] });
    const reserve = reserveUses({ store, bus, views });
    const segment = createSegment({ layers: LAYERS, engine: 'remit/bench', viewWaitMs: 1_000, reserve }, views);
    const started = performance.now();
    await judge(segment, batchOf(agentId, RESERVING));
    return (performance.now() - started) / RESERVING;
  } finally {
    await store.close();
  }
}

/** What grants cost an intent on its way through all four layers, beside a standing permission. */
export async function measureGrants(databaseUrl: string): Promise<Figure[]> {
  const bus = new MemoryBus(new MemoryLog(() => NOW));
  const counted = await prepareLog(bus);
  const views = createViews(bus);
  await views.start();
  try {
    const segment = createSegment({ layers: LAYERS, engine: 'remit/bench', viewWaitMs: 1_000 }, views);
    const costs = await cpuPerIntent(segment, ['standing', 'granted', 'laden']);
    const costOf = (agent: string): number => costs.get(agent) ?? 0;
    const beside = (name: string, value: number): Figure =>
      figure(name, value, 'µs', 'by a standing permission', costOf('standing'));
    const waitMs = await millisecondsPerReservation(databaseUrl, bus, views, counted);
    return [
      beside('an intent allowed by a grant', costOf('granted')),
      beside('an intent allowed by one grant of 17', costOf('laden')),
      beside('an intent that reserves a use in PostgreSQL', waitMs * 1_000),
    ];
  } finally {
    await views.stop();
    await bus.close();
  }
}
