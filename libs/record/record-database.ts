import { DataSource, type DataSourceOptions } from 'typeorm';
import { historyTable, RECORD_MIGRATIONS, RECORD_SCHEMA } from './history-table.js';

export interface RecordDatabaseOptions {
  /** `postgres://user:password@host:port/database` */
  readonly databaseUrl: string;
  /** Most connections at once; 4 unless told. */
  readonly poolSize?: number | undefined;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName?: string | undefined;
  /** Hears of idle connections that the server has cut; they are replaced when next needed. */
  readonly onConnectionLost?: ((error: Error) => void) | undefined;
}

const CONNECT_MS = 5_000;
const STATEMENT_MS = 15_000;
/** Any number will do as long as every replica uses the same: replicas that start together migrate one by one. */
const MIGRATION_LOCK = 7_236_411;

function sourceOptions(options: RecordDatabaseOptions) {
  return {
    type: 'postgres',
    url: options.databaseUrl,
    schema: RECORD_SCHEMA,
    applicationName: options.applicationName ?? 'remit-record',
    connectTimeoutMS: CONNECT_MS,
    logging: false,
    // Without a handler, a server that stops takes this process with it.
    poolErrorHandler: (error: Error) => options.onConnectionLost?.(error),
  } as const satisfies DataSourceOptions;
}

/** Creates or updates the record's tables. Safe when many processes do it at once. */
async function migrate(options: RecordDatabaseOptions): Promise<void> {
  const source = new DataSource({
    ...sourceOptions(options),
    poolSize: 2,
    migrations: RECORD_MIGRATIONS,
    migrationsTableName: 'migration',
  });
  await source.initialize();
  try {
    const lock = source.createQueryRunner();
    try {
      await lock.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
      await lock.query(`CREATE SCHEMA IF NOT EXISTS ${RECORD_SCHEMA}`);
      await source.runMigrations({ transaction: 'each' });
    } finally {
      await lock.release();
    }
  } finally {
    // Ends the session and with it the lock.
    await source.destroy();
  }
}

/** A connection pool to a record whose tables are up to date. */
export async function openRecordDatabase(options: RecordDatabaseOptions): Promise<DataSource> {
  await migrate(options);
  const source = new DataSource({
    ...sourceOptions(options),
    poolSize: options.poolSize ?? 4,
    entities: [historyTable],
    extra: { statement_timeout: STATEMENT_MS, query_timeout: STATEMENT_MS + CONNECT_MS, keepAlive: true },
  });
  return source.initialize();
}
