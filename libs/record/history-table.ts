import { EntitySchema, type MigrationInterface, type QueryRunner } from 'typeorm';
import type { HistoryEntry } from './history.js';
import { headersFromText, headersToText } from './stored-headers.js';

/** The PostgreSQL schema that holds the record and nothing else. */
export const RECORD_SCHEMA = 'record';

const searchTerm = (name: string) => ({ name, type: 'text', nullable: true }) as const;

export const historyTable = new EntitySchema<HistoryEntry>({
  name: 'history',
  schema: RECORD_SCHEMA,
  tableName: 'history',
  columns: {
    topic: { type: 'text', primary: true },
    partition: { type: 'integer', primary: true },
    offset: { type: 'bigint', primary: true, transformer: { from: Number, to: String } },
    appendTime: {
      name: 'append_time',
      type: 'timestamptz',
      transformer: { from: (time: Date) => time.getTime(), to: (ms: number) => new Date(ms) },
    },
    key: { type: 'bytea', nullable: true },
    headers: { type: 'text', transformer: { from: headersFromText, to: headersToText } },
    value: { type: 'bytea', nullable: true },
    eventType: searchTerm('event_type'),
    eventId: searchTerm('event_id'),
    agentId: searchTerm('agent_id'),
    intentId: searchTerm('intent_id'),
    chainId: searchTerm('chain_id'),
    actionType: searchTerm('action_type'),
    target: searchTerm('target'),
    outcome: searchTerm('outcome'),
    traceId: searchTerm('trace_id'),
  },
});

/** Texts sort by code point, so that paging does not depend on the server's locale. */
class CreateHistory1764000000000 implements MigrationInterface {
  readonly name = 'CreateHistory1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE record.history (
        topic       text COLLATE "C" NOT NULL,
        "partition" integer          NOT NULL,
        "offset"    bigint           NOT NULL,
        append_time timestamptz      NOT NULL,
        key         bytea,
        headers     text COLLATE "C" NOT NULL,
        value       bytea,
        event_type  text COLLATE "C",
        event_id    text COLLATE "C",
        agent_id    text COLLATE "C",
        intent_id   text COLLATE "C",
        chain_id    text COLLATE "C",
        action_type text COLLATE "C",
        target      text COLLATE "C",
        outcome     text COLLATE "C",
        trace_id    text COLLATE "C",
        PRIMARY KEY (topic, "partition", "offset")
      )`);
    await runner.query(`CREATE INDEX history_by_time ON record.history (append_time, topic, "partition", "offset")`);
    for (const term of ['agent_id', 'action_type', 'target', 'outcome']) {
      await runner.query(
        `CREATE INDEX history_by_${term} ON record.history (${term}, append_time) WHERE ${term} IS NOT NULL`,
      );
    }
    for (const term of ['chain_id', 'intent_id', 'trace_id']) {
      await runner.query(`CREATE INDEX history_by_${term} ON record.history (${term}) WHERE ${term} IS NOT NULL`);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE record.history');
  }
}

export const RECORD_MIGRATIONS = [CreateHistory1764000000000];
