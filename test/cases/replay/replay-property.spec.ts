import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MemoryBus, MemoryLog, type Batch, type ReceivedMessage, type ResultMessage } from '#bus';
import { EVENTS, readEvent, sha256, TOPICS, writeEvent, type EventDeclaration } from '#contracts';
import {
  canonicalJson,
  checkCharter,
  decideAgain,
  heldRequestId,
  LAYERS,
  permissionEventSchema,
  type Charter,
  type Decision,
  type Intent,
  type Layer,
  type SaidCause,
  type WhyNot,
} from '#domain';
import { MemoryHistory, recordedDecisions, replayRecord } from '#record';
import { CHARTER_KEY, createSegment, createViews, type ReserveUse, type SegmentOptions } from '#segment';
import { readTopic } from '#testing';

const ENGINE = 'remit/property';
const START = Date.UTC(2026, 10, 3, 12);
const AGENTS = ['ann', 'bob'] as const;
const DIGEST = 'd'.repeat(64);

const agentId = fc.constantFrom(...AGENTS);
const ms = fc.integer({ min: -2000, max: 4000 });

const charter = fc.record({
  stage: fc.constantFrom('enforce', 'enforce', 'enforce', 'observe'),
  never: fc.constantFrom('delete', 'read'),
  max: fc.integer({ min: 1, max: 20 }),
  standing: fc.subarray(['lift', 'extra']),
  extends: fc.boolean(),
  mode: fc.constantFrom('off', 'shadow', 'enforce'),
  condition: fc.constantFrom(
    'action.containsPii',
    'action.environment == "production"',
    'context.localHour > 12',
    'int(action.parameters.amount) > 10',
  ),
  timezone: fc.constantFrom('UTC', 'Asia/Kolkata', 'America/New_York'),
  ttl: fc.constantFrom('1s', '30s'),
});

function textOf(drawn: typeof charter extends fc.Arbitrary<infer Drawn> ? Drawn : never): string {
  return JSON.stringify({
    charter: 'property',
    stage: drawn.stage,
    decision_ttl: drawn.ttl,
    timezone: drawn.timezone,
    classifications: ['public', 'internal', 'secret', 'top'],
    systems: {
      desk: { classification: 'internal' },
      ledger: { classification: 'secret', environment: 'production' },
    },
    boundaries: [
      { id: 'verbs', never: [drawn.never] },
      { id: 'limit', actions: ['pay'], parameter: 'amount', max: drawn.max },
      { id: 'class', max: 'secret' },
    ],
    agents: {
      ann: { owner: 'office', scope: { actions: ['*'], systems: ['desk'] }, permissions: drawn.standing },
      bob: { scope: { actions: ['pay', 'read'], systems: ['*'] } },
    },
    permissions: {
      lift: { required_for: { actions: ['pay'] } },
      extra: drawn.extends ? { extends_scope: { actions: ['*'], systems: ['*'] } } : {},
      change: { approvals: { count: 1, role: 'operations' } },
    },
    policies: [
      {
        id: 'conditional',
        severity: 'critical',
        violated_when: drawn.condition,
        effect: 'hold',
        unless_granted: 'change',
        reason: 'a person has to look',
      },
      { id: 'mild', severity: 'non_critical', violated_when: 'context.hasCause', effect: 'deny', reason: 'caused' },
    ],
    rollout: { non_critical: drawn.mode },
  });
}

