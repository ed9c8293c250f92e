import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { RemitAgent } from '#agent';
import { KafkaBus } from '#bus';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import { type PermissionCommand } from '#domain';
import { createSigningKey, MessageVerifier, readSigningKey, SignedBus, TrustedKeys } from '#signing';
import {
  activateCharterText,
  differencesFromMetricTable,
  eventually,
  readExposition,
  startApp,
  untilReady,
  type ExposedSample,
  type RunningApp,
} from '#testing';
import { startOwnBroker, type OwnBroker } from './own-broker.js';
import { createOwnDatabase, openLine, type Line, type OwnDatabase } from './own-database.js';

const AGENT = 'clerk';
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
/** Prometheus waits no longer for an answer, ms. */
const SCRAPE_MS = 10_000;
const OPEN_METRICS = { accept: 'application/openmetrics-text; version=1.0.0' };

const CHARTER = [
  'charter: metrics',
  'stage: enforce',
  'decision_ttl: 10m',
  'classifications: [public]',
  'systems: { ledger: { classification: public } }',
  'boundaries:',
  '  - { id: action-restriction, never: [drop] }',
  'agents:',
  `  ${AGENT}: { owner: tests, purpose: keep books, scope: { actions: [read, update, drop], systems: [ledger] } }`,
  'permissions:',
  '  change: { max_duration: 10m, approvals: { count: 1, role: operations } }',
  'policies:',
  '  - id: two-people',
  '    severity: critical',
  '    scope: { actions: [update] }',
  '    violated_when: "true"',
  '    effect: hold',
  '    unless_granted: change',
  '    reason: changes need a second person',
].join('\n');

