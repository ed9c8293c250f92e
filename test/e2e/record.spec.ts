import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RemitAgent } from '#agent';
import { KafkaBus, type ReceivedMessage } from '#bus';
import { EVENTS, readEvent, TOPICS } from '#contracts';
import { type RecordAccess } from '#domain';
import { activateCharterText, startApp, untilReady, type RunningApp } from '#testing';
import { startOwnBroker, type OwnBroker } from '../integration/own-broker.js';
import { createOwnDatabase, type OwnDatabase } from '../integration/own-database.js';

const ROOT = join(import.meta.dirname, '../..');
const PERSON = 'maria@shop.example';

let folder: string;
let broker: OwnBroker;
let database: OwnDatabase;
let bus: KafkaBus;
let app: RunningApp;
let agent: RemitAgent;
let intentId: string;

/** What the record itself has said on these topics since the spec began. */
const said: ReceivedMessage[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'remit-record-'));
  database = await createOwnDatabase();
  // its own: what it consumes must not be missing in the database of another spec
  broker = await startOwnBroker();
  const brokers = [broker.address];
  bus = new KafkaBus({ brokers, topics: Object.values(TOPICS), replicationFactor: 1 });
  await bus.ensureTopics(Object.values(TOPICS));
  await bus.follow({ topics: [TOPICS.auditCheckpoints.name, TOPICS.auditAccess.name], from: 'end' }, (messages) => {
    said.push(...messages);
  });
  const text = readFileSync(join(ROOT, 'charters/cloud-operations.yaml'), 'utf8');
  await activateCharterText(bus, text);
  app = await startApp('standalone', { brokers, databaseUrl: database.url }, environment());
  await untilReady([app]);
  agent = await RemitAgent.connect({ agentId: 'CloudCostMonitor', brokers: [...brokers] });
});

afterAll(async () => {
  await agent.close();
  await app.stop();
  await bus.close();
  await database.drop();
  await broker.remove();
  rmSync(folder, { recursive: true });
});

function environment(): Record<string, string> {
  return { REMIT_RECORD_KEYS: join(folder, 'keys'), REMIT_STATE_DIR: join(folder, 'state'), REMIT_EPOCH_MS: '400' };
}

/** The command line tool, as a person beside the system runs it. */
function remit(...args: string[]): { status: number | null; stdout: string } {
  return remitOn(database, ...args);
}

function remitOn({ url }: OwnDatabase, ...args: string[]): { status: number | null; stdout: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'dist/apps/cli/main.js'), ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: {
      KAFKA_BROKERS: broker.address,
      DATABASE_URL: url,
      REMIT_DOOR_URL: `http://127.0.0.1:${String(app.port)}`,
      ...environment(),
    },
  });
  return { status, stdout: stdout + stderr };
}

/** Who has read the record so, and what they asked for. */
function readings(how: string): RecordAccess[] {
  return said.flatMap((message) => {
    const reading = readEvent(EVENTS.recordAccess, message);
    if (!reading.ok || reading.event.data.event !== 'RecordRead') return [];
    return reading.event.data.how === how ? [reading.event.data] : [];
  });
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`it did not come to pass:\n${app.output()}`);
    await sleep(50);
  }
}

