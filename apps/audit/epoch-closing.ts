import type { Bus } from '#bus';
import { EVENTS, sha256, TOPICS, writeEvent } from '#contracts';
import { AUDIT_LOG_READER, logDiscrepancy, type Checkpoint } from '#domain';
import type { LostCheckpoints, Projections, ProvenRecord } from '#record';
import type { LogWatch } from '#service';
import type { RecordWatch } from './record-watch.js';

export interface EpochClosingOptions {
  readonly epochMs: number;
  /** The clock of this process, ms since the epoch. It says when an epoch was closed, and decides nothing. */
  readonly now: () => number;
  readonly onFailure: (error: unknown) => void;
  /** Where people acknowledge that a database was restored. */
  readonly discrepancies: Pick<LogWatch, 'found' | 'find'>;
  /** Verifies what was closed. */
  readonly watch?: Pick<RecordWatch, 'closed' | 'notClosed' | 'verify'>;
}

/**
 * Signs again and again what the record has got, keeps the checkpoints and puts them on the log, prepares the coming
 * month and keeps the projections up to date. Any number of replicas may do so at once. What fails is tried again.
 */
export class EpochClosing {
  #timer: NodeJS.Timeout | undefined;
  /** The last epoch the database has had, as far as this process has seen: fewer, and it was restored meanwhile. */
  #known: number | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(
    private readonly record: ProvenRecord,
    private readonly projections: Projections,
    private readonly bus: Pick<Bus, 'publish' | 'ends'>,
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

  /** What was published before must be stored before anything new is signed: it may be more than the database knows. */
  async #hasReadCheckpoints(): Promise<boolean> {
    const topic = TOPICS.auditCheckpoints.name;
    const [end = 0] = (await this.bus.ends([topic])).get(topic) ?? [];
    return (await this.record.stored.next(topic, 0)) >= end;
  }

  /** Nothing is signed a second time for an epoch that was published: first a person has to know of it. */
  async #goOnAfter(lost: LostCheckpoints): Promise<Checkpoint | undefined> {
    const from = lost.after + 1;
    const discrepancy = logDiscrepancy(
      {
        ...{ kind: 'checkpoints-lost', topic: TOPICS.auditCheckpoints.name, partition: 0, reader: AUDIT_LOG_READER },
        ...{ from, to: from + lost.lost.length },
      },
      sha256,
    );
    await this.options.discrepancies.found(discrepancy);
    const acknowledged = this.options.discrepancies.find(discrepancy.id)?.acknowledged;
    if (acknowledged === undefined) return undefined;
    const { by, reason } = acknowledged;
    return this.record.checkpoints.signRestored(lost, {
      now: this.options.now(),
      restored: { after: lost.after, by, reason },
    });
  }

  async #closeEpoch(): Promise<Checkpoint | undefined> {
    try {
      const epoch = (await this.record.checkpoints.latest())?.body.epoch ?? 0;
      if (this.#known === undefined || epoch < this.#known) {
        if (!(await this.#hasReadCheckpoints())) return undefined;
        const lost = await this.record.checkpoints.lost();
        if (lost !== undefined) return await this.#goOnAfter(lost);
      }
      const signed = await this.record.checkpoints.sign({
        now: this.options.now(),
        notForItself: [TOPICS.auditCheckpoints.name],
      });
      this.#known = signed?.body.epoch ?? epoch;
      return signed;
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
