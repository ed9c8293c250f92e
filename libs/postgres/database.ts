import { Socket } from 'node:net';
import { DataSource, type DataSourceOptions, type MigrationInterface } from 'typeorm';
import { readDatabaseUrl, type DatabaseAddress } from '#config';
import { AnsweredClient } from './answered-client.js';
import { readCredentials } from './secured-connection.js';

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`, with the parameters that `readDatabaseUrl` takes. */
  readonly databaseUrl: string;
  /** Where its tables are. */
  readonly schema: string;
  /** Most connections at once. */
  readonly poolSize: number;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** How long the server may take for one statement, ms; `null`: as long as it needs. It is told so, and cuts it off. */
  readonly statementMs: number | null;
  /** The server is not told about `statementMs`: only its silence is noticed. */
  readonly isUnlimited?: boolean | undefined;
  /** The role to work as; that of `databaseUrl` unless told. */
  readonly role?: string | undefined;
  readonly migrations?: readonly (new () => MigrationInterface)[] | undefined;
  /** Hears of idle connections that the server has cut; they are replaced when next needed. */
  readonly onConnectionLost?: ((error: Error) => void) | undefined;
  /** Hears of every connection before it is opened: the database behind it may have been set back since the last one. */
  readonly onConnecting?: (() => void) | undefined;
}

const CONNECT_MS = 5_000;

/** Later than the server itself would have cut a statement off: then it is silent. */
const silentAfter = (statementMs: number): number => statementMs + Math.min(statementMs, CONNECT_MS);

/**
 * Opens a pool of connections. Files with certificates and passwords are read again for each, so a rotated one needs no
 * restart. A connection whose server has fallen silent is closed, and replaced when next needed.
 * Of a pool that cannot be opened nothing is left behind.
 */
export async function openDatabase(options: DatabaseOptions): Promise<DataSource> {
  const read = readDatabaseUrl(options.databaseUrl);
  if (!read.ok) throw new Error(`the address of the database ${read.problem}`);
  const { address } = read;
  const sockets = new Set<Socket>();
  const source = new DataSource({
    ...sourceOptions(options, address),
    extra: {
      ...connectionOptions(options),
      credentials: () => readCredentials(address),
      stream: () => {
        options.onConnecting?.();
        return keptIn(sockets);
      },
    },
  });
  try {
    return await source.initialize();
  } catch (error) {
    for (const socket of sockets) socket.destroy();
    throw error;
  }
}

function keptIn(sockets: Set<Socket>): Socket {
  const socket = new Socket();
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  return socket;
}

function sourceOptions(
  { schema, poolSize, applicationName, migrations, ...options }: DatabaseOptions,
  { host, port, database, user }: DatabaseAddress,
) {
  return {
    type: 'postgres',
    host,
    port,
    database,
    ...(user === undefined ? {} : { username: user }),
    schema,
    poolSize,
    applicationName,
    connectTimeoutMS: CONNECT_MS,
    logging: false,
    installExtensions: false,
    ...(migrations === undefined ? {} : { migrations: [...migrations], migrationsTableName: 'migration' }),
    // Without a handler, a server that stops takes this process with it.
    poolErrorHandler: (error: Error) => options.onConnectionLost?.(error),
  } as const satisfies DataSourceOptions;
}

function connectionOptions({ statementMs, isUnlimited, role }: DatabaseOptions) {
  const settings = [
    ...(isUnlimited === true ? [] : [`-c statement_timeout=${String(statementMs ?? 0)}`]),
    ...(role === undefined ? [] : [`-c role=${role}`]),
  ];
  return {
    Client: AnsweredClient,
    ...(statementMs === null ? {} : { answerMs: silentAfter(statementMs) }),
    keepAlive: true,
    ...(settings.length === 0 ? {} : { options: settings.join(' ') }),
  };
}
