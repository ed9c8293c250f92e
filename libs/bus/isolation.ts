import type { Batch, BatchHandler, BatchResult, ReceivedMessage, ResultMessage, Unreadable } from './bus.js';
import { codeOf, messageOf, type BusLog } from './errors.js';
import { outlookOf } from './outlook.js';

/** So often a batch is tried whose error does not say whether that helps: about seven seconds. */
export const MAX_TRIES_OF_UNKNOWN = 8;
/** How long such a batch is tried where nothing shows that other messages can be worked off, ms. */
export const MAX_WAIT_FOR_PROOF_MS = 5 * 60_000;
const MAX_REASON_LENGTH = 1000;
const REMIT_CODE = /^REMIT_[A-Z_]+$/;

/** A batch that fails for a reason that is not known, since when and how often. */
interface Failing {
  readonly firstOffset: number;
  readonly since: number;
  tries: number;
}

export interface IsolationOptions {
  readonly group: string;
  readonly log: BusLog;
  /** A clock that only goes forward, ms. */
  readonly now?: () => number;
}

/**
 * Keeps one message from stopping a partition (promise 9). A batch that fails is divided until the message is alone
 * that can never be worked off; it becomes a dead letter, and what is before and behind it is worked off in order.
 *
 * What may succeed later is never given up: the error is thrown on, and the batch comes again. An error that does not
 * say which of the two it is counts as the message's own once it has come {@link MAX_TRIES_OF_UNKNOWN} times and others
 * have been worked off since the last message was given up: when everything fails, the messages are not why.
 */
export class Isolation {
  readonly #failing = new Map<string, Failing>();
  readonly #now: () => number;
  #workedOff = true;

  constructor(
    private readonly handler: BatchHandler,
    private readonly options: IsolationOptions,
  ) {
    this.#now = options.now ?? (() => performance.now());
  }

  /** Throws what the handler throws as long as the same messages are to come again. */
  async handle(batch: Batch): Promise<BatchResult> {
    const where = `${batch.topic}/${batch.partition}`;
    try {
      const result = await this.handler(batch);
      this.#succeeded(where);
      return result;
    } catch (error) {
      const outlook = outlookOf(error);
      const mayDivide = outlook === 'never' || (outlook === 'unknown' && this.#isRipe(where, batch));
      if (!mayDivide) {
        if (outlook === 'later') this.#failing.delete(where);
        throw error;
      }
      const publish: ResultMessage[] = [];
      const unreadable: Unreadable[] = [];
      await this.#divide(batch, batch.messages, error, { publish, unreadable });
      this.#failing.delete(where);
      return { publish, unreadable };
    }
  }

  #succeeded(where: string): void {
    this.#failing.delete(where);
    this.#workedOff = true;
  }

  /** Counts one more try of the same messages; whether that was enough. */
  #isRipe(where: string, batch: Batch): boolean {
    const firstOffset = batch.messages[0]?.offset ?? -1;
    let failing = this.#failing.get(where);
    if (failing?.firstOffset !== firstOffset) failing = { firstOffset, since: this.#now(), tries: 0 };
    failing.tries += 1;
    this.#failing.set(where, failing);
    return failing.tries >= MAX_TRIES_OF_UNKNOWN;
  }

  /** These messages have failed together. */
  async #divide(
    batch: Batch,
    messages: readonly ReceivedMessage[],
    error: unknown,
    into: { readonly publish: ResultMessage[]; readonly unreadable: Unreadable[] },
  ): Promise<void> {
    const [message] = messages;
    if (message === undefined) throw error;
    if (messages.length === 1) {
      into.unreadable.push(this.#givenUp(batch, message, error));
      return;
    }
    const middle = Math.ceil(messages.length / 2);
    for (const part of [messages.slice(0, middle), messages.slice(middle)]) {
      await batch.heartbeat();
      try {
        const { publish, unreadable } = await this.handler({ ...batch, messages: part });
        into.publish.push(...publish);
        into.unreadable.push(...unreadable);
        this.#workedOff = true;
      } catch (inner) {
        if (outlookOf(inner) === 'later') throw inner;
        await this.#divide(batch, part, inner, into);
      }
    }
  }

  #givenUp(batch: Batch, message: ReceivedMessage, error: unknown): Unreadable {
    const { topic, partition } = batch;
    const { group, log } = this.options;
    if (outlookOf(error) === 'unknown') {
      const since = this.#failing.get(`${topic}/${partition}`)?.since ?? this.#now();
      if (!this.#workedOff && this.#now() - since < MAX_WAIT_FOR_PROOF_MS) throw error;
      this.#workedOff = false;
    }
    const thrown = codeOf(error) ?? '';
    const code = REMIT_CODE.test(thrown) ? thrown : 'REMIT_BUS_HANDLER_FAILED';
    const said = messageOf(error).slice(0, MAX_REASON_LENGTH).toWellFormed();
    const reason = `${group} cannot work it off, and trying again does not help: ${said}`;
    const position = `${topic}/${partition}/${message.offset}`;
    const details = { group, firstOffset: message.offset, error };
    log({ level: 'error', code, message: `${position} was given up and is a dead letter: ${said}`, details });
    return { message, code, reason, givenUp: true };
  }
}
