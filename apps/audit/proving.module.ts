import {
  Inject,
  Injectable,
  Logger,
  Module,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { messageOf, type Bus } from '#bus';
import type { Config } from '#config';
import { Projections, ProvenRecord } from '#record';
import { BUS, BusModule, CONFIG, LOG_WATCH, PROCESS_METRICS, type LogWatch } from '#service';
import { onceAMinutePerCause, type Metrics } from '#telemetry';
import { observeRecord } from './audit-metrics.js';
import { EpochClosing } from './epoch-closing.js';
import { RecordWatch } from './record-watch.js';

@Injectable()
class ProvingLifetime implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('record');
  readonly #record: ProvenRecord;
  readonly #projections: Projections;
  readonly #closing: EpochClosing;

  constructor(
    @Inject(CONFIG) { databaseUrl, recordKeys, epochMs }: Config,
    @Inject(BUS) bus: Bus,
    @Inject(LOG_WATCH) discrepancies: LogWatch,
    @Inject(PROCESS_METRICS) metrics: Metrics | undefined,
  ) {
    const options = { databaseUrl, keyFolder: recordKeys, poolSize: 2, applicationName: 'remit-record-proof' };
    this.#record = new ProvenRecord(options);
    this.#projections = new Projections(options);
    const watch = new RecordWatch(this.#record.stored, {
      now: Date.now,
      random: Math.random,
      onWrong: (problem) => this.#logger.error(problem),
    });
    if (metrics !== undefined) observeRecord(metrics, watch);
    this.#closing = new EpochClosing(this.#record, this.#projections, bus, {
      epochMs,
      now: Date.now,
      watch,
      discrepancies,
      onFailure: onceAMinutePerCause(messageOf, (error) => {
        const message = `signing, publishing or verifying is tried again in the next round: ${messageOf(error)}`;
        this.#logger.warn({ message, error });
      }),
    });
  }

  onApplicationBootstrap(): void {
    this.#closing.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#closing.stop();
    await Promise.all([this.#record.close(), this.#projections.close()]);
  }
}

/** Makes the record provable while it is written. */
@Module({ imports: [BusModule], providers: [ProvingLifetime] })
export class ProvingModule {}
