import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { PostgresHistory, type RecordedMessage } from '#record';
import { requireKafka } from '#testing';
import { createOwnDatabase, type OwnDatabase } from './own-database.js';

const ROOT = join(import.meta.dirname, '../..');

type Child = ChildProcessByStdio<null, Readable, Readable>;

/** What came of a command. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A record of its own, and the command line tool beside it. */
export class KeptRecord {
  private constructor(
    private readonly database: OwnDatabase,
    private readonly folder: string,
    readonly history: PostgresHistory,
  ) {}

  static async holding(messages: readonly RecordedMessage[]): Promise<KeptRecord> {
    const folder = mkdtempSync(join(tmpdir(), 'remit-kept-'));
    const database = await createOwnDatabase();
    const history = new PostgresHistory({ databaseUrl: database.url, keyFolder: folder });
    await history.append(messages);
    return new KeptRecord(database, folder, history);
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  remit(...args: string[]): Promise<Ran> {
    return ended(this.#start(args));
  }

  /** With these settings instead of its own. */
  remitWith(environment: Record<string, string>, ...args: string[]): Promise<Ran> {
    return ended(this.#start(args, environment));
  }

  /** As in `remit … | true`: nobody reads what it prints. */
  remitUnread(...args: string[]): Promise<Ran> {
    const child = this.#start(args);
    child.stdout.destroy();
    return ended(child);
  }

  #start(args: readonly string[], environment: Record<string, string> = {}): Child {
    return spawn(process.execPath, [join(ROOT, 'dist/apps/cli/main.js'), ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        DATABASE_URL: this.database.url,
        KAFKA_BROKERS: requireKafka().join(','),
        REMIT_RECORD_KEYS: this.folder,
        REMIT_CREDENTIALS: this.file('login.json'),
        ...environment,
      },
    });
  }

  async drop(): Promise<void> {
    await this.history.close();
    await this.database.drop();
    rmSync(this.folder, { recursive: true });
  }
}

function ended(child: Child): Promise<Ran> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ code: code ?? -1, out: Buffer.concat(out).toString('utf8'), err: Buffer.concat(err).toString('utf8') });
    });
  });
}
