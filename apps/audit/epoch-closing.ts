import type { Bus } from '#bus';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import type { Checkpoint } from '#domain';
import type { Projections, ProvenRecord } from '#record';
import type { RecordWatch } from './record-watch.js';

export interface EpochClosingOptions {
  readonly epochMs: number;
  /** The clock of this process, ms since the epoch. It says when an epoch was closed, and decides nothing. */
  readonly now: () => number;
  readonly onFailure: (error: unknown) => void;
  /** Verifies what was closed. */
  readonly watch?: Pick<RecordWatch, 'closed' | 'notClosed' | 'verify'>;
}

/**
 * Signs again and again what the record has got, keeps the checkpoints and puts them on the log, prepares the coming
 * month and keeps the projections up to date. Any number of replicas may do so at once. What fails is tried again.
 */
export class EpochClosing {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(
    private readonly record: ProvenRecord,
    private readonly projections: Projections,
    private readonly bus: Pick<Bus, 'publish'>,
    private readonly options: EpochClosingOptions,
  ) {}

  start(): void {
    const round = (): void => {
      this.#running = this.round()
        .catch(this.options.onFailure)
        .finally(() => {
          if (this.#timer !== undefined) this.#timer = setTimeout(round, this.options.epochMs);
        });
    };
    this.#timer = setTimeout(round, this.options.epochMs);
  }

  /** Finishes the round in hand, and ends. What it has not signed, the next process will. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }

  /** One round. */
  async round(): Promise<void> {
    await this.record.prepareMonths(this.options.now());
    const closed = await this.#closeEpoch();
    this.options.watch?.closed(closed);
    try {
      await this.record.checkpoints.keep(closed);
      for (const checkpoint of await this.record.checkpoints.unpublished()) {
        await this.bus.publish([checkpointMessage(checkpoint)]);
        await this.record.checkpoints.markPublished(checkpoint);
      }
      await this.projections.advance();
    } finally {
      // what is signed is verified, also where brokers are away and it cannot be published yet
      await this.options.watch?.verify();
    }
  }

  async #closeEpoch(): Promise<Checkpoint | undefined> {
    try {
      return await this.record.checkpoints.sign({
        now: this.options.now(),
        notForItself: [TOPICS.auditCheckpoints.name],
      });
    } catch (error) {
      this.options.watch?.notClosed(error);
      throw error;
    }
  }
}

function checkpointMessage(checkpoint: Checkpoint) {
  const { record, epoch } = checkpoint.body;
  const event = writeEvent(EVENTS.checkpoint, {
    id: `${record}/${String(epoch)}`,
    source: '/remit/audit',
    subject: record,
    data: checkpoint,
  });
  return { topic: TOPICS.auditCheckpoints.name, key: null, ...event };
}