describe('the record of a running system', () => {
  it('is signed while it is written: on the log, and in a file to keep', async () => {
    const answer = await agent.propose(
      { type: 'read_costs', target: 'cloud-billing', parameters: { account: 'DE02120300000000202051' } },
      { chainId: 'record-e2e', onBehalfOf: PERSON },
    );
    intentId = answer.intentId;
    await until(async () => {
      const rows = await database.query(
        `SELECT FROM record.epoch_leaves AS leaves JOIN record.history AS entry USING (topic, "partition")
         WHERE entry.intent_id = $1 AND entry.topic = 'agent.decisions' AND leaves.next > entry."offset"`,
        [intentId],
      );
      return rows.length > 0;
    });
    await until(() => said.some(({ topic }) => topic === TOPICS.auditCheckpoints.name));
    const checkpoint = said.find(({ topic }) => topic === TOPICS.auditCheckpoints.name);
    expect(checkpoint && readEvent(EVENTS.checkpoint, checkpoint)).toMatchObject({ ok: true });
    expect(existsSync(join(folder, 'keys/checkpoints.jsonl'))).toBe(true);
  });

  it('is found to be untouched, against the checkpoints that were kept', () => {
    expect(remit('audit', 'public-key', '--out', 'public.pem').status).toBe(0);
    const { status, stdout } = remit(
      ...['audit', 'verify', '--key', 'public.pem', '--checkpoint', 'keys/checkpoints.jsonl'],
    );
    expect(stdout).toContain('Nobody has touched');
    expect(status).toBe(0);
  });

  it('keeps every checkpoint in that file, also those that somebody signs at a terminal', () => {
    const { status, stdout } = remit('audit', 'checkpoint');
    expect(status).toBe(0);
    const kept = readFileSync(join(folder, 'keys/checkpoints.jsonl'), 'utf8');
    expect(kept).toContain(stdout);
    // the audit process goes on behind it: each epoch is there once
    const { epoch } = (JSON.parse(stdout) as { body: { epoch: number } }).body;
    const epochs = kept
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { body: { epoch: number } }).body.epoch);
    expect(epochs.slice(0, epoch)).toEqual(Array.from({ length: epoch }, (_, i) => i + 1));
  });

  it('says what was in force, and that it is not all of it where the record is behind the log', async () => {
    const whole = remit('at', 'now', 'charter');
    expect(whole.stdout).toContain('CharterActivated');
    expect(whole.stdout).not.toContain('behind the log');
    const behind = await createOwnDatabase();
    try {
      const { status, stdout } = remitOn(behind, 'at', 'now', 'charter');
      expect(status).toBe(0);
      expect(stdout).toContain('No charter was in force');
      expect(stdout).toMatch(/the record is \d+ messages? of charter and permission events behind the log/);
    } finally {
      await behind.drop();
    }
  });

  it('is searched page by page, and names the account that searched it', async () => {
    const first = remit('audit', 'search', '--chain', 'record-e2e', '--limit', '1', '--json');
    const [entry, cursor] = first.stdout.trim().split('\n');
    expect(JSON.parse(entry ?? '')).toMatchObject({ topic: 'agent.actions', intentId });
    const { after } = JSON.parse(cursor ?? '') as { after: string };
    const second = remit('audit', 'search', '--chain', 'record-e2e', '--after', after, '--json');
    expect(second.stdout).toContain('"topic":"agent.decisions"');
    await until(() => readings('search').length === 2 && readings('verify').length > 0);
    const [{ by, account, selection }] = readings('search') as [RecordAccess & { selection: object }];
    expect([by, selection]).toEqual([account, { chainId: 'record-e2e', limit: '1' }]);
    // whether anybody has touched it is a question to the record, too
    expect(readings('verify')).toHaveLength(1);
  });

  it('names the person whose login the door accepts, and the account beside them', async () => {
    expect(remit('login', '--as', 'ann', '--role', 'security').status).toBe(0);
    const chain = remit('chain', 'record-e2e', '--json');
    expect(chain.status).toBe(0);
    expect(chain.stdout).not.toContain('does not confirm');
    await until(() => readings('chain').length === 1);
    const [access] = readings('chain');
    expect(access).toMatchObject({ by: 'ann', selection: { chainOrTrace: 'record-e2e' } });
    expect(access?.account).toContain('@');
    expect(remit('logout').status).toBe(0);
  });

  it('proves one event to someone who has nothing but the public key', () => {
    const proof = remit('audit', 'prove', intentId);
    expect(proof.status).toBe(0);
    const file = join(folder, 'proof.json');
    spawnSync('tee', [file], { input: proof.stdout });
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(ROOT, 'dist/apps/cli/main.js'), 'audit', 'verify', '--proof', file, '--key', join(folder, 'public.pem')],
      // no record, and nobody to tell: whoever verifies a proof reads nothing
      { encoding: 'utf8', env: {} },
    );
    expect(stdout).toContain('1 entry is proven');
    expect(status).toBe(0);
  });

  it('goes to a SIEM as OCSF, and to an auditor as a pack', () => {
    const lines = remit('audit', 'export', '--chain', 'record-e2e', '--ocsf').stdout.trim().split('\n');
    expect(lines.length).toBeGreaterThanOrEqual(2);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ class_uid: 6003, api: { operation: 'read_costs' } });
    expect(remit('audit', 'export', '--chain', 'record-e2e', '--out', 'pack').status).toBe(0);
    expect(remit('audit', 'verify', '--export', 'pack', '--key', 'public.pem').stdout).toContain(
      'Nobody has touched it.',
    );
  });

  it('erases a person, says what survives, and still verifies', async () => {
    const erased = remit('audit', 'erase', '--person', PERSON, '--reason', 'request 4711');
    expect(erased.stdout).toContain('can never be read again');
    expect(erased.stdout).toContain('agent.actions');
    expect(erased.status).toBe(0);
    await until(() => said.some(({ value }) => value?.includes('RecordErased')));
    expect(said.some(({ value }) => value?.includes(PERSON))).toBe(false);
    const found = remit('audit', 'search', '--chain', 'record-e2e', '--json').stdout;
    expect(found).not.toContain('DE02120300000000202051');
    expect(remit('audit', 'verify', '--key', 'public.pem').stdout).toContain('Nobody has touched');
  });

  it('rebuilds what is derived from it, and finds it identical', () => {
    const { status, stdout } = remit('audit', 'rebuild');
    expect(stdout).not.toContain('DIFFERENT');
    expect(status).toBe(0);
    expect(remit('audit', 'agents', 'CloudCostMonitor').stdout).toContain('CloudCostMonitor');
    expect(remit('audit', 'check-roles').status).toBe(0);
  });
});
