export * from './history.js';
export * from './memory-history.js';
export * from './postgres-history.js';
export * from './record-error.js';
export type { RecordDatabaseOptions } from './record-database.js';
