export * from './topics.js';
export * from './events.js';
export * from './cloud-events.js';
export * from './digest.js';
export * from './partition.js';
export * from './json-schemas.js';
export * from './asyncapi.js';
