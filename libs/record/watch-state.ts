import { RecordConnection } from './record-connection.js';
import type { RecordDatabaseOptions } from './record-database.js';

/** What a watch has saved. `version` counts the savings; 0 before the first. */
export interface SavedWatch {
  readonly version: number;
  /** JSON; `undefined` before the first saving. */
  readonly state: unknown;
}

/** Where a watch keeps its positions and what it has found, so that a restart, or another replica, goes on there. */
export interface WatchState {
  load(): Promise<SavedWatch>;
  /** `false`: another replica has saved since `version`, so nothing was saved. */
  save(version: number, state: unknown): Promise<boolean>;
}

/** For specs, and for a watch that keeps nothing. */
export class MemoryWatchState implements WatchState {
  #saved: SavedWatch = { version: 0, state: undefined };

  load(): Promise<SavedWatch> {
    return Promise.resolve(this.#saved);
  }

  save(version: number, state: unknown): Promise<boolean> {
    const isNext = version === this.#saved.version;
    if (isNext) this.#saved = { version: version + 1, state: JSON.parse(JSON.stringify(state)) as unknown };
    return Promise.resolve(isNext);
  }
}

/** In the database of the audit log. */
export class PostgresWatchState implements WatchState {
  readonly #record: RecordConnection;

  constructor(
    private readonly name: string,
    options: RecordDatabaseOptions,
  ) {
    this.#record = new RecordConnection(options, 'writer');
  }

  async load(): Promise<SavedWatch> {
    const [row] = await this.#record.query<{ version: string; state: unknown }>(
      'SELECT version, state FROM record.watch_state WHERE name = $1',
      [this.name],
    );
    return row === undefined ? { version: 0, state: undefined } : { version: Number(row.version), state: row.state };
  }

  async save(version: number, state: unknown): Promise<boolean> {
    const saved = await this.#record.query<object>(
      `INSERT INTO record.watch_state (name, version, state) SELECT $1, 1, $3::jsonb WHERE $2::bigint = 0
       ON CONFLICT DO NOTHING RETURNING name`,
      [this.name, version, JSON.stringify(state)],
    );
    if (saved.length > 0) return true;
    const [advanced] = await this.#record.query<{ count: string }>(
      `WITH advanced AS (
         UPDATE record.watch_state SET version = version + 1, state = $3::jsonb
         WHERE name = $1 AND version = $2::bigint AND $2::bigint > 0 RETURNING name)
       SELECT count(*) FROM advanced`,
      [this.name, version, JSON.stringify(state)],
    );
    return advanced?.count === '1';
  }

  close(): Promise<void> {
    return this.#record.close();
  }
}
