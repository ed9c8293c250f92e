export * from './bus.js';
export { BusError, codeOf, messageOf, type BusLog, type BusReport } from './errors.js';
export { outlookOf } from './outlook.js';
export * from './partition-of.js';
export * from './kafka-bus.js';
export * from './memory-bus.js';
export * from './as-of-view.js';
export * from './read-whole.js';
export * from './batch-transport.js';
