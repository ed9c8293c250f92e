export * from './cause-proof.js';
export * from './keys.js';
export * from './message-signature.js';
export * from './signed-bus.js';
