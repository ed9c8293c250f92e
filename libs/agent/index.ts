export type { AgentCode, Answer, TraceHeaders } from './answer.js';
export type { IntentOptions } from './intent.js';
export * from './remit-agent.js';
