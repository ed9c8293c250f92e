import type { QueryRunner } from 'typeorm';

export type TablePrivilege = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE';

/** What one role may do in one schema. */
export interface RoleRights {
  readonly role: string;
  readonly tables: Readonly<Record<string, readonly TablePrivilege[]>>;
  /** Columns that it may update, by table. */
  readonly updates?: Readonly<Record<string, readonly string[]>>;
  /** Functions with the types of their arguments. */
  readonly functions?: readonly string[];
  /** Tables that it may vacuum, which PostgreSQL 17 and newer grant apart. */
  readonly maintains?: readonly string[];
}

/** The statements that give a role its rights; all may be run again. They take nothing away. */
export function grantStatements(
  schema: string,
  { role, tables, updates = {}, functions = [], maintains = [] }: RoleRights,
): string[] {
  return [
    `GRANT USAGE ON SCHEMA ${schema} TO ${role}`,
    ...Object.entries(tables).map(
      ([table, privileges]) => `GRANT ${privileges.join(', ')} ON ${schema}.${table} TO ${role}`,
    ),
    ...Object.entries(updates).map(
      ([table, columns]) => `GRANT UPDATE (${columns.join(', ')}) ON ${schema}.${table} TO ${role}`,
    ),
    ...functions.map((signature) => `GRANT EXECUTE ON FUNCTION ${schema}.${signature} TO ${role}`),
    ...maintains.map(
      (table) => `DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 170000 THEN GRANT MAINTAIN ON ${schema}.${table} TO ${role}; END IF;
END $$`,
    ),
  ];
}

/**
 * Gives their rights to those of the roles that are there. Where the connecting role may create roles, those that are
 * missing are created first; their names are plain identifiers.
 */
export async function grantRights(runner: QueryRunner, schema: string, all: readonly RoleRights[]): Promise<void> {
  const [may] = (await runner.query(
    'SELECT rolsuper OR rolcreaterole AS "createsRoles" FROM pg_roles WHERE rolname = current_user',
  )) as { createsRoles: boolean }[];
  for (const rights of all) {
    // roles belong to the whole server: another database, or another replica, may be creating them just now
    if (may?.createsRoles === true) {
      await runner.query(`DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${rights.role}') THEN CREATE ROLE ${rights.role} NOLOGIN; END IF;
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`);
    }
    const found = (await runner.query('SELECT FROM pg_roles WHERE rolname = $1', [rights.role])) as unknown[];
    if (found.length === 0) continue;
    for (const statement of grantStatements(schema, rights)) await runner.query(statement);
  }
}
