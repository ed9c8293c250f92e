import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RemitAgent } from '#agent';
import { KafkaBus } from '#bus';
import { TOPICS } from '#contracts';
import { activateCharterText, eventually, startApp, untilReady, type RunningApp } from '#testing';
import { startOwnBroker, type OwnBroker } from './own-broker.js';
import { createOwnDatabase, type OwnDatabase } from './own-database.js';

const ROOT = join(import.meta.dirname, '../..');

/** What no line may contain, and where each goes in. */
const PARAMETER = 'Parameter4711Hunter2';
const POISON = 'Poison0815Correcthorse';
const BEARER = 'Bearer1234Batterystaple';
const WEBHOOK_SECRET = `whsec_${Buffer.from('a secret of the webhook, long enough').toString('base64')}`;

type Line = Record<string, unknown>;

function linesOf(output: string): Line[] {
  expect(output.endsWith('\n')).toBe(true);
  return output
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

function expectFields(line: Line, service: string): void {
  expect(line).toMatchObject({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    level: expect.stringMatching(/^(?:fatal|error|warn|info|debug|trace)$/),
    service,
    scope: expect.any(String),
    msg: expect.any(String),
  });
}

describe('the log of a process that judges', () => {
  let folder: string;
  let broker: OwnBroker;
  let database: OwnDatabase;
  let bus: KafkaBus;
  let app: RunningApp;
  let agent: RemitAgent;
  let problems = '';
  let output = '';

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'remit-logs-'));
    database = await createOwnDatabase();
    broker = await startOwnBroker();
    const brokers = [broker.address];
    bus = new KafkaBus({ brokers, topics: Object.values(TOPICS), replicationFactor: 1 });
    await bus.ensureTopics(Object.values(TOPICS));
    const charterText = readFileSync(join(ROOT, 'charters/cloud-operations.yaml'), 'utf8');
    await activateCharterText(bus, charterText);
    app = await startApp(
      'standalone',
      { brokers, databaseUrl: database.url },
      {
        LOG_LEVEL: 'debug',
        REMIT_RECORD_KEYS: join(folder, 'keys'),
        REMIT_STATE_DIR: join(folder, 'state'),
        REMIT_WEBHOOK_URL: 'http://127.0.0.1:1/nobody',
        REMIT_WEBHOOK_SECRET: WEBHOOK_SECRET,
      },
    );
    app.process.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    app.process.stderr?.on('data', (chunk: Buffer) => (problems += chunk.toString()));
    await untilReady([app]);
    agent = await RemitAgent.connect({ agentId: 'CloudCostMonitor', brokers, timeoutMs: 240_000 });
  });

  afterAll(async () => {
    await agent.close();
    app.process.kill('SIGKILL');
    await bus.close();
    await database.drop();
    await broker.remove();
    rmSync(folder, { recursive: true });
  });

  function readCosts(account: string) {
    return agent.propose({ type: 'read_costs', target: 'cloud-billing', parameters: { account, apiKey: account } });
  }

  /** It goes on writing: until some line has arrived, and no other is half way. */
  function written(part: string): Promise<void> {
    return eventually(() => output.includes(part) && output.endsWith('\n'));
  }

  it('is JSON, line by line, and holds nothing of parameters, poison messages and secrets', async () => {
    expect((await readCosts(PARAMETER)).outcome).toBe('allow');
    const poisoned = new Promise<void>((resolve, reject) => {
      void bus
        .follow({ topics: [TOPICS.deadLetters.name], from: 'start' }, (messages) => {
          if (messages.length > 0) resolve();
        })
        .catch(reject);
    });
    const value = `{"specversion":"1.0","data":{"action":{"parameters":{"note":"${POISON}"}}`;
    for (const topic of [TOPICS.agentActions.name, TOPICS.permissionRequests.name, TOPICS.charterEvents.name]) {
      await bus.publish([{ topic, key: 'CloudCostMonitor', value, headers: { traceparent: POISON } }]);
    }
    await poisoned;
    for (const path of ['/v1/approvals', '/nowhere', '/v1/%zz']) {
      await fetch(`http://127.0.0.1:${String(app.port)}${path}`, { headers: { authorization: `Bearer ${BEARER}` } });
    }
    expect((await readCosts(PARAMETER)).outcome).toBe('allow');

    await written('standalone judges; health on');
    const lines = linesOf(output);
    for (const line of lines) expectFields(line, 'remit-standalone');
    for (const hidden of [PARAMETER, POISON, BEARER, WEBHOOK_SECRET, new URL(database.url).password]) {
      // the password of a developer's database may be a word that any line can contain
      if (hidden.length >= 8) expect(output).not.toContain(hidden);
    }
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 'info',
        msg: `standalone judges; health on http://127.0.0.1:${String(app.port)}/readyz`,
      }),
    );
    expect(problems).toBe('');
  });

  it('tells what the Kafka client does, as debugging', async () => {
    await written('"messaging.consumer.group.name":"remit.boundary"');
    expect(linesOf(output)).toContainEqual(
      expect.objectContaining({
        level: 'debug',
        scope: 'bus',
        code: 'REMIT_BUS_CLIENT',
        'messaging.consumer.group.name': 'remit.boundary',
      }),
    );
  });

  it('stops no judgement when nobody reads it any more', async () => {
    app.process.stdout?.destroy();
    app.process.stderr?.destroy();
    expect((await readCosts(PARAMETER)).outcome).toBe('allow');
    // its consumers tell that they stop, and there is nobody to be told
    expect(await app.stop('SIGTERM')).toBe(0);
  });
});

