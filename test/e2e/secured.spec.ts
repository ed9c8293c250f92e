import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RemitAgent } from '#agent';
import { codeOf, KafkaBus } from '#bus';
import type { KafkaSecurity } from '#config';
import { AGENT_ACCESS, EVENTS, SERVICE_ACCESS, sha256, TOPICS, writeEvent } from '#contracts';
import { checkCharter } from '#domain';
import { eventually, readDeadLetters, startApp, untilReady, type RunningApp } from '#testing';
import { CHARTER_TEXT } from '../integration/door-world.js';
import { createOwnDatabase, type OwnDatabase } from '../integration/own-database.js';
import { startSecuredBroker, type SecuredBroker } from '../integration/secured-broker.js';

const CLI = join(import.meta.dirname, '../../dist/apps/cli/main.js');
const SERVICES = ['boundary', 'permission', 'verifier', 'policy', 'audit'] as const;
const PASSWORD = 'four-words-of-nobody';
const VIEW = { type: 'view', target: 'accounts' };
/** As the charter, with its first agent called something else: as good as any other text to see whether it is in force. */
const FORGED_TEXT = CHARTER_TEXT.replace('stage: enforce', 'stage: observe');

describe('Remit on a secured Kafka, with the rights of `remit kafka acls` and a signing key for each service', () => {
  let broker: SecuredBroker;
  let database: OwnDatabase;
  let apps: RunningApp[] = [];
  let port = 0;
  let administrator: KafkaBus | undefined;

  const file = (name: string): string => join(broker.folder, name);

  function securityOf(username: string): KafkaSecurity {
    return {
      tls: { caFile: broker.caFile },
      sasl: { mechanism: 'scram-sha-512', username, password: { text: PASSWORD } },
    };
  }

  async function remit(...args: string[]): Promise<string> {
    const tool = spawn(process.execPath, [CLI, ...args], {
      env: {
        KAFKA_BROKERS: broker.administration,
        REMIT_DOOR_URL: `http://127.0.0.1:${String(port)}/`,
        REMIT_STATE_DIR: file('state'),
        REMIT_CREDENTIALS: file('login.json'),
        HOME: broker.folder,
      },
    });
    const chunks: Buffer[] = [];
    for (const stream of [tool.stdout, tool.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    const code = await new Promise((resolve) => tool.once('close', resolve));
    const said = Buffer.concat(chunks).toString('utf8');
    if (code !== 0) throw new Error(said);
    return said;
  }

  beforeAll(async () => {
    const users = [...SERVICES.map((name) => `remit-${name}`), 'clerk'];
    broker = await startSecuredBroker(Object.fromEntries(users.map((name) => [name, PASSWORD])));
    database = await createOwnDatabase();
    await mkdir(file('state'));
    await remit('kafka', 'topics');
    await remit('kafka', 'acls', '--service', ...SERVICES, '--agent', 'clerk', '--apply');
    const trusted = file('trusted-keys.json');
    for (const name of SERVICES) {
      await remit('keys', 'create', '--service', name, '--key', file(`${name}.pem`), '--trusted', trusted);
    }
    await writeFile(file('password'), `${PASSWORD}\n`);
    apps = await Promise.all(
      SERVICES.map((name) =>
        startApp(
          name,
          { brokers: [broker.address], databaseUrl: database.url },
          {
            KAFKA_TLS_CA_FILE: broker.caFile,
            KAFKA_SASL_MECHANISM: 'scram-sha-512',
            KAFKA_SASL_USERNAME: `remit-${name}`,
            KAFKA_SASL_PASSWORD_FILE: file('password'),
            REMIT_SIGNING_KEY_FILE: file(`${name}.pem`),
            REMIT_TRUSTED_KEYS_FILE: trusted,
            REMIT_RECORD_KEYS: file('record-keys'),
            REMIT_STATE_DIR: file('state'),
          },
        ),
      ),
    );
    const api = apps[1] as RunningApp;
    port = api.port;
    await eventually(async () => {
      const ended = apps.find((app) => app.process.exitCode !== null);
      if (ended !== undefined) throw new Error(ended.output());
      return (await api.readyStatus()) !== 0;
    });
    await writeFile(file('charter.yaml'), CHARTER_TEXT);
    await remit('login', '--as', 'gwen', '--role', 'governance');
    await remit('charter', 'activate', file('charter.yaml'));
    await untilReady(apps);
    administrator = new KafkaBus({ brokers: [broker.administration] });
  });

  afterAll(async () => {
    await administrator?.close();
    await Promise.all(apps.map((app) => app.stop()));
    await database.drop();
    await broker.remove();
  });

  function connect(): Promise<RemitAgent> {
    return RemitAgent.connect({
      agentId: 'clerk',
      brokers: [broker.address],
      security: securityOf('clerk'),
      trustedKeysFile: file('trusted-keys.json'),
      timeoutMs: 120_000,
    });
  }

  it('an agent gets its decisions, signed by the policy service, with nothing but an agent’s rights', async () => {
    const agent = await connect();
    expect((await agent.propose(VIEW)).outcome).toBe('allow');
    expect((await agent.propose({ type: 'unlock', target: 'accounts' })).outcome).toBe('allow');
    expect((await agent.propose({ type: 'delete', target: 'accounts' })).outcome).toBe('deny');
    await agent.close();
  });

  it('an agent’s credentials write intents, outcomes and requests, read decisions, and nothing else', async () => {
    const bus = new KafkaBus({
      brokers: [broker.address],
      security: securityOf('clerk'),
      topics: Object.values(TOPICS),
    });
    const [mayWrite, mayRead] = [AGENT_ACCESS.writes, AGENT_ACCESS.reads].map(
      (topics) => new Set(topics.map(({ name }) => name)),
    );
    for (const { name } of Object.values(TOPICS)) {
      const written = await bus.publish([{ topic: name, key: 'clerk', value: 'x' }]).then(() => 'written', codeOf);
      expect([name, written]).toEqual([name, mayWrite?.has(name) ? 'written' : 'REMIT_BUS_NOT_ALLOWED']);
      const ends = await bus.ends([name]).then(() => 'known', codeOf);
      const mayAsk = mayWrite?.has(name) === true || mayRead?.has(name) === true;
      expect([name, ends]).toEqual([name, mayAsk ? 'known' : 'REMIT_BUS_NOT_ALLOWED']);
    }
    await bus.close();
  });

  it('a service may write only what is its own', async () => {
    for (const service of SERVICES) {
      const security = securityOf(`remit-${service}`);
      const bus = new KafkaBus({ brokers: [broker.address], security, topics: Object.values(TOPICS) });
      const own: readonly { readonly name: string }[] = SERVICE_ACCESS[service].writes;
      const foreign = Object.values(TOPICS).find(({ name }) => !own.some((topic) => topic.name === name));
      const written = await bus
        .publish([{ topic: foreign?.name ?? '', key: 'x', value: 'x' }])
        .then(() => 'written', codeOf);
      expect([service, written]).toEqual([service, 'REMIT_BUS_NOT_ALLOWED']);
      await bus.close();
    }
  });

  it('whoever gets past the broker commands nothing: a forged charter, command and decision change nothing', async () => {
    const checked = checkCharter(FORGED_TEXT, sha256);
    if (!checked.ok) throw new Error('the forged charter must be a right one');
    const { name, digest } = checked.charter;
    const charterEvent = writeEvent(EVENTS.charterEvent, {
      id: 'forged',
      source: '/remit/charter',
      subject: name,
      data: {
        event: 'CharterActivated',
        charter: name,
        digest,
        text: FORGED_TEXT,
        activatedBy: 'gwen',
        commandId: 'forged',
      },
    });
    const command = writeEvent(EVENTS.permissionCommand, {
      id: 'forged',
      source: '/remit/door',
      subject: 'clerk',
      data: { command: 'SuspendAgent', agentId: 'clerk', commandId: 'forged', by: 'gwen', reason: 'forged' },
    });
    await administrator?.publish([
      { topic: TOPICS.charterEvents.name, key: 'charter', ...charterEvent },
      { topic: TOPICS.permissionCommands.name, key: 'clerk', ...command },
    ]);
    await eventually(async () => {
      const letters = administrator === undefined ? [] : await readDeadLetters(administrator, TOPICS.deadLetters.name);
      const refused = letters.filter(({ code }) => code === 'REMIT_SIGNATURE_MISSING').map(({ topic }) => topic);
      return refused.includes(TOPICS.charterEvents.name) && refused.includes(TOPICS.permissionCommands.name);
    });
    const agent = await connect();
    expect((await agent.propose(VIEW)).outcome).toBe('allow');
    const denied = await agent.propose({ type: 'delete', target: 'accounts' });
    expect([denied.outcome, denied.decision?.stage]).toEqual(['deny', 'enforce']);
    await agent.close();
  });

  it('no log of a service holds a password', () => {
    for (const app of apps) expect(app.output()).not.toContain(PASSWORD);
  });
});
