import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import type { ChaosResult, ChaosScenario, ScenarioGroup } from './scenario.js';
import { startWorld, until, type World } from './world.js';

const PER_SECOND = 40;
const BEFORE_MS = 3000;
const AFTER_MS = 5000;
const PATIENCE_MS = 120_000;
const ACTIONS = 'agent.actions';

async function stopAll(world: World): Promise<void> {
  await Promise.all(world.apps.splice(0).map((app) => app.stop()));
}

/** Intents that the audit log holds. */
async function recorded(world: World): Promise<number> {
  const [row] = await world.database.query(
    'SELECT count(*)::int AS count FROM record.history WHERE topic = $1 AND gap_until IS NULL',
    [ACTIONS],
  );
  return Number(row?.['count'] ?? 0);
}

async function playRestored(world: World): Promise<ChaosResult> {
  const { witness } = world;
  witness.beginRound();
  const before = await recorded(world);
  witness.begin(PER_SECOND);
  await sleep(BEFORE_MS);
  await witness.settle(PATIENCE_MS);
  await stopAll(world);
  await world.database.backUp();
  await world.startAnother();
  witness.begin(PER_SECOND);
  await sleep(AFTER_MS);
  await witness.settle(PATIENCE_MS);
  const acknowledged = before + witness.acknowledged();
  await until(async () => (await recorded(world)) >= acknowledged, PATIENCE_MS);
  await stopAll(world);
  await world.database.restore();
  await world.startAnother();
  const recoveryMs = await until(async () => (await recorded(world)) >= acknowledged, PATIENCE_MS);
  const testimony = await witness.settle(PATIENCE_MS);
  const held = await recorded(world);
  const broken =
    recoveryMs === undefined ? [`the audit log holds ${String(held)} intents, the log ${String(acknowledged)}`] : [];
  return { ...testimony, recoveryMs, broken, memoryBytes: await world.memoryBytes() };
}

async function playCut(world: World): Promise<ChaosResult> {
  const { witness } = world;
  witness.beginRound();
  witness.begin(PER_SECOND);
  await sleep(BEFORE_MS);
  await witness.settle(PATIENCE_MS);
  const judged = witness.acknowledged();
  await stopAll(world);
  witness.begin(PER_SECOND);
  await sleep(AFTER_MS);
  await witness.pause();
  const unread = witness.acknowledged() - judged;
  await deleteAll(world);
  const app = await world.startAnother();
  const told = await until(async () => {
    const answer = await fetch(`http://127.0.0.1:${String(app.port)}/readyz`);
    return answer.status === 503 && (await answer.text()).includes('were deleted from the log');
  }, PATIENCE_MS);
  // what was deleted unread can never be decided: waiting for it would say nothing
  const { lost, ...testimony } = await witness.settle(0);
  const broken = told === undefined ? ['messages were deleted unread, and nobody was told'] : [];
  if (lost !== unread)
    broken.push(`${String(unread)} intents were deleted unread, and ${String(lost)} have no decision`);
  return { ...testimony, lost: 0, recoveryMs: told, broken, memoryBytes: await world.memoryBytes() };
}

/** Deletes everything that lies on `agent.actions`, read or not. */
async function deleteAll(world: World): Promise<void> {
  const ends = await world.witness.endsOf(ACTIONS);
  const admin = new kafkajs.Kafka({
    brokers: [...world.cluster.addresses],
    logLevel: kafkajs.logLevel.NOTHING,
  }).admin();
  await admin.connect();
  try {
    // deleting needs to know the leaders, and does not ask for them itself
    await admin.fetchTopicOffsets(ACTIONS);
    const partitions = [...ends].map(([partition, offset]) => ({ partition, offset: String(offset) }));
    await admin.deleteTopicRecords({ topic: ACTIONS, partitions });
  } finally {
    await admin.disconnect();
  }
}

function scenario(fault: string, playOnce: (world: World) => Promise<ChaosResult>): ChaosScenario {
  return {
    fault,
    async play(tools, times, done) {
      for (let time = 0; time < times; time += 1) {
        // a world of its own each time: what was found stays found
        const world = await startWorld(tools, { brokers: 1 });
        try {
          done(await playOnce(world));
        } finally {
          await world.close();
        }
      }
    },
  };
}

export const restore: ScenarioGroup = {
  about: 'databases set back and logs cut: is nothing lost silently',
  scenarios: [
    scenario('PostgreSQL restored from a backup that is older than the log', playRestored),
    scenario('the log cut beyond what was read while Remit was down', playCut),
  ],
};
