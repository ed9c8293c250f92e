import type { DataSource, QueryRunner } from 'typeorm';
import { loadConfig } from '#config';
import { IntentKeys, type Query } from './intent-keys.js';
import { openRecordDatabase, type RecordDatabaseOptions } from './record-database.js';
import { recordErrorOf } from './record-error.js';
import { RecordKeys } from './record-keys.js';
import type { RecordRole } from './record-rights.js';

/**
 * The record's database, in one of its roles. It connects (and creates or updates its tables) when first used and
 * again after the server was away, so a process may start before its database does. Errors are `RecordError`s.
 */
export class RecordConnection {
  readonly #options: RecordDatabaseOptions;
  readonly #role: RecordRole;
  readonly keys: RecordKeys;
  readonly intentKeys: IntentKeys;
  #source: Promise<DataSource> | undefined;

  constructor(options: RecordDatabaseOptions, role: RecordRole) {
    this.#options = {
      ...options,
      onConnecting: () => {
        // keys that a restored database does not hold: what they seal could never be opened
        this.intentKeys.clear();
        options.onConnecting?.();
      },
    };
    this.#role = role;
    this.keys = new RecordKeys(options.keyFolder ?? loadConfig().recordKeys);
    this.intentKeys = new IntentKeys(this.keys);
  }

  /** One statement. */
  readonly query: Query = (sql, parameters) => this.with((source) => source.query(sql, [...parameters]));

  /** Work on one connection. */
  session<Result>(work: (runner: QueryRunner, query: Query) => Promise<Result>): Promise<Result> {
    return this.with(async (source) => {
      const runner = source.createQueryRunner();
      const query: Query = async <Row>(sql: string, parameters: readonly unknown[]) =>
        (await runner.query(sql, [...parameters])) as Row[];
      try {
        return await work(runner, query);
      } finally {
        await runner.release();
      }
    });
  }

  /** Work in one transaction, which sees one moment of the record. */
  snapshot<Result>(work: (query: Query) => Promise<Result>): Promise<Result> {
    return this.#inTransaction('REPEATABLE READ', work);
  }

  /** Work in one transaction, whose statements each see what is committed by then. */
  transaction<Result>(work: (query: Query) => Promise<Result>): Promise<Result> {
    return this.#inTransaction('READ COMMITTED', work);
  }

  async with<Result>(work: (source: DataSource) => Promise<Result>): Promise<Result> {
    try {
      return await work(await this.#connected());
    } catch (error) {
      throw recordErrorOf(error);
    }
  }

  async close(): Promise<void> {
    const opening = this.#source;
    this.#source = undefined;
    // What never opened needs no closing; whoever tried has been told.
    const source = await opening?.catch(() => undefined);
    await source?.destroy();
  }

  #inTransaction<Result>(
    isolation: 'READ COMMITTED' | 'REPEATABLE READ',
    work: (query: Query) => Promise<Result>,
  ): Promise<Result> {
    return this.session(async (runner, query) => {
      await runner.startTransaction(isolation);
      try {
        const result = await work(query);
        await runner.commitTransaction();
        return result;
      } catch (error) {
        if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
        throw error;
      }
    });
  }

  #connected(): Promise<DataSource> {
    this.#source ??= openRecordDatabase(this.#options, this.#role).catch((error: unknown) => {
      this.#source = undefined;
      throw error;
    });
    return this.#source;
  }
}
