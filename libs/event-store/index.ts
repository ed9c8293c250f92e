export * from './event-store.js';
export * from './event-store-error.js';
export { MemoryEventStorage, MemoryEventStore } from './memory-event-store.js';
export { LogComparison, type Fork, type LoggedEvent, type Taken } from './log-comparison.js';
export { PostgresEventStore } from './postgres-event-store.js';
export type { EventDatabaseOptions } from './event-database.js';
export * from './publishing.js';
export * from './aggregates.js';
