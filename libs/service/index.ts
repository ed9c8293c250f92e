export * from './activate-charter.js';
export * from './bus.module.js';
export * from './engine.js';
export * from './health.js';
export * from './judging.module.js';
export * from './run-service.js';
