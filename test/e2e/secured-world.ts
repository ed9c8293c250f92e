import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { RemitAgent } from '#agent';
import { KafkaBus } from '#bus';
import type { KafkaSecurity } from '#config';
import { DATABASE_LOGINS, type DatabaseLoginName } from '#contracts';
import { eventually, startApp, untilReady, type RunningApp } from '#testing';
import { createOwnDatabase, type OwnDatabase } from '../integration/own-database.js';
import { startSecuredBroker, type SecuredBroker } from '../integration/secured-broker.js';

const CLI = join(import.meta.dirname, '../../dist/apps/cli/main.js');

/** The services, each with an own principal on Kafka, an own signing key and, but for boundary, an own login. */
export const RUNNING_SERVICES = ['boundary', 'permission', 'verifier', 'policy', 'audit'] as const;

/** Of every principal and every login, so that no log may hold it. */
export const PASSWORD = 'four-words-of-nobody';

export const CHARTER_TEXT = `
charter: secured
stage: enforce
classifications: [public, internal]
systems:
  accounts: { classification: internal }
agents:
  clerk: { owner: support, scope: { actions: [view, close, send_report, archive], systems: [accounts] }, permissions: [view] }
  teller: { owner: payments, scope: { actions: [view, pay], systems: [accounts] } }
permissions:
  view: {}
  send_report: { max_duration: 1h }
  archive: { max_duration: 1h, required_for: { actions: [archive] } }
  account_closing: { max_duration: 15m, bind: [action], approvals: { count: 1, role: security } }
policies:
  - id: four-eyes
    severity: critical
    scope: { actions: [close] }
    violated_when: action.target == "accounts"
    effect: hold
    unless_granted: account_closing
    reason: an account is closed by two
  - id: reports
    severity: critical
    scope: { actions: [send_report] }
    violated_when: action.target == "accounts"
    effect: deny
    unless_granted: send_report
    reason: reports leave when somebody has granted it
`;

