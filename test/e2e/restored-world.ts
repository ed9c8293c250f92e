import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafkajs, { type Admin } from 'kafkajs';
import { RemitAgent } from '#agent';
import { eventually, startApp, untilReady, type RunningApp } from '#testing';
import { CHARTER_TEXT } from '../integration/door-world.js';
import { startOwnBroker, type OwnBroker } from '../integration/own-broker.js';
import type { OwnDatabase } from '../integration/own-database.js';

const ROOT = join(import.meta.dirname, '../..');
const CLI = join(ROOT, 'dist/apps/cli/main.js');

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface ListedDiscrepancy {
  readonly id: string;
  readonly kind: string;
  readonly topic: string;
  readonly partition: number;
  readonly reader: string;
  readonly from: number;
  readonly to: number;
}

function adminOf({ address }: OwnBroker): Admin {
  return new kafkajs.Kafka({ brokers: [address], logLevel: kafkajs.logLevel.NOTHING }).admin();
}

/** A whole Remit with a broker and a database of its own, which can be stopped, backed up, set back and cut. */
export class RestoredWorld {
  app: RunningApp | undefined;
  #admin: Admin;

  private constructor(
    public broker: OwnBroker,
    readonly database: Pick<OwnDatabase, 'url' | 'query' | 'drop'>,
    readonly folder: string,
  ) {
    this.#admin = adminOf(broker);
  }

  get admin(): Admin {
    return this.#admin;
  }

  /** Another broker in its place, which has nothing of what the one before had. Remit must have been stopped. */
  async loseLog(): Promise<void> {
    await this.#admin.disconnect();
    await this.broker.remove();
    this.broker = await startOwnBroker();
    this.#admin = adminOf(this.broker);
    await this.#admin.connect();
  }

  static async open(makeDatabase: () => Promise<RestoredWorld['database']>): Promise<RestoredWorld> {
    const [broker, database] = await Promise.all([startOwnBroker(), makeDatabase()]);
    const world = new RestoredWorld(broker, database, await mkdtemp(join(tmpdir(), 'remit-restored-')));
    await world.admin.connect();
    return world;
  }

  /** Starts Remit; with a charter in force it is waited for until it is ready. */
  async start(until: 'ready' | 'answers' = 'ready'): Promise<RunningApp> {
    const app = await startApp(
      'standalone',
      { brokers: [this.broker.address], databaseUrl: this.database.url },
      { REMIT_STATE_DIR: this.folder, REMIT_RECORD_KEYS: join(this.folder, 'record-keys'), REMIT_EPOCH_MS: '500' },
    );
    this.app = app;
    await eventually(async () => {
      if (app.process.exitCode !== null) throw new Error(app.output());
      return (await app.readyStatus()) !== 0;
    });
    await this.did('gwen', 'login', '--as', 'gwen', '--role', 'governance');
    await this.did('sam', 'login', '--as', 'sam', '--role', 'security');
    if (until === 'ready') await untilReady([app]);
    return app;
  }

  async stop(): Promise<void> {
    await this.app?.stop();
    this.app = undefined;
  }

  /** The first start, after which a charter is in force. */
  async begin(): Promise<void> {
    await this.start('answers');
    const charter = join(this.folder, 'charter.yaml');
    await writeFile(
      charter,
      CHARTER_TEXT.replace('admin_access: {', 'admin_access: { required_for: { actions: [unlock] },'),
    );
    await this.did('gwen', 'charter', 'activate', charter);
    await untilReady([this.app as RunningApp]);
  }

  agent(): Promise<RemitAgent> {
    return RemitAgent.connect({ agentId: 'clerk', brokers: [this.broker.address], timeoutMs: 120_000 });
  }

  /** The command line, as one person, whose login is in a file of their own. */
  remit(person: string, ...args: string[]): Promise<Ran> {
    return new Promise((resolve) => {
      const tool = spawn(process.execPath, [CLI, ...args], { cwd: ROOT, env: this.environment(person) });
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      tool.stdout.on('data', (chunk: Buffer) => out.push(chunk));
      tool.stderr.on('data', (chunk: Buffer) => err.push(chunk));
      tool.once('close', (code) =>
        resolve({ code, out: Buffer.concat(out).toString('utf8'), err: Buffer.concat(err).toString('utf8') }),
      );
    });
  }

  environment(person: string): Record<string, string> {
    return {
      KAFKA_BROKERS: this.broker.address,
      DATABASE_URL: this.database.url,
      REMIT_DOOR_URL: `http://127.0.0.1:${String(this.app?.port)}`,
      REMIT_STATE_DIR: this.folder,
      REMIT_RECORD_KEYS: join(this.folder, 'record-keys'),
      REMIT_CREDENTIALS: join(this.folder, `${person}.json`),
      HOME: this.folder,
    };
  }

  /** {@link remit}, which must succeed. Returns what it printed. */
  async did(person: string, ...args: string[]): Promise<string> {
    const { code, out, err } = await this.remit(person, ...args);
    if (code !== 0) throw new Error(`remit ${args.join(' ')} ended with ${String(code)}: ${err}`);
    return out;
  }

  /** Returns the id of the grant. */
  async grant(reason: string): Promise<string> {
    const out = await this.did(
      'sam',
      ...['permissions', 'grant', 'clerk', 'admin_access', '--for', '10m', '--reason', reason, '--json'],
    );
    const { events } = JSON.parse(out) as { events: [{ grantId: string }] };
    return events[0].grantId;
  }

  /** What `/readyz` says is missing, by check. */
  async missing(): Promise<Readonly<Record<string, string>>> {
    const answer = await fetch(`http://127.0.0.1:${String(this.app?.port)}/readyz`);
    const { checks } = (await answer.json()) as { checks: Record<string, string> };
    return Object.fromEntries(Object.entries(checks).filter(([, check]) => check !== 'ok'));
  }

  async metrics(): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${String(this.app?.port)}/metrics`);
    return answer.text();
  }

  /** Messages that the audit log holds of a topic. */
  async stored(topic: string): Promise<number> {
    const [row] = await this.database.query(
      'SELECT count(*)::int AS count FROM record.history WHERE topic = $1 AND gap_until IS NULL',
      [topic],
    );
    return Number(row?.['count']);
  }

  /** `remit log discrepancies`, as people's tools read it. */
  async discrepancies(...options: string[]): Promise<readonly ListedDiscrepancy[]> {
    const listed = await this.did('gwen', 'log', 'discrepancies', '--json', ...options);
    return (JSON.parse(listed) as { discrepancies: ListedDiscrepancy[] }).discrepancies;
  }

  /** A person takes note of everything that is open. */
  async acknowledgeAll(reason: string): Promise<void> {
    const ids = (await this.discrepancies()).map(({ id }) => id);
    await this.did('gwen', 'log', 'acknowledge', ...ids, '--reason', reason);
  }

  /** Deletes what lies before an offset, as retention does. */
  async cut(topic: string, partition: number, before: number): Promise<void> {
    // deleting needs to know the leaders, and does not ask for them itself
    await this.admin.fetchTopicOffsets(topic);
    await this.admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] });
  }

  async close(): Promise<void> {
    await this.stop();
    await this.admin.disconnect();
    await Promise.all([this.broker.remove(), this.database.drop()]);
    await rm(this.folder, { recursive: true, force: true });
  }
}
