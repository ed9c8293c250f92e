export * from './case-run.js';
export * from './decision-cases.js';
