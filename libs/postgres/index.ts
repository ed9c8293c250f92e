export * from './database.js';
export { DatabaseError, type DatabaseErrorCode } from './database-error.js';
export * from './programming-error.js';
export * from './role-rights.js';
