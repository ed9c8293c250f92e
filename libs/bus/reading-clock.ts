/** Answers that came so recently, ms, show that the brokers can be reached. */
const ANSWERS_COUNT_MS = 5000;
/** A reader that fetches asks at least ten times a second. */
const FETCHES_COUNT_MS = 5000;
/** A process that was itself stopped for a while has not seen its reader stand still all that time, ms. */
const MAX_TICK_MS = 2000;

/**
 * Tells a reader that reads from one that only seems to. One reads that is in its group and fetches, or works on what
 * it has fetched. What does not read while the brokers answer stands still; while they do not answer nobody can read.
 */
export class ReadingClock {
  #joined = false;
  #working = 0;
  #answeredAt = -Infinity;
  #fetchedAt = -Infinity;
  #tickedAt: number;
  #idleMs = 0;
  #standstillMs = 0;
  #standstillBeforeMs = 0;

  constructor(private readonly now: () => number = () => performance.now()) {
    this.#tickedAt = now();
  }

  /** How long it has stood still, ms; 0 while it reads. Outlives the consumer: only reading ends it. */
  get standstillMs(): number {
    return this.#standstillMs;
  }

  /**
   * Whether the brokers have answered most of the time for which this consumer has not read. If they have, it may be too
   * slow for what it is given; if not, nothing is learnt about it.
   */
  couldHaveRead(): boolean {
    return (this.#standstillMs - this.#standstillBeforeMs) * 2 >= this.#idleMs;
  }

  /** A new consumer begins. */
  restart(): void {
    this.#standstillBeforeMs = this.#standstillMs;
    this.#joined = false;
    this.#working = 0;
    this.#idleMs = 0;
    this.#tickedAt = this.now();
  }

  answered(): void {
    this.#answeredAt = this.now();
  }

  joined(): void {
    this.#joined = true;
    this.#fetchedAt = this.now();
  }

  lost(): void {
    this.#joined = false;
  }

  fetched(): void {
    this.#fetchedAt = this.now();
  }

  /** Something is being worked on, until the function is called that this returns. */
  inHand(): () => void {
    this.#working += 1;
    return () => {
      this.#working -= 1;
      this.#fetchedAt = this.now();
    };
  }

  /** Takes note of the time that has passed. For how long this consumer has not read, ms; 0 while it does. */
  tick(): number {
    const now = this.now();
    const passed = Math.min(now - this.#tickedAt, MAX_TICK_MS);
    this.#tickedAt = now;
    if (this.#working > 0 || (this.#joined && now - this.#fetchedAt <= FETCHES_COUNT_MS)) {
      this.#idleMs = 0;
      this.#standstillMs = 0;
      this.#standstillBeforeMs = 0;
    } else {
      this.#idleMs += passed;
      if (now - this.#answeredAt <= ANSWERS_COUNT_MS) this.#standstillMs += passed;
    }
    return this.#idleMs;
  }
}
