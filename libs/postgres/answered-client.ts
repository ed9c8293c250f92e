import pg from 'pg';
import { connectionErrorOf } from './database-error.js';
import type { Credentials } from './secured-connection.js';

export interface AnsweredClientConfig extends pg.ClientConfig {
  /** What this connection authenticates and encrypts with, asked for each connection anew. */
  readonly credentials?: (() => Credentials) | undefined;
  /** How long the server may take to answer what it was asked, ms; as long as it needs unless told. */
  readonly answerMs?: number | undefined;
}

/** Called without an error where there is a connection, whatever the types of `pg` say. */
type Connected = (error: Error) => void;

/**
 * A connection that ends when the server has not answered in time: whatever waited is refused, and a late answer meets
 * nobody. `query_timeout` of pg only stops waiting. The connection stays, so the late answer meets what is asked next,
 * and an open transaction goes back to the pool with it.
 */
export class AnsweredClient extends pg.Client {
  readonly #answerMs: number | undefined;
  #deadline: NodeJS.Timeout | undefined;
  readonly #noCredentials: unknown;

  constructor(config: AnsweredClientConfig = {}) {
    const read = attempt(config.credentials);
    super({ ...config, ...read.credentials });
    this.#noCredentials = read.error;
    this.#answerMs = config.answerMs;
    const ask = this.query.bind(this) as (...parts: readonly unknown[]) => unknown;
    this.query = ((...parts: readonly unknown[]) => {
      this.#await();
      return ask(...parts);
    }) as typeof this.query;
    // everything that was asked is answered
    this.on('drain', () => clearTimeout(this.#deadline));
    this.on('end', () => clearTimeout(this.#deadline));
  }

  override connect(): Promise<pg.Client>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): Promise<pg.Client> | undefined {
    if (callback === undefined) {
      return new Promise((resolve, reject) => {
        this.connect((error) => {
          if (error) reject(error);
          else resolve(this);
        });
      });
    }
    if (this.#noCredentials !== undefined) {
      process.nextTick(callback, this.#noCredentials);
      return undefined;
    }
    super.connect((error: Error, ...rest: unknown[]) => {
      (callback as (...told: unknown[]) => void)(connectionErrorOf(error), ...rest);
    });
    return undefined;
  }

  #await(): void {
    const ms = this.#answerMs;
    if (ms === undefined) return;
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.connection.stream.destroy(new Error(`no answer within ${String(ms)} ms, so the connection was closed`));
    }, ms).unref();
  }
}

/** A pool makes clients where nobody catches what is thrown: whatever is wrong is told when the client connects. */
function attempt(read: (() => Credentials) | undefined): {
  readonly credentials?: Credentials;
  readonly error?: unknown;
} {
  try {
    return read === undefined ? {} : { credentials: read() };
  } catch (error) {
    return { error };
  }
}
