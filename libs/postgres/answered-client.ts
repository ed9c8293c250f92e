import pg from 'pg';

export interface AnsweredClientConfig extends pg.ClientConfig {
  /** How long the server may take to answer what it was asked, ms; as long as it needs unless told. */
  readonly answerMs?: number | undefined;
}

/**
 * A connection that ends when the server has not answered in time: whatever waited is refused, and a late answer meets
 * nobody. `query_timeout` of pg only stops waiting. The connection stays, so the late answer meets what is asked next,
 * and an open transaction goes back to the pool with it.
 */
export class AnsweredClient extends pg.Client {
  readonly #answerMs: number | undefined;
  #deadline: NodeJS.Timeout | undefined;

  constructor(config: AnsweredClientConfig = {}) {
    super(config);
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

  #await(): void {
    const ms = this.#answerMs;
    if (ms === undefined) return;
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.connection.stream.destroy(new Error(`no answer within ${String(ms)} ms, so the connection was closed`));
    }, ms).unref();
  }
}
