export * from './segment.js';
export * from './views.js';