const grant = fc.record({
  event: fc.constant('PermissionGranted' as const),
  permission: fc.constantFrom('lift', 'lift', 'extra', 'change'),
  uses: fc.constantFrom(null, 1, 1, 2),
  ends: ms,
  approvedBy: fc.constantFrom(['paula'], ['olga']),
  constraints: fc.constantFrom(
    {},
    {},
    { target: 'desk' },
    { parameters: { amount: 5 } },
    { chainId: 'c' },
    { provenFrom: 'ann' },
  ),
});
const change = fc.oneof(
  { weight: 5, arbitrary: grant },
  { weight: 1, arbitrary: fc.record({ event: fc.constant('AgentSuspended' as const) }) },
  { weight: 2, arbitrary: fc.record({ event: fc.constant('AgentReinstated' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      event: fc.constantFrom('PermissionRevoked' as const, 'PermissionReserved' as const, 'lost' as const),
      which: fc.nat(3),
    }),
  },
);

const action = fc.record(
  {
    type: fc.constantFrom('pay', 'pay', 'read', 'delete', 'update'),
    target: fc.constantFrom('desk', 'desk', 'ledger', 'nowhere'),
    parameters: fc.record(
      { amount: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.constant('much')), note: fc.constant('mail a@b.example') },
      { requiredKeys: [] },
    ),
    destination: fc.constantFrom('desk', 'ledger', 'x.example'),
    dataClassification: fc.constantFrom('public', 'secret', 'unheard-of'),
    environment: fc.constantFrom('production', 'test'),
    containsPii: fc.boolean(),
  },
  { requiredKeys: ['type', 'target'] },
);

