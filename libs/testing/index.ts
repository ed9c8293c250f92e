export * from './chain-script.js';
export * from './bus-suite.js';
export * from './backends.js';
export * from './event-store-suite.js';
export * from './running-system.js';
export * from './history-suite.js';
export * from './decider-specification.js';
export * from './authority-world.js';
