import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type Admin } from 'kafkajs';
import { RemitAgent } from '#agent';
import { partitionOf } from '#bus';
import { DOOR_PREFIX, IDEMPOTENCY_HEADER, TOPICS } from '#contracts';
import { devToken, ensureDevKey } from '#service';
import type { ChaosResult, ChaosScenario, ScenarioGroup } from './scenario.js';
import { startWorld, until, type World } from './world.js';

const PER_SECOND = 40;
const BEFORE_MS = 3000;
const AFTER_MS = 5000;
const PATIENCE_MS = 120_000;
const ACTIONS = TOPICS.agentActions.name;
/** Who is granted, revoked and suspended beside the witness. */
const CLERK = 'clerk';
const PERMISSION = 'elevated';
const REASON = 'chaos';

/** The witness's charter, with an agent that needs a permission for one of its verbs. */
function charterWithClerk(witness: string): string {
  return [
    witness,
    `  ${CLERK}: { owner: chaos, purpose: chaos, scope: { actions: [read, unlock], systems: [ledger] } }`,
    'permissions:',
    `  ${PERMISSION}: { required_for: { actions: [unlock] }, max_duration: 1h, approvals: { count: 1, role: security } }`,
  ].join('\n');
}

/** What people and an agent do in a scenario, and what must come of it. */
class People {
  readonly broken: string[] = [];

  private constructor(
    private readonly world: World,
    private readonly token: string,
  ) {}

  static async of(world: World): Promise<People> {
    const key = await ensureDevKey(world.stateFolder);
    const roles = ['security', 'governance'];
    return new People(world, await devToken(key, { person: 'sam', roles, now: Date.now(), lifetimeMs: 3_600_000 }));
  }

  /** Sends again what is answered with 503, under the same key, as the guide asks of people's tools. */
  async ask<Answer>(method: string, path: string, body?: object): Promise<Answer> {
    const key = randomUUID();
    const giveUpAt = performance.now() + PATIENCE_MS;
    for (;;) {
      const reply = await this.#send(method, path, key, body);
      const text = await reply.text();
      if (reply.ok) return JSON.parse(text) as Answer;
      if (reply.status !== 503 || performance.now() > giveUpAt)
        throw new Error(`${method} ${path} was answered with ${String(reply.status)}: ${text}`);
      await sleep(1000);
    }
  }

  #send(method: string, path: string, key: string, body: object | undefined): Promise<Response> {
    return fetch(`${this.#url()}${DOOR_PREFIX}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(method === 'GET' ? {} : { [IDEMPOTENCY_HEADER]: key }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Returns the id of the grant. */
  async grant(): Promise<string> {
    const body = { permission: PERMISSION, durationMs: 3_600_000, reason: REASON };
    const { events } = await this.ask<{ events: [{ grantId: string }] }>('POST', `agents/${CLERK}/grants`, body);
    return events[0].grantId;
  }

  async revoke(grantId: string): Promise<void> {
    await this.ask('DELETE', `agents/${CLERK}/grants/${encodeURIComponent(grantId)}?reason=${REASON}`);
  }

  async suspend(): Promise<void> {
    await this.ask('PUT', `agents/${CLERK}/suspension`, { reason: REASON });
  }

  /** Proposes as the clerk, through the SDK. */
  async expect(outcome: 'allow' | 'deny', type: 'read' | 'unlock', when: string): Promise<void> {
    const agent = await RemitAgent.connect({
      ...{ agentId: CLERK, brokers: this.world.cluster.addresses, timeoutMs: PATIENCE_MS },
    });
    try {
      const answer = await agent.propose({ type, target: 'ledger' });
      if (answer.outcome !== outcome || answer.code !== undefined)
        this.broken.push(`${type} ${when}: ${answer.outcome}, and not ${outcome}: ${answer.because.join('; ')}`);
    } finally {
      await agent.close();
    }
  }

  /** `/readyz` says what is missing, and `remit_log_discrepancies` counts it. */
  async isTold(sentence: string): Promise<boolean> {
    const ready = await fetch(`${this.#url()}/readyz`);
    const metrics = await (await fetch(`${this.#url()}/metrics`)).text();
    const isCounted = /^remit_log_discrepancies\{[^}]*\} [1-9]/m.test(metrics);
    return ready.status === 503 && (await ready.text()).includes(sentence) && isCounted;
  }