const step = fc.oneof(
  { weight: 1, arbitrary: fc.record({ charter }) },
  { weight: 3, arbitrary: fc.record({ agentId, change }) },
  {
    weight: 6,
    arbitrary: fc.record({
      agentId,
      action,
      onBehalfOf: fc.constantFrom(undefined, 'paula'),
      cause: fc.constantFrom(undefined, 'claimed', 'proven', 'forged'),
      /** The clock stands still, so that some share a millisecond; or goes back, as clocks do. */
      tick: fc.constantFrom(0, 1, 1, 5, -3),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer Drawn> ? Drawn : never;

const ends = fc.constantFrom('PermissionGranted', 'PermissionRejected', 'PermissionRequestExpired', 'open');
const WHY: readonly (WhyNot | undefined)[] = [undefined, 'no use left', 'revoked', 'sent twice'];

/** Which uses could be reserved is chance here; like the store, it has one answer for one question. */
const reserve: ReserveUse = ({ grantId, intentId, round }) =>
  Promise.resolve(WHY[Number.parseInt(sha256(`${grantId}${intentId}${String(round)}`).slice(0, 4), 16) % WHY.length]);

/** One log, one clock, and the judges, called by hand so that nothing has to be waited for. */
class World {
  now = START;
  readonly bus = new MemoryBus(new MemoryLog(() => this.now));
  readonly charters = new Map<string, Charter>();
  readonly #versions = new Map<string, number>();
  readonly #grants = new Map<string, string[]>();

  async put<Data>(declaration: EventDeclaration<Data>, topic: string, key: string, data: Data): Promise<void> {
    const event = writeEvent(declaration, { id: `${topic}-${key}`, source: '/test', subject: key, data });
    await this.bus.publish([{ topic, key, ...event }]);
  }

  async activate(drawn: Extract<Step, { charter: unknown }>['charter']): Promise<void> {
    const text = textOf(drawn);
    const checked = checkCharter(text, sha256);
    if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
    const { name, digest } = checked.charter;
    this.charters.set(digest, checked.charter);
    const data = { event: 'CharterActivated' as const, charter: name, digest, text, activatedBy: 'ann' };
    await this.put(EVENTS.charterEvent, TOPICS.charterEvents.name, CHARTER_KEY, data);
    this.now += 1;
  }

  async happen(agent: string, fields: Record<string, unknown>, skip = 0): Promise<void> {
    const version = (this.#versions.get(agent) ?? 0) + 1 + skip;
    this.#versions.set(agent, version);
    const at = new Date(this.now).toISOString();
    const fact = { agentId: agent, version, commandId: `c${String(version)}`, at, by: 'sam', reason: 'a test' };
    await this.put(
      EVENTS.permissionEvent,
      TOPICS.permissionEvents.name,
      agent,
      permissionEventSchema.parse({ ...fact, ...fields }),
    );
    this.now += 1;
  }

  async change(agent: string, drawn: Extract<Step, { change: unknown }>['change']): Promise<void> {
    const grants = this.#grants.get(agent) ?? [];
    if (drawn.event === 'PermissionGranted') {
      const { ends: left, ...rest } = drawn;
      const grantId = `g${String(grants.length + 1)}`;
      this.#grants.set(agent, [...grants, grantId]);
      const expiresAt = new Date(this.now + left).toISOString();
      return this.happen(agent, { ...rest, grantId, expiresAt, charterDigest: DIGEST });
    }
    if (!('which' in drawn)) return this.happen(agent, drawn);
    if (drawn.event === 'lost') return this.happen(agent, { event: 'AgentReinstated' }, 1);
    const grantId = grants[drawn.which] ?? 'g1';
    const use = { intentId: intentIdOf(999), actionDigest: DIGEST };
    return this.happen(agent, { event: drawn.event, grantId, ...(drawn.event === 'PermissionReserved' ? use : {}) });
  }

  /** Decides everything on `agent.actions` from an offset on, in one process or in four. */
  async decide(from: ReadonlyMap<number, number>, shape: readonly (readonly Layer[])[]): Promise<Decision[]> {
    const views = createViews(this.bus);
    await views.start();
    try {
      let messages = (await readTopic(this.bus, TOPICS.agentActions.name)).filter(
        ({ partition, offset }) => offset >= (from.get(partition) ?? 0),
      );
      for (const layers of shape) {
        const segment = createSegment({ layers, engine: ENGINE, viewWaitMs: 60_000, reserve, verifyProof }, views);
        const results: ResultMessage[] = [];
        for (const batch of batchesOf(messages)) results.push(...(await segment(batch)).publish);
        const published = await this.bus.publish(results);
        const places = new Set(published.map(({ topic, partition, offset }) => `${topic}/${partition}/${offset}`));
        messages = (await readTopic(this.bus, results[0]?.topic ?? TOPICS.agentDecisions.name)).filter(
          ({ topic, partition, offset }) => places.has(`${topic}/${partition}/${offset}`),
        );
      }
      return messages.flatMap((message) => {
        const reading = readEvent(EVENTS.decision, message);
        return reading.ok ? [reading.event.data] : [];
      });
    } finally {
      await views.stop();
    }
  }

  async record(): Promise<MemoryHistory> {
    const history = new MemoryHistory();
    for (const { name } of Object.values(TOPICS)) await history.append(await readTopic(this.bus, name));
    return history;
  }
}

function batchesOf(messages: readonly ReceivedMessage[]): Batch[] {
  return [...Map.groupBy(messages, ({ partition }) => partition)].map(([partition, all]) => ({
    topic: all[0]?.topic ?? '',
    partition,
    messages: all,
    readFrom: 0,
    heartbeat: () => Promise.resolve(),
  }));
}

function intentIdOf(index: number): string {
  return `01900000-0000-7000-8000-${index.toString(16).padStart(12, '0')}`;
}

function causeOf(how: 'claimed' | 'proven' | 'forged'): SaidCause {
  const cause = { agentId: 'ann', intentId: intentIdOf(0) };
  return how === 'claimed' ? cause : { ...cause, proof: { decision: how, signature: 'signed' } };
}

/** Keys and signatures are another spec's: here a proof holds or does not. */
const verifyProof: SegmentOptions['verifyProof'] = ({ decision }, cause) =>
  decision === 'proven' ? ({ ...cause, outcome: 'allow', chainId: 'c', stamp: {} } as Decision) : undefined;

/** Plays the steps, then a second round for everything that was held. */
async function playAndRecord(
  steps: readonly Step[],
  end: string,
  shape: readonly (readonly Layer[])[],
): Promise<{ history: MemoryHistory; decisions: Decision[] }> {
  const world = new World();
  await world.bus.ensureTopics(Object.values(TOPICS));
  const intents = new Map<string, Intent>();
  for (const [index, one] of steps.entries()) {
    if ('charter' in one) await world.activate(one.charter);
    else if ('change' in one) await world.change(one.agentId, one.change);
    else {
      world.now += one.tick;
      const intentId = intentIdOf(index);
      const intent = {
        intentId,
        agentId: one.agentId,
        action: one.action,
        ...(one.onBehalfOf === undefined ? {} : { onBehalfOf: one.onBehalfOf }),
        ...(one.cause === undefined ? {} : { chainId: 'c', cause: causeOf(one.cause) }),
      };
      intents.set(intentId, intent);
      await world.put(EVENTS.intent, TOPICS.agentActions.name, one.agentId, intent);
    }
  }
  world.now += 1;
  const first = await world.decide(new Map(), shape);
  const next = new Map<number, number>();
  for (const { partition, offset } of await readTopic(world.bus, TOPICS.agentActions.name)) {
    next.set(partition, offset + 1);
  }
  for (const held of first.filter(({ outcome }) => outcome === 'hold')) await secondRound(world, held, end, intents);
  const second = await world.decide(next, shape);
  const history = await world.record();
  await world.bus.close();
  return { history, decisions: [...first, ...second] };
}

async function secondRound(
  world: World,
  holding: Decision,
  end: string,
  intents: ReadonlyMap<string, Intent>,
): Promise<void> {
  const { agentId: agent, intentId, intentDigest, decisionId, chainId, action: decided, stamp } = holding;
  const requestId = heldRequestId(decisionId);
  const charterDigest = stamp.charter.digest ?? DIGEST;
  const expiresAt = new Date(world.now + 60_000).toISOString();
  const constraints = { actionDigest: decided.digest, chainId };
  const intent = intents.get(intentId);
  const charter = world.charters.get(charterDigest);
  if (intent === undefined || intentDigest === undefined || charter === undefined)
    throw new Error('a decision on nothing');
  const { digest: actionDigest, ...told } = decided;
  const needs = [{ permission: 'change', approvals: { count: 1, role: 'operations' } }];
  const rules = ['conditional'];
  const where = { intentId, decisionId, chainId, source: stamp.source };
  const held = { ...where, actionDigest, intentDigest, rules, action: told };
  const basis = charter.basisOf(agent, { needs, constraints, held });
  await world.happen(agent, {
    ...{ event: 'PermissionRequested', requestId, durationMs: 60_000, uses: 1, constraints, charterDigest, expiresAt },
    ...{ basis, needs, held },
  });
  if (end === 'PermissionGranted') {
    const granted = { grantId: `${requestId}#1`, permission: 'change', approvedBy: ['olga'], uses: 1 };
    await world.happen(agent, { event: end, requestId, constraints, charterDigest, expiresAt, ...granted });
  } else if (end !== 'open') await world.happen(agent, { event: end, requestId });
  await world.put(EVENTS.resubmittedIntent, TOPICS.agentActions.name, agent, {
    intent,
    round: 2,
    requestId,
  });
  world.now += 1;
}

describe('promise 5: judging again from the recorded facts', () => {
  it('gives the same RFC 8785 body, whatever was intended, granted, reserved, approved and in force', async () => {
    const shapes = fc.constantFrom<readonly (readonly Layer[])[]>(
      [LAYERS],
      LAYERS.map((layer) => [layer]),
    );
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        charter,
        fc.array(step, { minLength: 4, maxLength: 30 }),
        ends,
        shapes,
        async (first, steps, end, shape) => {
          const { history, decisions } = await playAndRecord([{ charter: first }, ...steps], end, shape);
          for (const { round, outcome, stamp } of decisions) {
            seen.add(`${String(round)} ${outcome}`);
            seen.add(`cause ${stamp.cause?.standing ?? 'none'}`);
          }
          let replayed = 0;
          for await (const page of recordedDecisions(history, {})) {
            for (const one of page) {
              if ('missing' in one) throw new Error(one.missing);
              replayed += 1;
              const { decision } = one.recorded;
              expect(canonicalJson(decideAgain(one.recorded, ENGINE, sha256))).toBe(canonicalJson(decision));
            }
          }
          expect(replayed).toBe(decisions.length);
          const report = await replayRecord(history, {}, { engine: ENGINE, sha256 });
          expect([report.identical, report.differing]).toEqual([decisions.length, 0]);
        },
      ),
      // one seed, so that what has been seen is the same in every run
      { numRuns: 60, seed: 1 },
    );
    expect([...seen].sort()).toEqual([
      ...['1 allow', '1 deny', '1 hold', '2 allow', '2 deny'],
      ...['cause claimed', 'cause none', 'cause proven'],
    ]);
  });
});
