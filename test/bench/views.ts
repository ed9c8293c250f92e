import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { v7 as uuidv7 } from 'uuid';
import { KafkaBus, type OutgoingMessage } from '#bus';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import { permissionEventSchema, type PermissionEvent } from '#domain';
import { figure, type Figure } from './figure.js';

const AGENTS = 1_000;
const EVENTS_OF_MANY = 100_000;
const USES_OF_ONE = 1_000_000;
const MESSAGES_AT_ONCE = 5_000;
const DAY_MS = 24 * 60 * 60 * 1000;
/** The history is made in minutes, so the window must be seconds for it to be history. */
const WINDOW_MS = 2_000;
const DIGEST = 'a'.repeat(64);

/** What a start of the views costs, as its process says. */
interface Start {
  readonly ms: number;
  readonly read: number;
  readonly states: number;
  readonly heapMb: number;
  readonly residentMb: number;
}

function message(agentId: string, version: number, fact: Record<string, unknown>): OutgoingMessage {
  const at = new Date().toISOString();
  const who = {
    agentId,
    version,
    commandId: `${agentId}-${String(version)}`,
    at,
    by: 'bench',
    reason: 'a measurement',
  };
  const data = { ...who, ...fact } as PermissionEvent;
  const event = writeEvent(EVENTS.permissionEvent, { id: who.commandId, source: '/bench', subject: agentId, data });
  return { topic: TOPICS.permissionEvents.name, key: agentId, ...event };
}

function granted(grantId: string, uses: number | null): Record<string, unknown> {
  const expiresAt = new Date(Date.now() + DAY_MS).toISOString();
  const rest = { approvedBy: ['bench'], charterDigest: DIGEST, expiresAt };
  return { event: 'PermissionGranted', grantId, permission: 'unlock', constraints: {}, uses, ...rest };
}

/** Grants that come and go: each agent has one at a time. */
function* eventsOfMany(): Generator<OutgoingMessage> {
  for (let version = 1; version <= EVENTS_OF_MANY / AGENTS; version += 1) {
    const grantId = `grant-${String(Math.ceil(version / 2))}`;
    for (let agent = 0; agent < AGENTS; agent += 1) {
      const fact = version % 2 === 1 ? granted(grantId, null) : { event: 'PermissionRevoked', grantId };
      yield message(`agent-${String(agent)}`, version, fact);
    }
  }
}

/** Each use is reserved and spent. */
function* usesOfOne(): Generator<OutgoingMessage> {
  const agentId = 'busy';
  yield message(agentId, 1, granted('grant-1', USES_OF_ONE));
  for (let use = 0; use < USES_OF_ONE; use += 1) {
    const about = { grantId: 'grant-1', intentId: uuidv7(), actionDigest: DIGEST };
    yield message(agentId, 2 * use + 2, { event: 'PermissionReserved', ...about });
    yield message(agentId, 2 * use + 3, { event: 'PermissionUsed', ...about, decisionId: DIGEST });
  }
}

async function publish(bus: KafkaBus, messages: Iterable<OutgoingMessage>): Promise<number> {
  let count = 0;
  let page: OutgoingMessage[] = [];
  for (const one of messages) {
    if (count === 0) permissionEventSchema.parse((JSON.parse(String(one.value)) as { data: unknown }).data);
    count += 1;
    if (page.push(one) < MESSAGES_AT_ONCE) continue;
    await bus.publish(page);
    page = [];
  }
  await bus.publish(page);
  return count;
}

/** Views that start in a process of their own, which then writes cuts where it is told to, or just ends. */
async function startInProcess(brokers: readonly string[], then: 'cut' | 'end' = 'end'): Promise<Start> {
  const worker = new URL('./workers/views.js', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--expose-gc', worker, brokers.join(','), String(WINDOW_MS), then], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the process of the views ended with ${String(code)}`);
  return JSON.parse(text) as Start;
}

/** What the views cost at a start: after a long history of many agents, and after a million uses of one grant. */
export async function measureViews(brokers: readonly string[], progress: (line: string) => void): Promise<Figure[]> {
  const figures: Figure[] = [];
  const bus = new KafkaBus({ brokers, topics: Object.values(TOPICS) });
  try {
    await bus.ensureTopics(Object.values(TOPICS));
    const empty = await startInProcess(brokers);
    const about = (name: string, from: Start, on: Start): void => {
      figures.push(
        figure(`${name}: start on from snapshots`, on.ms, 'ms', 'without a history', empty.ms),
        figure(`${name}: start without snapshots`, from.ms, 'ms', 'without a history', empty.ms),
        figure(`${name}: events read on from snapshots`, on.read, 'events', 'without snapshots', from.read),
        figure(`${name}: states kept`, on.states, 'states', 'without snapshots', from.states),
        figure(`${name}: heap`, on.heapMb, 'MB', 'without a history', empty.heapMb),
        figure(`${name}: resident memory`, on.residentMb, 'MB', 'without a history', empty.residentMb),
        figure(
          `${name}: resident memory without snapshots`,
          from.residentMb,
          'MB',
          'without a history',
          empty.residentMb,
        ),
      );
    };
    for (const [name, events] of [
      ['100,000 events', eventsOfMany()],
      ['a million uses', usesOfOne()],
    ] as const) {
      progress(`${name}: ${String(await publish(bus, events))} events published`);
      const from = await startInProcess(brokers, 'cut');
      about(name, from, await startInProcess(brokers));
    }
  } finally {
    await bus.close();
  }
  return figures;
}
