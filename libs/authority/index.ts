export * from './authority-runtime.js';
export * from './authority-timer.js';
export { createCommandHandler, standingOfCommand, type CommandStanding } from './command-handler.js';
export * from './decision-handler.js';
export * from './permission-state-timer.js';
export * from './permission-store.js';
export { createRequestHandler, MAX_LETTERS_PER_MINUTE } from './request-handler.js';
export * from './second-round-handler.js';
export * from './use-reservations.js';
