import { randomUUID } from 'node:crypto';
import { createServer, connect, type Socket } from 'node:net';
import pg from 'pg';
import { freePort, requireDatabaseUrl } from '#testing';

/** A database of one spec file. */
export interface OwnDatabase {
  readonly url: string;
  query(sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** A copy of the whole database; nobody else may be connected. */
  backUp(): Promise<void>;
  /** The database is again what it was at the last {@link backUp}. */
  restore(): Promise<void>;
  drop(): Promise<void>;
}

/** Creates an empty database on the server of DATABASE_URL. */
export async function createOwnDatabase(): Promise<OwnDatabase> {
  const name = `spec_${randomUUID().replaceAll('-', '')}`;
  const server = new pg.Client({ connectionString: requireDatabaseUrl() });
  await server.connect();
  await server.query(`CREATE DATABASE ${name}`);
  const url = new URL(requireDatabaseUrl());
  url.pathname = `/${name}`;
  let inside: pg.Client;
  const connect = async (): Promise<void> => {
    inside = new pg.Client({ connectionString: url.href });
    await inside.connect();
  };
  await connect();
  const copy = async (from: string, to: string): Promise<void> => {
    await inside.end();
    await server.query(`DROP DATABASE IF EXISTS ${to} WITH (FORCE)`);
    await server.query(`CREATE DATABASE ${to} TEMPLATE ${from}`);
    await connect();
  };
  return {
    url: url.href,
    query: async (sql, values) => (await inside.query<Record<string, unknown>>(sql, values)).rows,
    backUp: () => copy(name, `${name}_backup`),
    restore: () => copy(`${name}_backup`, name),
    drop: async () => {
      await inside.end();
      await server.query(`DROP DATABASE IF EXISTS ${name}_backup WITH (FORCE)`);
      await server.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await server.end();
    },
  };
}

/**
 * Empties the record of a database, which nobody can by ordinary means: not even the owner may delete from it while
 * its triggers work.
 */
export async function emptyRecord(database: OwnDatabase): Promise<void> {
  const tables = await database.query(
    `SELECT format('record.%I', tablename) AS name FROM pg_tables
     WHERE schemaname = 'record' AND tablename NOT IN ('migration', 'identity', 'intent_key', 'key_person')`,
  );
  await asIntruder(database, `TRUNCATE ${tables.map(({ name }) => String(name)).join(', ')}`);
}

/** Does what only someone with the server in their hands can: changes the record with its triggers silenced. */
export async function asIntruder(database: OwnDatabase, sql: string, values?: unknown[]): Promise<void> {
  await database.query('SET session_replication_role = replica');
  try {
    await database.query(sql, values);
  } finally {
    await database.query('SET session_replication_role = DEFAULT');
  }
}

/** A way to the server that can be cut and mended, as when the server stops and starts again. */
export interface Line {
  readonly url: string;
  cut(): Promise<void>;
  mend(): Promise<void>;
  /** Nothing gets through any more, either way, and nobody is told: connections stay, and new ones are taken. */
  hang(): void;
  /** What could not get through does so now. */
  goOn(): void;
}

export async function openLine(databaseUrl: string): Promise<Line> {
  const port = await freePort();
  const target = new URL(databaseUrl);
  const sockets = new Map<Socket, Socket>();
  let hangs = false;
  const server = createServer((near) => {
    const far = connect(Number(target.port || '5432'), target.hostname);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.set(socket, other);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      if (!hangs) socket.pipe(other);
    }
  });
  const listen = () =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });
  await listen();
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${String(port)}`;
  return {
    url: url.href,
    cut: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        for (const socket of sockets.keys()) socket.destroy();
      }),
    mend: listen,
    hang: () => {
      hangs = true;
      for (const socket of sockets.keys()) socket.unpipe();
    },
    goOn: () => {
      // twice through two pipes would be everything twice
      if (!hangs) return;
      hangs = false;
      for (const [socket, other] of sockets) socket.pipe(other);
    },
  };
}
