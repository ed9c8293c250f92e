import { MigrationExecutor, type DataSource } from 'typeorm';
import { grantRights, openDatabase } from '#postgres';
import { NEWEST_MIGRATION, RECORD_MIGRATIONS, RECORD_SCHEMA } from './history-table.js';
import { recordErrorOf } from './record-error.js';
import { RECORD_RIGHTS, RECORD_ROLES, type RecordRole } from './record-rights.js';

export interface RecordDatabaseOptions {
  /** `postgres://user:password@host:port/database` */
  readonly databaseUrl: string;
  /** Folder of the record's secrets; where the configuration says, unless told. */
  readonly keyFolder?: string | undefined;
  /** Most connections at once; 4 unless told. */
  readonly poolSize?: number | undefined;
  /** How long one statement may take, ms; 15 s unless told, and `null` is as long as it needs. */
  readonly statementMs?: number | null | undefined;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName?: string | undefined;
  /** Hears of idle connections that the server has cut; they are replaced when next needed. */
  readonly onConnectionLost?: ((error: Error) => void) | undefined;
  /** Hears of every connection before it is opened: the database behind it may have been set back since the last one. */
  readonly onConnecting?: (() => void) | undefined;
}

const STATEMENT_MS = 15_000;
/** Any number will do as long as every replica uses the same: replicas that start together migrate one by one. */
const MIGRATION_LOCK = 7_236_411;

function databaseOptions(options: RecordDatabaseOptions) {
  return {
    databaseUrl: options.databaseUrl,
    schema: RECORD_SCHEMA,
    applicationName: options.applicationName ?? 'remit-record',
    onConnectionLost: options.onConnectionLost,
    onConnecting: options.onConnecting,
  };
}

/**
 * Creates or updates the record's tables, as the role of the connection. Safe when many processes do it at once, and
 * asks for no right to create anything where nothing is to be done, unless it is to grant all rights again. Returns whether
 * the role may become `role`.
 */
async function migrate(options: RecordDatabaseOptions, role: RecordRole, grantsAgain = false): Promise<boolean> {
  const source = await openDatabase({
    ...databaseOptions(options),
    poolSize: 1,
    migrations: RECORD_MIGRATIONS,
    statementMs: options.statementMs ?? STATEMENT_MS,
    // what creates or changes tables takes as long as they are large
    isUnlimited: true,
  });
  try {
    const runner = source.createQueryRunner();
    try {
      if (grantsAgain || !(await isUpToDate(source))) {
        await runner.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
        await runner.query(`CREATE SCHEMA IF NOT EXISTS ${RECORD_SCHEMA}`);
        await new MigrationExecutor(source, runner).executePendingMigrations();
        await grantRights(runner, RECORD_SCHEMA, Object.values(RECORD_RIGHTS));
      }
      const rows = (await runner.query(
        `SELECT bool_or(pg_has_role(current_user, oid,
             CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)
           AND has_table_privilege(oid, 'record.history', 'SELECT')) AS may FROM pg_roles WHERE rolname = $1`,
        [RECORD_ROLES[role]],
      )) as { may: boolean | null }[];
      return rows[0]?.may === true;
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
    `SELECT to_regclass('record.migration') IS NOT NULL AND has_schema_privilege('record', 'USAGE') AS there
     FROM pg_namespace WHERE nspname = 'record'`,
  );
  if (table?.there !== true) return false;
  const done = await source.query<unknown[]>('SELECT FROM record.migration WHERE name = $1', [NEWEST_MIGRATION]);
  return done.length > 0;
}

/** Creates or updates the audit log's tables and grants every right to them, as the role of the connection: their owner. */
export async function migrateRecord(options: RecordDatabaseOptions): Promise<void> {
  try {
    await migrate(options, 'writer', true);
  } catch (error) {
    throw recordErrorOf(error);
  }
}

/**
 * A connection pool to a record whose tables are up to date. It works as the database role of its task where the
 * connecting role may become that, else as the connecting role.
 */
export async function openRecordDatabase(options: RecordDatabaseOptions, role: RecordRole): Promise<DataSource> {
  const mayBecome = await migrate(options, role);
  return openDatabase({
    ...databaseOptions(options),
    poolSize: options.poolSize ?? 4,
    statementMs: options.statementMs === undefined ? STATEMENT_MS : options.statementMs,
    role: mayBecome ? RECORD_ROLES[role] : undefined,
  });
}
