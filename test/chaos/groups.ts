import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosResult, ChaosScenario, ChaosTools, ScenarioGroup } from './scenario.js';
import type { Witness } from './witness.js';
import { startWorld, until, type World } from './world.js';

/** Every group consumes again so soon after the brokers are back. */
const PROMISED_MS = 30_000;
/** How long a scenario looks on before it says that a group has stopped for good. */
const PATIENCE_MS = 150_000;
const PER_SECOND = 40;
const BEFORE_MS = 3000;
const FREEZE_MS = 40_000;

/** What happens to the brokers. Resolves when all of them are back. */
type BrokerFault = (world: World) => Promise<void>;

function brokerFault(fault: string, brokers: 1 | 3, happens: BrokerFault): ChaosScenario {
  return {
    fault,
    async play(tools, times, done) {
      const world = await startWorld(tools, { brokers });
      try {
        for (let time = 0; time < times; time += 1) done(await playOnce(tools, world, happens));
      } finally {
        await world.close();
      }
    },
  };
}

async function playOnce(tools: ChaosTools, world: World, happens: BrokerFault): Promise<ChaosResult> {
  const { witness } = world;
  const say = (what: string): void => tools.progress(`${new Date().toISOString()} ${what}`);
  witness.beginRound();
  witness.begin(PER_SECOND);
  await sleep(BEFORE_MS);
  say('the fault begins');
  await happens(world);
  say('it is over');
  const { recoveryMs, broken } = await recovery(world);
  say('every group consumes');
  const testimony = await witness.settle(PATIENCE_MS);
  for (const lost of await witness.lostOnes()) say(`lost: ${lost}`);
  return { ...testimony, recoveryMs, broken, memoryBytes: await world.memoryBytes() };
}

async function recovery(world: World): Promise<{ recoveryMs: number | undefined; broken: string[] }> {
  const recoveryMs = await untilAllConsume(world, PATIENCE_MS);
  if (recoveryMs === undefined) {
    const seconds = String(PATIENCE_MS / 1000);
    return { recoveryMs, broken: [`${seconds} s after the brokers were back: ${await standstill(world)}`] };
  }
  if (recoveryMs <= PROMISED_MS) return { recoveryMs, broken: [] };
  return { recoveryMs, broken: [`it took ${(recoveryMs / 1000).toFixed(1)} s until every group consumed again`] };
}

/** From now: every process is ready, and every group has come as far as the log was a moment later. */
async function untilAllConsume(world: World, withinMs: number): Promise<number | undefined> {
  const { witness, apps } = world;
  const began = performance.now();
  const left = (): number => withinMs - (performance.now() - began);
  const acknowledged = witness.acknowledged();
  // something new for every partition, so that a group which only looks alive is found out
  if ((await until(() => Promise.resolve(witness.acknowledged() > acknowledged + 100), left())) === undefined) return;
  const targets = await targetsOf(witness, left());
  const reached = await until(async () => {
    const statuses = await Promise.all(apps.map((app) => app.readyStatus()));
    return statuses.every((status) => status === 200) && (await behind(witness, targets)).length === 0;
  }, left());
  return reached === undefined ? undefined : performance.now() - began;
}

type Targets = ReadonlyMap<string, ReadonlyMap<number, number>>;

const TOPICS = ['agent.actions', 'agent.decisions'];

async function targetsOf(witness: Witness, withinMs: number): Promise<Targets> {
  const targets = new Map<string, ReadonlyMap<number, number>>();
  await until(async () => {
    for (const topic of TOPICS) targets.set(topic, await witness.endsOf(topic));
    return true;
  }, withinMs);
  return targets;
}

/** Groups that have not come so far, as `group topic/partition`. */
async function behind(witness: Witness, targets: Targets): Promise<string[]> {
  const groups = (await witness.groups()).filter((group) => group.startsWith('remit.') && !group.includes('.view.'));
  if (groups.length === 0) return ['no group at all'];
  const late: string[] = [];
  for (const group of groups) {
    for (const [topic, committed] of await witness.committedOf(group)) {
      for (const [partition, target] of targets.get(topic) ?? []) {
        if (target > 0 && (committed.get(partition) ?? -1) < target)
          late.push(`${group} ${topic}/${String(partition)}`);
      }
    }
  }
  return late;
}

/** Who stands still, for whoever has to find out why. */
async function standstill({ witness, apps }: World): Promise<string> {
  const late = await targetsOf(witness, 5000)
    .then((targets) => behind(witness, targets))
    .catch((error: unknown) => [String(error)]);
  const checks = await Promise.all(
    apps.map(({ port }) =>
      fetch(`http://127.0.0.1:${String(port)}/readyz`).then(
        (answer) => answer.text(),
        (error: unknown) => String(error),
      ),
    ),
  );
  return `${late.slice(0, 8).join(', ') || 'no group is late'}; readyz ${checks.join(' ')}`;
}

async function killAndRestart(world: World, at: number, downMs: number): Promise<void> {
  const node = world.cluster.nodes[at];
  await node?.kill();
  await sleep(downMs);
  await node?.start();
}

async function freezeFirst({ cluster }: World): Promise<void> {
  const [node] = cluster.nodes;
  node?.freeze();
  await sleep(FREEZE_MS);
  node?.thaw();
}

/** The process itself dies without a word, and whoever watches it starts it again at once. */
const killedProcess: ChaosScenario = {
  fault: 'standalone kill -9, started again at once',
  async play(tools, times, done) {
    const world = await startWorld(tools, { brokers: 1 });
    try {
      for (let time = 0; time < times; time += 1) {
        const result = await playOnce(tools, world, async ({ apps }) => {
          await apps.shift()?.stop('SIGKILL');
          await world.startAnother();
        });
        done(result);
      }
    } finally {
      await world.close();
    }
  },
};

const firstStart: ChaosScenario = {
  fault: 'first start on a fresh cluster of three brokers',
  async play(tools, times, done) {
    for (let time = 0; time < times; time += 1) done(await startOnFreshCluster(tools));
  },
};

async function startOnFreshCluster(tools: ChaosTools): Promise<ChaosResult> {
  const world = await startWorld(tools, { brokers: 3 });
  try {
    return await playOnce(tools, world, () => Promise.resolve());
  } finally {
    await world.close();
  }
}

export const groups: ScenarioGroup = {
  about: 'brokers killed, frozen and restarted: does every consumer group consume again',
  scenarios: [
    brokerFault('broker kill -9, back at once', 1, (world) => killAndRestart(world, 0, 0)),
    brokerFault('broker kill -9, back after 3 s', 1, (world) => killAndRestart(world, 0, 3000)),
    brokerFault('broker frozen for 40 s (SIGSTOP)', 1, freezeFirst),
    brokerFault('two of three brokers killed in turn', 3, async (world) => {
      await killAndRestart(world, 0, 3000);
      await killAndRestart(world, 1, 3000);
    }),
    brokerFault('one of three brokers frozen for 40 s (SIGSTOP)', 3, freezeFirst),
    firstStart,
    killedProcess,
  ],
};
