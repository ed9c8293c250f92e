export * from './judged.js';
export * from './judging-metrics.js';
export * from './judging-trace.js';
export * from './permission-state.js';
export * from './segment.js';
export * from './views.js';
