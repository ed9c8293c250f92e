import { describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { createOutcomeHandler } from '#authority';
import { EVENTS, sha256, writeEvent } from '#contracts';
import {
  actionDigestOf,
  checkCharter,
  decide,
  decisionIdOf,
  type Charter,
  type Decision,
  type OutcomeReport,
  type Verdict,
} from '#domain';
import { Metrics } from '#telemetry';
import { readExposition, type ExposedSample } from '#testing';
import { ActionMetrics } from './action-metrics.js';

const CHARTER_TEXT = [
  'charter: metrics',
  'stage: enforce',
  'decision_ttl: 30s',
  'classifications: [public]',
  'systems: { reporting: { classification: public } }',
  'boundaries:',
  '  - { id: action-restriction, never: [drop, "purge_*"] }',
  'agents:',
  '  reporter: { owner: tests, purpose: report, scope: { actions: [read, "write_*"], systems: [reporting] } }',
].join('\n');

const JUDGED_AT = Date.UTC(2026, 10, 3, 12);
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';

function charter(): Charter {
  const checked = checkCharter(CHARTER_TEXT, sha256);
  if (!checked.ok) throw new Error(JSON.stringify(checked));
  return checked.charter;
}

const DENIED: Verdict = {
  layer: 'boundary',
  findings: [
    { rule: 'action-restriction', effect: 'violation', severity: 'critical', reason: 'never', enforced: true },
  ],
  passed: [],
  facts: {},
};

function decisionOn(agentId: string, type: string, verdicts: readonly Verdict[] = []): Decision {
  const intent = { intentId: uuidv7(), agentId, action: { type, target: 'reporting' } };
  const actionDigest = actionDigestOf(intent.action, sha256);
  const { intentId } = intent;
  return decide({
    ...{ intent, actionDigest, verdicts, decisionTtlMs: 30_000, engine: 'spec/1', sha256 },
    decisionId: decisionIdOf({ agentId, intentId, actionDigest, round: 1 }, sha256),
    stamp: {
      judgedAt: new Date(JUDGED_AT).toISOString(),
      source: { topic: 'agent.actions', partition: 0, offset: 0 },
      charter: { digest: null, position: 1 },
      permissions: { position: 0 },
    },
  });
}

function appended(key: string, value: string, appendTime = JUDGED_AT + 12) {
  const place = { topic: 'agent.decisions', partition: 0, offset: 0 };
  const headers = { traceparent: Buffer.from(`00-${TRACE_ID}-b7ad6b7169203331-01`) };
  return { ...place, appendTime, logTime: appendTime, key: Buffer.from(key), value: Buffer.from(value), headers };
}

class World {
  readonly #metrics = new Metrics({ service: 'spec', version: '1' });
  readonly #actions: ActionMetrics;
  readonly #follow = createOutcomeHandler((report) => this.#actions.reported(report));

  constructor(inForce: Charter | null = charter()) {
    this.#actions = new ActionMetrics(this.#metrics, () => inForce ?? undefined);
  }

  decided(decision: Decision, afterMs = 12): this {
    this.#actions.decided(appended(decision.agentId, '', JUDGED_AT + afterMs), decision);
    return this;
  }

  reported(
    { agentId, intentId, decisionId, chainId, action }: Decision,
    status: OutcomeReport['status'],
    by = agentId,
  ) {
    const data = { agentId, intentId, decisionId, chainId, actionDigest: action.digest, status };
    const { value, headers } = writeEvent(EVENTS.outcome, { id: uuidv7(), source: '/spec', subject: agentId, data });
    const message = appended(by, String(value));
    const all = Object.entries(headers).map(([name, one]) => [name, Buffer.from(String(one))] as const);
    const messages = [{ ...message, headers: Object.fromEntries(all) }];
    const { topic, partition } = message;
    void this.#follow({ topic, partition, messages, readFrom: 0, heartbeat: () => Promise.resolve() });
    return this;
  }

  async samples(family: string): Promise<readonly ExposedSample[]> {
    const families = readExposition(await this.#metrics.scrape('openmetrics'), 'openmetrics');
    return families.find(({ name }) => name === family)?.samples ?? [];
  }

  async actions(): Promise<string[]> {
    return (await this.samples('agent_actions')).map(({ labels, value }) => {
      const { agent_id, remit_action_type, remit_outcome, remit_stage, remit_status } = labels;
      return [agent_id, remit_action_type, remit_outcome, remit_status, remit_stage, value].join(' ');
    });
  }
}

describe('agent.actions', () => {
  it('counts each status on its own: what was decided, and what agents report of it', async () => {
    const [read, drop] = [decisionOn('reporter', 'read'), decisionOn('reporter', 'drop', [DENIED])];
    const world = new World().decided(read).decided(drop).reported(read, 'executed').reported(drop, 'failed');
    expect(await world.actions()).toEqual([
      'reporter read allow decided enforce 1',
      'reporter drop deny decided enforce 1',
      'reporter read allow executed enforce 1',
      'reporter drop deny failed enforce 1',
    ]);
  });

  it('counts a decision once, however often it is appended or read again', async () => {
    const read = decisionOn('reporter', 'read');
    expect(await new World().decided(read).decided(read, 40).decided(read, 60_000).actions()).toEqual([
      'reporter read allow decided enforce 1',
    ]);
  });

  it('counts a decision that came too late as void, and the one that counts as decided', async () => {
    const [late, read] = [decisionOn('reporter', 'read'), decisionOn('reporter', 'read')];
    expect(await new World().decided(late, 30_001).decided(read, 30_000).actions()).toEqual([
      'reporter read allow void enforce 1',
      'reporter read allow decided enforce 1',
    ]);
  });

  it('has one series for a thousand agents that nobody declared and a thousand verbs that nobody named', async () => {
    const world = new World();
    for (let n = 0; n < 1000; n += 1) {
      const decision = decisionOn(`agent-${String(n)}`, `write_${String(n)}`);
      world.decided(decision).reported(decision, 'executed');
    }
    expect(await world.actions()).toEqual([
      'unknown other allow decided enforce 1000',
      'unknown other allow executed enforce 1000',
    ]);
  });

  it('names no agent and no verb while no charter is in force', async () => {
    const world = new World(null);
    world.decided(decisionOn('reporter', 'read')).decided(decisionOn('reporter', 'drop'));
    expect(await world.actions()).toEqual(['unknown other allow decided enforce 2']);
  });

  it('gives a report to no other agent than the one whose decision it is', async () => {
    const read = decisionOn('reporter', 'read');
    const world = new World().decided(read).reported(read, 'executed', 'stranger');
    world.reported({ ...read, agentId: 'stranger' }, 'executed');
    expect(await world.actions()).toEqual([
      'reporter read allow decided enforce 1',
      'unknown other unknown executed unknown 1',
    ]);
  });
});

describe('the time of a decision', () => {
  it('goes from the append of the intent to that of the decision, with its trace', async () => {
    const world = new World().decided(decisionOn('reporter', 'read'), 12).decided(decisionOn('reporter', 'read'), 700);
    const samples = await world.samples('remit_decision_duration_seconds');
    expect(samples.find(({ name }) => name.endsWith('_sum'))?.value).toBeCloseTo(0.712, 6);
    expect(samples.filter(({ exemplar }) => exemplar !== undefined).map(({ labels }) => labels['le'])).toEqual([
      '0.02',
      '1.0',
    ]);
  });
});
