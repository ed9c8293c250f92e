import { MigrationExecutor, type DataSource } from 'typeorm';
import { grantRights, openDatabase } from '#postgres';
import { eventStoreErrorOf } from './event-store-error.js';
import { EVENT_STORE_RIGHTS } from './event-rights.js';
import { EVENT_STORE_MIGRATIONS, EVENT_STORE_SCHEMA, NEWEST_EVENT_STORE_MIGRATION } from './event-tables.js';

export interface EventDatabaseOptions {
  /** `postgres://user:password@host:port/database` */
  readonly databaseUrl: string;
  /** Most connections at once; 8 unless told. Each stream that is being published holds one. */
  readonly poolSize?: number | undefined;
  /** How long one statement may take, ms; 15 s unless told. */
  readonly statementMs?: number | undefined;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName?: string | undefined;
  /** How long a replica may publish one turn of a stream before another may take over, ms; 30 s unless told. */
  readonly publishTurnMs?: number | undefined;
  /** Hears of idle connections that the server has cut; they are replaced when next needed. */
  readonly onConnectionLost?: ((error: Error) => void) | undefined;
}

const STATEMENT_MS = 15_000;
/** Any number will do as long as every replica uses the same: replicas that start together migrate one by one. */
const MIGRATION_LOCK = 7_236_412;

function databaseOptions(options: EventDatabaseOptions) {
  return {
    databaseUrl: options.databaseUrl,
    schema: EVENT_STORE_SCHEMA,
    applicationName: options.applicationName ?? 'remit-event-store',
    statementMs: options.statementMs ?? STATEMENT_MS,
    onConnectionLost: options.onConnectionLost,
  };
}

/**
 * Creates or updates the tables. Safe when many replicas do it at once, and asks for no right to create anything where
 * nothing is to be done, unless it is to grant all rights again.
 */
async function migrate(options: EventDatabaseOptions, grantsAgain = false): Promise<void> {
  const source = await openDatabase({
    ...databaseOptions(options),
    poolSize: 1,
    migrations: EVENT_STORE_MIGRATIONS,
    // what creates or changes tables takes as long as they are large
    isUnlimited: true,
  });
  try {
    const runner = source.createQueryRunner();
    try {
      if (!grantsAgain && (await isUpToDate(source))) return;
      await runner.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
      await runner.query(`CREATE SCHEMA IF NOT EXISTS ${EVENT_STORE_SCHEMA}`);
      await new MigrationExecutor(source, runner).executePendingMigrations();
      await grantRights(runner, EVENT_STORE_SCHEMA, EVENT_STORE_RIGHTS);
    } finally {
      await runner.release();
    }
  } finally {
    // Ends the session and with it the lock.
    await source.destroy();
  }
}

async function isUpToDate(source: DataSource): Promise<boolean> {
  const [table] = await source.query<{ there: boolean }[]>(
    `SELECT to_regclass('event_store.migration') IS NOT NULL AND has_schema_privilege('event_store', 'USAGE') AS there
     FROM pg_namespace WHERE nspname = 'event_store'`,
  );
  if (table?.there !== true) return false;
  const done = await source.query<unknown[]>('SELECT FROM event_store.migration WHERE name = $1', [
    NEWEST_EVENT_STORE_MIGRATION,
  ]);
  return done.length > 0;
}

/** Creates or updates the event store's tables and grants every right to them, as the role of the connection: their owner. */
export async function migrateEventStore(options: EventDatabaseOptions): Promise<void> {
  try {
    await migrate(options, true);
  } catch (error) {
    throw eventStoreErrorOf(error);
  }
}

/** A connection pool to a store whose tables are up to date. */
export async function openEventDatabase(options: EventDatabaseOptions): Promise<DataSource> {
  await migrate(options);
  return openDatabase({ ...databaseOptions(options), poolSize: options.poolSize ?? 8 });
}
