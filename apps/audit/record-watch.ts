import type { Checkpoint } from '#domain';
import { whatIsWrongWith, type StoredEpoch } from './epoch-verification.js';

export interface RecordWatchOptions {
  /** The clock of this process, ms since the epoch. It only says how old a checkpoint is. */
  readonly now: () => number;
  readonly random: () => number;
  /** Told of every epoch that does not verify, each time. */
  readonly onWrong: (problem: { readonly code: 'REMIT_RECORD_NOT_VERIFIED'; readonly message: string }) => void;
}

/** About a second of work. */
const MOST_ENTRIES = 20_000;
const MOST_WRONG_EPOCHS = 100;

/**
 * Verifies every epoch that this process closes, and keeps verifying those that failed: what was found wrong stays
 * wrong until it is right again.
 */
export class RecordWatch {
  readonly #wrong = new Map<number, Checkpoint>();
  /** Not looked at yet: an epoch that could not be read is looked at in the next round. */
  readonly #unseen: Checkpoint[] = [];
  #isSigning = true;
  #failures = 0;
  #signedAt: number;

  constructor(
    private readonly stored: StoredEpoch,
    private readonly options: RecordWatchOptions,
  ) {
    this.#signedAt = options.now();
  }

  /** Everything that this process has checked is as its checkpoint says. */
  get verified(): boolean {
    return this.#isSigning && this.#wrong.size === 0;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Since everything there was in the record was last under a checkpoint, as far as this process has seen, ms. */
  get checkpointAgeMs(): number {
    return Math.max(0, this.options.now() - this.#signedAt);
  }

  /** An epoch could not be closed. */
  notClosed(error: unknown): void {
    if (!isAltered(error)) return;
    this.#isSigning = false;
    this.#fail('nothing more is signed, because the record does not lead to where it ended');
  }

  /** An epoch was closed, and this is its checkpoint, if there was anything to sign. */
  closed(checkpoint: Checkpoint | undefined): void {
    this.#isSigning = true;
    this.#signedAt = this.options.now();
    if (checkpoint !== undefined) this.#unseen.push(checkpoint);
  }

  /** Looks at what has been closed, and once more at one of those that were wrong. Rejects where it cannot be read. */
  async verify(): Promise<void> {
    const [again] = this.#wrong.values();
    if (again !== undefined) await this.#verify(again);
    for (let next = this.#unseen[0]; next !== undefined; next = this.#unseen[0]) {
      await this.#verify(next);
      this.#unseen.shift();
    }
  }

  async #verify(checkpoint: Checkpoint): Promise<void> {
    const { random } = this.options;
    const { epoch } = checkpoint.body;
    const what = await whatIsWrongWith(checkpoint, this.stored, { mostEntries: MOST_ENTRIES, random });
    // behind the others: each gets its turn to be looked at again
    this.#wrong.delete(epoch);
    if (what === undefined) return;
    if (this.#wrong.size < MOST_WRONG_EPOCHS) this.#wrong.set(epoch, checkpoint);
    this.#fail(`epoch ${String(epoch)} is not what its checkpoint says: ${what}`);
  }

  #fail(what: string): void {
    this.#failures += 1;
    const message = `${what}. Somebody or something has changed the record: keep the checkpoints safe, run remit audit verify to find what and where, and compare with the log while it is kept`;
    this.options.onWrong({ code: 'REMIT_RECORD_NOT_VERIFIED', message });
  }
}

function isAltered(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'REMIT_RECORD_ALTERED';
}