describe('a process that cannot go on', () => {
  /** A process of its own that has the log of a service, and then does as it is told. */
  function spawnLogging(script: string, level: string): ChildProcessByStdio<null, Readable, Readable> {
    const start = `import { Log } from '#telemetry';
      import { logUncaught } from '#service';
      const log = new Log({ service: 'remit-spec', level: '${level}' });
      logUncaught(log);`;
    return spawn(process.execPath, ['--input-type=module', '--eval', `${start}\n${script}`], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {},
    });
  }

  async function ended(script: string, level = 'info'): Promise<{ code: number | null; out: string; err: string }> {
    const child = spawnLogging(script, level);
    const exit = once(child, 'exit') as Promise<[number | null]>;
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
    return { code, out, err };
  }

  it.each([
    ['throws where nobody catches', 'setTimeout(() => { throw error; });', 'REMIT_PROCESS_EXCEPTION'],
    ['rejects where nobody awaits', 'void Promise.reject(error);', 'REMIT_PROCESS_REJECTION'],
  ])('says so in its last line when it %s, and exits with 1', async (_, deed, code) => {
    const script = `const error = Object.assign(new TypeError('password=${PARAMETER}'), { code: 'ERR_SPEC' });
      ${deed}
      setTimeout(() => console.log('it went on'), 60_000);`;
    const quiet = await ended(script);
    expect(quiet).toMatchObject({ code: 1, err: '' });
    const [line = {}, ...others] = linesOf(quiet.out);
    expect(others).toEqual([]);
    expectFields(line, 'remit-spec');
    expect(line).toMatchObject({ level: 'fatal', code, error: { type: 'TypeError', code: 'ERR_SPEC' } });
    expect(quiet.out).not.toContain(PARAMETER);
    // an operator who has nothing else must see where it happened
    expect(line).toMatchObject({ error: { stack: expect.stringMatching(/^at /) } });
  });

  it('loses no line that came before its end', async () => {
    const { code, out } = await ended(
      `for (let n = 0; n < 3000; n += 1) log.write('info', { message: 'line ' + n, scope: 'spec' });
       process.exit(7);`,
    );
    expect(code).toBe(7);
    expect(linesOf(out).map(({ msg }) => msg)).toEqual(Array.from({ length: 3000 }, (_, n) => `line ${String(n)}`));
  });

  it('is none that has only lost whoever read its log', async () => {
    const child = spawnLogging(
      `setInterval(() => log.write('info', { message: 'still here', scope: 'spec' }), 5);
       setTimeout(() => process.exit(7), 1000);`,
      'info',
    );
    child.stdout.once('data', () => child.stdout.destroy());
    expect(await once(child, 'exit')).toEqual([7, null]);
  });

  it('brings warnings of Node.js into the log', async () => {
    const { out, err } = await ended(`process.emitWarning('old ways', 'DeprecationWarning');`);
    expect(err).toBe('');
    expect(linesOf(out)).toMatchObject([
      { level: 'warn', code: 'REMIT_PROCESS_WARNING', error: { type: 'DeprecationWarning', message: 'old ways' } },
    ]);
  });

  it('says in one line of the log why it does not start', async () => {
    const app = await startApp('boundary', { brokers: ['nowhere'], databaseUrl: 'none' }, { LOG_LEVEL: 'loud' });
    await once(app.process, 'close');
    expect(app.process.exitCode).toBe(1);
    const [line = {}, ...others] = linesOf(app.output());
    expect(others).toEqual([]);
    expectFields(line, 'remit-boundary');
    expect(line).toMatchObject({ level: 'fatal', code: 'REMIT_CONFIG_INVALID', msg: 'boundary did not start' });
    expect(String((line['error'] as { message: string }).message)).toContain('LOG_LEVEL must be one of');
  });
});