describe('the metrics of a process that does everything', () => {
  let folder: string;
  let broker: OwnBroker;
  let database: OwnDatabase;
  let line: Line;
  let bus: SignedBus;
  let app: RunningApp;
  let agent: RemitAgent;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'remit-metrics-'));
    database = await createOwnDatabase();
    line = await openLine(database.url);
    broker = await startOwnBroker();
    const brokers = [broker.address];
    const keys = { keyFile: join(folder, 'standalone.pem'), trustedKeysFile: join(folder, 'trusted-keys.json') };
    createSigningKey({ service: 'standalone', ...keys });
    bus = new SignedBus(new KafkaBus({ brokers, topics: Object.values(TOPICS), replicationFactor: 1 }), {
      signingKey: readSigningKey(keys.keyFile),
      verifier: new MessageVerifier(new TrustedKeys(keys.trustedKeysFile)),
      onRefused: ({ reason }) => {
        throw new Error(reason);
      },
    });
    await bus.ensureTopics(Object.values(TOPICS));
    await activateCharterText(bus, CHARTER);
    app = await startApp(
      'standalone',
      { brokers, databaseUrl: line.url },
      {
        REMIT_RECORD_KEYS: join(folder, 'keys'),
        REMIT_STATE_DIR: join(folder, 'state'),
        REMIT_SIGNING_KEY_FILE: keys.keyFile,
        REMIT_TRUSTED_KEYS_FILE: keys.trustedKeysFile,
        REMIT_EPOCH_MS: '200',
        // nobody listens there: what is not delivered must be counted
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      },
    );
    await untilReady([app]);
    agent = await RemitAgent.connect({ agentId: AGENT, brokers, timeoutMs: 240_000 });
  });

  afterAll(async () => {
    await agent.close();
    app.process.kill('SIGKILL');
    await bus.close();
    await line.cut();
    await database.drop();
    await broker.remove();
    rmSync(folder, { recursive: true });
  });

  async function scraped(
    headers: Record<string, string> = OPEN_METRICS,
  ): Promise<{ type: string | null; text: string }> {
    const answer = await fetch(`http://127.0.0.1:${String(app.port)}/metrics`, {
      headers,
      signal: AbortSignal.timeout(SCRAPE_MS),
    });
    expect(answer.status).toBe(200);
    return { type: answer.headers.get('content-type'), text: await answer.text() };
  }

  async function samples(family: string): Promise<readonly ExposedSample[]> {
    return readExposition((await scraped()).text, 'openmetrics').find(({ name }) => name === family)?.samples ?? [];
  }

  async function valueOf(family: string, labels: Readonly<Record<string, string>> = {}): Promise<number | undefined> {
    const wanted = Object.entries(labels);
    const found = (await samples(family)).find((sample) => wanted.every(([name, one]) => sample.labels[name] === one));
    return found?.value;
  }

  /** Puts an intent on the log as an agent that traces would. */
  async function intend(agentId: string, type: string): Promise<void> {
    const intentId = uuidv7();
    const { value, headers } = writeEvent(EVENTS.intent, {
      id: intentId,
      source: `/agents/${agentId}`,
      subject: agentId,
      data: { intentId, agentId, action: { type, target: 'ledger' } },
    });
    const traceparent = `00-${TRACE_ID}-b7ad6b7169203331-01`;
    await bus.publish([{ topic: TOPICS.agentActions.name, key: agentId, value, headers: { ...headers, traceparent } }]);
  }

  async function order(command: PermissionCommand): Promise<void> {
    const { agentId, commandId } = command;
    const event = writeEvent(EVENTS.permissionCommand, {
      id: commandId,
      source: '/remit/door',
      subject: agentId,
      data: command,
    });
    await bus.publish([{ topic: TOPICS.permissionCommands.name, key: agentId, ...event }]);
  }

  it('are those of the table, every one of them and no other, after a few decisions', async () => {
    await agent.act({ type: 'read', target: 'ledger' }, () => 'done');
    await intend(AGENT, 'drop');
    await intend(AGENT, 'update');
    await intend('stranger', 'read');
    await bus.publish([{ topic: TOPICS.agentActions.name, key: AGENT, value: 'not an intent' }]);
    const by = { by: 'olga', roles: ['operations'], reason: 'for the spec' };
    await eventually(async () => (await valueOf('remit_holds_open')) === 1);
    await order({
      ...{ command: 'GrantPermission', agentId: AGENT, commandId: uuidv7(), ...by },
      ...{ permission: 'change', durationMs: 600_000, uses: null },
    });
    await eventually(async () => (await valueOf('remit_grants_active')) === 1);
    await eventually(async () => differencesFromMetricTable((await scraped()).text).missing.length === 0);
    expect(differencesFromMetricTable((await scraped()).text)).toEqual({ missing: [], undeclared: [] });
  });

  it('count each action by what became of it, and name no agent that nobody declared', async () => {
    const status = (agentId: string, type: string, outcome: string, of: string) => ({
      family: 'agent_actions',
      labels: { agent_id: agentId, remit_action_type: type, remit_outcome: outcome, remit_status: of },
    });
    // each is counted by itself, whenever it is done
    for (const { family, labels } of [
      status('unknown', 'read', 'deny', 'decided'),
      status(AGENT, 'read', 'allow', 'executed'),
      status(AGENT, 'read', 'allow', 'decided'),
      status(AGENT, 'drop', 'deny', 'decided'),
      status(AGENT, 'update', 'hold', 'decided'),
      { family: 'remit_fail_closed', labels: { remit_reason: 'unknown-agent' } },
      { family: 'remit_dead_letters', labels: {} },
      { family: 'remit_findings', labels: { remit_rule: 'action-restriction', remit_mode: 'enforced' } },
    ]) {
      await eventually(async () => (await valueOf(family, labels)) !== undefined);
      expect({ family, labels, value: await valueOf(family, labels) }).toMatchObject({ value: 1 });
    }
    expect((await scraped()).text).not.toContain('stranger');
  });

  it('lead from the time of a decision to its trace', async () => {
    const exemplars = (await samples('remit_decision_duration_seconds')).flatMap(({ exemplar }) => exemplar ?? []);
    expect(exemplars.map(({ labels }) => labels['trace_id'])).toContain(TRACE_ID);
  });

  /** Nothing is left to be stored. Checkpoints are on the log themselves: of those there may always be one more. */
  async function untilRecorded(): Promise<void> {
    await eventually(async () => {
      const lags = await samples('remit_audit_lag');
      const others = lags.filter(({ labels }) => labels['messaging_destination_name'] !== TOPICS.auditCheckpoints.name);
      return others.length > 0 && others.every(({ value }) => value === 0);
    });
  }

  it('say that the record is verified, and that nothing is left to be stored', async () => {
    await eventually(async () => (await valueOf('remit_record_verified')) === 1);
    await untilRecorded();
    expect(await valueOf('remit_record_verification_failures')).toBe(0);
  });

  it('come as plain text where nothing else is asked for', async () => {
    const { type, text } = await scraped({});
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(readExposition(text, 'prometheus').length).toBeGreaterThan(20);
    expect((await scraped()).type).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
  });

  it('can still be scraped while no broker answers, without those that only a broker could tell', async () => {
    await broker.kill();
    await eventually(async () => (await samples('remit_consumer_lag')).length === 0);
    expect(await valueOf('remit_grants_active')).toBeDefined();
    expect(app.process.exitCode).toBeNull();
    await broker.start();
    await eventually(async () => (await samples('remit_consumer_lag')).length > 0);
  });

  it('can still be scraped in time while PostgreSQL takes connections and never answers, and tell the lag all the same', async () => {
    await untilRecorded();
    line.hang();
    await intend(AGENT, 'read');
    const topic = { messaging_destination_name: TOPICS.agentActions.name };
    await eventually(async () => (await valueOf('remit_audit_lag', topic)) === 1);
    await eventually(async () => ((await valueOf('remit_record_answer_age_seconds')) ?? 0) > 4);
    expect(await valueOf('remit_grants_active')).toBeDefined();
    line.goOn();
    await untilRecorded();
    await eventually(async () => ((await valueOf('remit_record_answer_age_seconds')) ?? Infinity) < 4);
  });

  it('are told by five separate processes as well, each of which has what it works at', async () => {
    expect(await app.stop()).toBe(0);
    const names = ['boundary', 'permission', 'verifier', 'policy', 'audit'] as const;
    const backends = { brokers: [broker.address], databaseUrl: database.url };
    const env = { REMIT_RECORD_KEYS: join(folder, 'keys'), REMIT_STATE_DIR: join(folder, 'state') };
    const apps = await Promise.all(names.map((name) => startApp(name, backends, env)));
    await untilReady(apps);
    await agent.act({ type: 'read', target: 'ledger' }, () => 'done');
    const familiesOf = async ({ port }: RunningApp): Promise<readonly string[]> => {
      const answer = await fetch(`http://127.0.0.1:${String(port)}/metrics`, { headers: OPEN_METRICS });
      const text = await answer.text();
      expect(differencesFromMetricTable(text).undeclared).toEqual([]);
      return readExposition(text, 'openmetrics').map(({ name }) => name);
    };
    const own = ['agent_actions', 'remit_layer_duration_seconds', 'remit_holds_open', 'remit_audit_lag'];
    const told = async () => {
      const families = await Promise.all(apps.map(familiesOf));
      return families.map((all) => own.filter((family) => all.includes(family)));
    };
    const [actions, layers, holds, lag] = own;
    const expected = [[layers], [actions, layers, holds], [layers], [layers], [lag]];
    await eventually(async () => JSON.stringify(await told()) === JSON.stringify(expected));
    await Promise.all(apps.map((one) => one.stop()));
  });

  it('are not there where they are switched off', async () => {
    const quiet = await startApp(
      'boundary',
      { brokers: [broker.address], databaseUrl: database.url },
      { OTEL_METRICS_EXPORTER: 'none' },
    );
    await untilReady([quiet]);
    expect((await fetch(`http://127.0.0.1:${String(quiet.port)}/metrics`)).status).toBe(404);
    await quiet.stop();
  });
});
