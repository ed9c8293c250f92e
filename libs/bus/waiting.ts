import { setTimeout as sleep } from 'node:timers/promises';
import { BusError } from './errors.js';

const FIRST_MS = 50;
const LONGEST_MS = 2000;

/** Waits that double, from 50 ms to 2 s, until something works again. */
export class BackOff {
  #next = FIRST_MS;

  /** Length of the next wait, ms. */
  next(): number {
    const wait = this.#next;
    this.#next = Math.min(wait * 2, LONGEST_MS);
    return wait;
  }

  async wait(): Promise<void> {
    await sleep(this.next());
  }

  reset(): void {
    this.#next = FIRST_MS;
  }
}

/** Tries a question, with a growing wait between tries. Gives up with its last error, at once with one of our own. */
export async function askAgain<Answer>(question: () => Promise<Answer>, attempts: number): Promise<Answer> {
  const backOff = new BackOff();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await question();
    } catch (error) {
      if (attempt === attempts || error instanceof BusError) throw error;
      await backOff.wait();
    }
  }
}

/** Something that happens once, and that others wait for. */
export class Signal<Value> {
  #resolve!: (value: Value) => void;
  readonly promise = new Promise<Value>((resolve) => (this.#resolve = resolve));

  give(value: Value): void {
    this.#resolve(value);
  }
}