  async isReady(): Promise<boolean> {
    return (await fetch(`${this.#url()}/readyz`)).ok;
  }

  /** Takes note of everything that is open. Returns how many that were. */
  async acknowledge(): Promise<number> {
    const { discrepancies } = await this.ask<{ discrepancies: { id: string }[] }>('GET', 'log/discrepancies');
    for (const { id } of discrepancies)
      await this.ask('POST', `log/discrepancies/${id}/acknowledgement`, { reason: REASON });
    return discrepancies.length;
  }

  #url(): string {
    return `http://127.0.0.1:${String(this.world.apps.at(-1)?.port)}`;
  }
}

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

/** Publishes for so long, and waits until everything has its decision. */
async function publishFor(world: World, ms: number): Promise<void> {
  world.witness.begin(PER_SECOND);
  await sleep(ms);
  await world.witness.settle(PATIENCE_MS);
}

/** The database is set back to before a grant and some hundred intents, while Remit is stopped or while it runs. */
async function playRestored(world: World, whileRunning: boolean): Promise<ChaosResult> {
  const { witness } = world;
  const people = await People.of(world);
  witness.beginRound();
  await publishFor(world, BEFORE_MS);
  await stopAll(world);
  await world.database.backUp();
  await world.startAnother();
  const grantId = await until(() => people.isReady(), PATIENCE_MS).then(() => people.grant());
  await people.expect('allow', 'unlock', 'before the restoration');
  await publishFor(world, AFTER_MS);
  // the witness's, and the one of the clerk
  const all = witness.acknowledged() + 1;
  await until(async () => (await recorded(world)) >= all, PATIENCE_MS);
  if (!whileRunning) await stopAll(world);
  await world.database.restore();
  if (!whileRunning) await world.startAnother();
  const recoveryMs = await until(async () => (await recorded(world)) >= all, PATIENCE_MS);
  if (recoveryMs === undefined)
    people.broken.push(`the audit log holds ${String(await recorded(world))} intents, the log ${String(all)}`);
  await people.expect('allow', 'unlock', 'after the restoration');
  await people.revoke(grantId);
  await people.expect('deny', 'unlock', 'after its grant was revoked');
  const testimony = await witness.settle(PATIENCE_MS);
  return { ...testimony, recoveryMs, broken: people.broken, memoryBytes: await world.memoryBytes() };
}

async function playCut(world: World): Promise<ChaosResult> {
  const { witness } = world;
  const people = await People.of(world);
  witness.beginRound();
  await publishFor(world, BEFORE_MS);
  const judged = witness.acknowledged();
  await stopAll(world);
  witness.begin(PER_SECOND);
  await sleep(AFTER_MS);
  await witness.pause();
  const unread = witness.acknowledged() - judged;
  await cutToTheEnd(world, ACTIONS);
  await world.startAnother();
  const told = await until(() => people.isTold('were deleted from the log'), PATIENCE_MS);
  if (told === undefined) people.broken.push('messages were deleted unread, and nobody was told');
  // what was deleted unread can never be decided: waiting for it would say nothing
  const { lost, ...testimony } = await witness.settle(0);
  if (lost !== unread)
    people.broken.push(`${String(unread)} intents were deleted unread, and ${String(lost)} have no decision`);
  const isGood = async (): Promise<boolean> => {
    // readers that come later find it later
    await people.acknowledge();
    return people.isReady();
  };
  if ((await until(isGood, PATIENCE_MS)) === undefined)
    people.broken.push('everything was acknowledged, and the process is not ready');
  await people.expect('allow', 'read', 'after the acknowledgement');
  return { ...testimony, lost: 0, recoveryMs: told, broken: people.broken, memoryBytes: await world.memoryBytes() };
}

