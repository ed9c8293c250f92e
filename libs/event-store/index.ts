export * from './event-store.js';
export * from './event-store-error.js';
export { MemoryEventStorage, MemoryEventStore } from './memory-event-store.js';
export { LogComparison, type LoggedEvent } from './log-comparison.js';
export { PostgresEventStore } from './postgres-event-store.js';
export * from './publishing.js';
export * from './aggregates.js';
