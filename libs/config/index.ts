export * from './config.js';
export type { KafkaSasl, KafkaSecurity, KafkaTls, Secret } from './kafka-security.js';
export { readDatabaseUrl, type DatabaseAddress, type DatabaseTls } from './database-address.js';
