export * from './authority-runtime.js';
export * from './authority-timer.js';
export * from './command-handler.js';
export * from './decision-handler.js';
export * from './permission-store.js';
export * from './second-round-handler.js';
export * from './use-reservations.js';
