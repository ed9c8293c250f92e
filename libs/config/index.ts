export * from './config.js';
export type { KafkaSasl, KafkaSecurity, KafkaTls, Secret } from './kafka-security.js';