/** What is cut away everybody had read: one of it was a suspension. */
async function playControlTopicCut(world: World): Promise<ChaosResult> {
  const { witness } = world;
  const people = await People.of(world);
  witness.beginRound();
  await people.suspend();
  await people.expect('deny', 'read', 'of a suspended agent');
  await publishFor(world, BEFORE_MS);
  await stopAll(world);
  await cutToTheEnd(world, TOPICS.permissionEvents.name);
  await world.startAnother();
  const told = await until(() => people.isTold('views are built from them'), PATIENCE_MS);
  if (told === undefined) people.broken.push('permission events were deleted, and nobody was told');
  const asked = people.expect('deny', 'read', 'while it was in doubt who is suspended');
  await sleep(BEFORE_MS);
  await people.acknowledge();
  await asked;
  await people.expect('deny', 'read', 'of a suspended agent after the acknowledgement');
  await publishFor(world, BEFORE_MS);
  const testimony = await witness.settle(PATIENCE_MS);
  return { ...testimony, recoveryMs: told, broken: people.broken, memoryBytes: await world.memoryBytes() };
}

/** Consumer groups forget where they were, and judge everything again. */
async function playOffsetsDeleted(world: World): Promise<ChaosResult> {
  const { witness } = world;
  const people = await People.of(world);
  witness.beginRound();
  const grantId = await people.grant();
  await people.expect('allow', 'unlock', 'before the offsets were deleted');
  await publishFor(world, BEFORE_MS);
  await stopAll(world);
  const groups = (await witness.groups()).filter((group) => group.startsWith('remit.'));
  await withAdmin(world, (admin) => admin.deleteGroups(groups));
  await world.startAnother();
  const recoveryMs = await until(() => people.isReady(), PATIENCE_MS);
  if (recoveryMs === undefined) people.broken.push('the process is not ready');
  await people.revoke(grantId);
  await people.expect('deny', 'unlock', 'after its grant was revoked');
  await publishFor(world, BEFORE_MS);
  if ((await people.acknowledge()) > 0) people.broken.push('deleted offsets were taken for a lost log');
  const testimony = await witness.settle(PATIENCE_MS);
  return { ...testimony, recoveryMs, broken: people.broken, memoryBytes: await world.memoryBytes() };
}

async function withAdmin<Result>(world: World, work: (admin: Admin) => Promise<Result>): Promise<Result> {
  const admin = new kafkajs.Kafka({
    brokers: [...world.cluster.addresses],
    logLevel: kafkajs.logLevel.NOTHING,
  }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Deletes everything that lies on a topic, read or not; of permission events only those of the clerk's partition. */
async function cutToTheEnd(world: World, topic: string): Promise<void> {
  const ends = await world.witness.endsOf(topic);
  const clerks = partitionOf(CLERK, TOPICS.permissionEvents.partitions);
  const partitions = [...ends]
    .filter(([partition]) => topic === ACTIONS || partition === clerks)
    .map(([partition, offset]) => ({ partition, offset: String(offset) }));
  await withAdmin(world, async (admin) => {
    // deleting needs to know the leaders, and does not ask for them itself
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions });
  });
}

function scenario(fault: string, playOnce: (world: World) => Promise<ChaosResult>): ChaosScenario {
  return {
    fault,
    async play(tools, times, done) {
      for (let time = 0; time < times; time += 1) {
        // a world of its own each time: what was found stays found
        const world = await startWorld(tools, { brokers: 1, charter: charterWithClerk });
        try {
          done(await playOnce(world));
        } finally {
          await world.close();
        }
      }
    },
  };
}

/** "recovery" is the time until the audit log is whole, until somebody is told, or until the process is ready again. */
export const restore: ScenarioGroup = {
  about: 'databases set back and logs cut: is nothing lost silently',
  scenarios: [
    scenario('PostgreSQL restored from a backup that is older than the log', (world) => playRestored(world, false)),
    scenario('PostgreSQL restored under a running process', (world) => playRestored(world, true)),
    scenario('the log cut beyond what was read while Remit was down', playCut),
    scenario('permission events cut that everybody had read, a suspension among them', playControlTopicCut),
    scenario('the offsets of all consumer groups deleted', playOffsetsDeleted),
  ],
};
