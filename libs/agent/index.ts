export type { TraceHeaders } from '#telemetry';
export type { AgentCode, Answer } from './answer.js';
export type { IntentOptions } from './intent.js';
export * from './remit-agent.js';
