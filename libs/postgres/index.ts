export * from './database.js';
export type { DatabaseErrorCode } from './database-error.js';
export { databaseFailureOf } from './database-failure.js';
export * from './role-rights.js';