/** The five services on a secured broker and a database with one login for each, under the charter above. */
export interface SecuredWorld {
  readonly broker: SecuredBroker;
  readonly database: OwnDatabase;
  readonly apps: readonly RunningApp[];
  /** Without credentials, where everybody is the administrator. */
  readonly administrator: KafkaBus;
  /** The way of a principal to the broker. */
  securityOf(username: string): KafkaSecurity;
  /** The name of a login in PostgreSQL. */
  loginOf(name: DatabaseLoginName): string;
  /** The address of the database for a login, with its password. */
  urlOf(name: DatabaseLoginName): string;
  /** Does one thing as a login. */
  asLogin(name: DatabaseLoginName, sql: string): Promise<Record<string, unknown>[]>;
  file(name: string): string;
  /** The command line, as an administrator of Kafka who is logged in at the control API. */
  remit(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<string>;
  connect(agentId: string): Promise<RemitAgent>;
  stop(): Promise<void>;
}

export async function startSecuredWorld(agents: readonly string[]): Promise<SecuredWorld> {
  const users = [...RUNNING_SERVICES.map((name) => `remit-${name}`), ...agents];
  const broker = await startSecuredBroker(Object.fromEntries(users.map((name) => [name, PASSWORD])));
  const database = await createOwnDatabase();
  // logins are of the whole server, which other specs use as well
  const prefix = `s${randomBytes(4).toString('hex')}_`;
  let apps: RunningApp[] = [];
  let port = 0;

  const file = (name: string): string => join(broker.folder, name);
  const loginOf = (name: DatabaseLoginName): string => `${prefix}${name}`;

  function addressOf(name: DatabaseLoginName, password = ''): string {
    const url = new URL(database.url);
    url.username = loginOf(name);
    url.password = password;
    return url.href;
  }

  function securityOf(username: string): KafkaSecurity {
    return {
      tls: { caFile: broker.caFile },
      sasl: { mechanism: 'scram-sha-512', username, password: { text: PASSWORD } },
    };
  }

  async function remit(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const tool = spawn(process.execPath, [CLI, ...args], {
      env: {
        KAFKA_BROKERS: broker.administration,
        REMIT_DOOR_URL: `http://127.0.0.1:${String(port)}/`,
        REMIT_STATE_DIR: file('state'),
        REMIT_CREDENTIALS: file('login.json'),
        REMIT_RECORD_KEYS: file('record-keys'),
        HOME: broker.folder,
        ...env,
      },
    });
    const chunks: Buffer[] = [];
    for (const stream of [tool.stdout, tool.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    const code = await new Promise((resolve) => tool.once('close', resolve));
    const said = Buffer.concat(chunks).toString('utf8');
    if (code !== 0) throw new Error(said);
    return said;
  }

  async function prepareDatabase(): Promise<void> {
    await database.query(await remit(['database', 'roles', '--prefix', prefix]));
    for (const name of Object.keys(DATABASE_LOGINS) as DatabaseLoginName[]) {
      await database.query(`ALTER ROLE ${loginOf(name)} PASSWORD '${PASSWORD}'`);
    }
    await remit(['database', 'migrate'], { DATABASE_URL: addressOf('owner', PASSWORD) });
  }

  async function prepareKafka(): Promise<void> {
    await remit(['kafka', 'topics']);
    await remit(['kafka', 'acls', '--service', ...RUNNING_SERVICES, '--agent', ...agents, '--apply']);
    for (const name of RUNNING_SERVICES) {
      const [key, trusted] = [file(`${name}.pem`), file('trusted-keys.json')];
      await remit(['keys', 'create', '--service', name, '--key', key, '--trusted', trusted]);
    }
  }

  await mkdir(file('state'));
  await writeFile(file('password'), `${PASSWORD}\n`);
  await Promise.all([prepareDatabase(), prepareKafka()]);
  apps = await Promise.all(
    RUNNING_SERVICES.map((name) =>
      startApp(
        name,
        { brokers: [broker.address], databaseUrl: name === 'boundary' ? '' : addressOf(name) },
        {
          KAFKA_TLS_CA_FILE: broker.caFile,
          KAFKA_SASL_MECHANISM: 'scram-sha-512',
          KAFKA_SASL_USERNAME: `remit-${name}`,
          KAFKA_SASL_PASSWORD_FILE: file('password'),
          DATABASE_PASSWORD_FILE: name === 'boundary' ? '' : file('password'),
          REMIT_SIGNING_KEY_FILE: file(`${name}.pem`),
          REMIT_TRUSTED_KEYS_FILE: file('trusted-keys.json'),
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
  await remit(['login', '--as', 'gwen', '--role', 'governance']);
  await remit(['charter', 'activate', file('charter.yaml')]);
  await untilReady(apps);
  const administrator = new KafkaBus({ brokers: [broker.administration] });

  return {
    broker,
    database,
    apps,
    administrator,
    securityOf,
    loginOf,
    urlOf: (name) => addressOf(name, PASSWORD),
    async asLogin(name, sql) {
      const client = new pg.Client({ connectionString: addressOf(name, PASSWORD) });
      await client.connect();
      try {
        return (await client.query<Record<string, unknown>>(sql)).rows;
      } finally {
        await client.end();
      }
    },
    file,
    remit,
    connect: (agentId) =>
      RemitAgent.connect({
        agentId,
        brokers: [broker.address],
        security: securityOf(agentId),
        trustedKeysFile: file('trusted-keys.json'),
        timeoutMs: 120_000,
      }),
    async stop() {
      await administrator.close();
      await Promise.all(apps.map((app) => app.stop()));
      // the owner's tables go first
      const logins = Object.keys(DATABASE_LOGINS).map((name) => loginOf(name as DatabaseLoginName));
      await database.query('DROP SCHEMA record, event_store CASCADE');
      await database.query(`DROP OWNED BY ${logins.join(', ')}`);
      await database.query(`DROP ROLE ${logins.join(', ')}`);
      await database.drop();
      await broker.remove();
    },
  };
}
