import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

/** A PostgreSQL server that belongs to one spec, which may stop it, change its files and start it again. */
export interface OwnPostgres {
  /** Of its database; another one after each start. */
  readonly url: string;
  /** The server's data folder. */
  readonly data: string;
  query(sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  start(): Promise<void>;
  /** An orderly stop, after which the files are a backup. */
  stop(): Promise<void>;
  drop(): Promise<void>;
}

interface Start {
  readonly command: string;
  readonly args: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
}

/** Starts a server of its own. Throws what the start-up tools throw where there is none for this machine. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'remit-own-postgres-'));
  const log = join(folder, 'postgres.log');
  let server: ChildProcess | undefined;
  let url = '';
  let data = '';

  const stop = async (): Promise<void> => {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGINT');
    await exited;
  };
  const tools = (await import(new URL('../../tools/backends/postgres.mjs', import.meta.url).href)) as {
    startPostgres(run: object): Promise<string>;
  };
  const start = async (): Promise<void> => {
    url = await tools.startPostgres({
      folder,
      // what is copied must be whole: nothing is left to the system's caches
      fresh: false,
      cleanUpWith: () => undefined,
      start: ({ command, args, uid, gid }: Start) => {
        data = args[args.indexOf('-D') + 1] ?? '';
        const sink = openSync(log, 'a');
        const user = uid === undefined || gid === undefined ? {} : { uid, gid };
        server = spawn(command, args, { stdio: ['ignore', sink, sink], ...user });
        return { exited: once(server, 'exit'), log };
      },
      stop,
    });
  };
  await start();
  return {
    get url() {
      return url;
    },
    get data() {
      return data;
    },
    start,
    stop,
    async query(sql, values) {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      try {
        return (await client.query<Record<string, unknown>>(sql, values)).rows;
      } finally {
        await client.end();
      }
    },
    async drop() {
      await stop();
      await rm(folder, { recursive: true, force: true });
      // of a checkout that the server's user cannot reach
      if (!data.startsWith(folder)) await rm(join(data, '..'), { recursive: true, force: true });
    },
  };
}
