import kafkajs from 'kafkajs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import { DOOR_PREFIX, EVENTS, TOPICS, writeEvent } from '#contracts';
import { devToken, ensureDevKey } from '#service';
import type { ChaosScenario, ScenarioGroup } from './scenario.js';
import { startWorld, type World } from './world.js';

/** A suspension is acknowledged so soon at the 99th percentile, ms. */
const PROMISED_MS = 1000;
const FLOODED_MS = 20_000;
const FLOODING = Array.from({ length: 8 }, (_, index) => `flood-${String(index)}`);
const SUSPENDED = Array.from({ length: 100 }, (_, index) => `calm-${String(index)}`);
/** Of each flooding agent, ten times a second. */
const REQUESTS_AT_ONCE = 40;
const INTENTS_AT_ONCE = 10;
const PER_SECOND = 20;
const PATIENCE_MS = 120_000;

const agent = (id: string): string =>
  `  ${id}: { owner: chaos, purpose: chaos, scope: { actions: [read, wipe], systems: [ledger] } }`;

/** The witness's charter, with agents that flood, agents to suspend, and something to ask for. */
function floodCharter(witness: string): string {
  return [
    witness,
    ...[...FLOODING, ...SUSPENDED].map(agent),
    'permissions:',
    '  elevated: { max_duration: 1h, approvals: { count: 1, role: security } }',
  ].join('\n');
}

function request(agentId: string) {
  const id = uuidv7();
  const data = {
    ask: 'RequestPermission' as const,
    ...{ agentId, id, reason: 'more, please', needs: ['elevated'] },
    ...{ durationMs: 60_000, uses: 1, waitMs: 3_600_000 },
  };
  const { value, headers } = writeEvent(EVENTS.permissionRequest, { id, source: '/chaos', subject: agentId, data });
  return { key: agentId, value, headers };
}

function intent(agentId: string) {
  const data = { intentId: uuidv7(), agentId, action: { type: 'read', target: 'ledger' } };
  const { value, headers } = writeEvent(EVENTS.intent, { id: data.intentId, source: '/chaos', subject: agentId, data });
  return { key: agentId, value, headers };
}

/** Every flooding agent asks, and intends, until told to stop. How much was appended. */
async function flood(brokers: readonly string[], signal: AbortSignal): Promise<{ requests: number; intents: number }> {
  const kafka = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await producer.connect();
  const counts = { requests: 0, intents: 0 };
  while (!signal.aborted) {
    const requests = FLOODING.flatMap((id) => Array.from({ length: REQUESTS_AT_ONCE }, () => request(id)));
    const intents = FLOODING.flatMap((id) => Array.from({ length: INTENTS_AT_ONCE }, () => intent(id)));
    await producer.sendBatch({
      topicMessages: [
        { topic: TOPICS.permissionRequests.name, messages: requests },
        { topic: TOPICS.agentActions.name, messages: intents },
      ],
    });
    counts.requests += requests.length;
    counts.intents += intents.length;
    await sleep(100);
  }
  await producer.disconnect();
  return counts;
}

async function cpuSeconds(world: World): Promise<number> {
  let ticks = 0;
  for (const { process } of world.apps) {
    const stat = await readFile(`/proc/${String(process.pid)}/stat`, 'utf8').catch(() => '');
    const [, , , , , , , , , , , user = 0, system = 0] = stat
      .slice(stat.lastIndexOf(')') + 1)
      .split(' ')
      .map(Number);
    ticks += user + system;
  }
  return ticks / 100;
}

async function suspend(world: World, token: string, agentId: string): Promise<{ ms: number; status: number }> {
  const [app] = world.apps;
  const began = performance.now();
  const reply = await fetch(`http://127.0.0.1:${String(app?.port)}${DOOR_PREFIX}agents/${agentId}/suspension`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'chaos' }),
  });
  await reply.text();
  return { ms: performance.now() - began, status: reply.status };
}

const agentsFlood: ChaosScenario = {
  fault: 'eight agents flood requests and intents while a hundred others are suspended',
  async play(tools, times, done) {
    for (let time = 0; time < times; time += 1) {
      const world = await startWorld(tools, {
        brokers: 1,
        charter: floodCharter,
        env: { REMIT_DOOR_PER_MINUTE: '10000' },
      });
      const { witness } = world;
      try {
        const key = await ensureDevKey(world.stateFolder);
        const token = await devToken(key, {
          person: 'sam',
          roles: ['security'],
          now: Date.now(),
          lifetimeMs: 3_600_000,
        });
        witness.beginRound();
        witness.begin(PER_SECOND);
        const stop = new AbortController();
        const cpuBefore = await cpuSeconds(world);
        const flooding = flood(world.cluster.addresses, stop.signal);
        await sleep(3000);
        const took: number[] = [];
        const broken: string[] = [];
        for (const agentId of SUSPENDED) {
          const { ms, status } = await suspend(world, token, agentId);
          took.push(ms);
          if (status !== 200) broken.push(`suspending ${agentId} was answered with ${String(status)}`);
          await sleep(Math.max(0, FLOODED_MS / SUSPENDED.length - ms));
        }
        stop.abort();
        const counts = await flooding;
        const cpu = (await cpuSeconds(world)) - cpuBefore;
        took.sort((one, other) => one - other);
        const at = (share: number): number => Math.round(took[Math.ceil(took.length * share) - 1] ?? Infinity);
        if (at(0.99) > PROMISED_MS) broken.push(`suspending took ${String(at(0.99))} ms at p99`);
        const stored = await world.database.query(
          'SELECT stream, version FROM event_store.stream WHERE version > 100 ORDER BY stream',
        );
        for (const { stream, version } of stored)
          broken.push(`${String(version)} events of ${String(stream)} are stored`);
        const testimony = await witness.settle(PATIENCE_MS);
        tools.progress(
          `${String(counts.requests)} requests, ${String(counts.intents)} intents; acknowledged after p50 ${String(at(0.5))} ms, ` +
            `p99 ${String(at(0.99))} ms; ${cpu.toFixed(1)} s of CPU`,
        );
        done({ ...testimony, recoveryMs: at(0.99), broken, memoryBytes: await world.memoryBytes() });
      } finally {
        await world.close();
      }
    }
  },
};

/** Agents that ask and intend without end. "recovery" is the time in which a suspension is acknowledged, p99. */
export const floods: ScenarioGroup = {
  about: 'agents that flood: is another agent suspended within a second',
  scenarios: [agentsFlood],
};
