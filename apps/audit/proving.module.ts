import { join } from 'node:path';
import {
  Inject,
  Injectable,
  Logger,
  Module,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Bus } from '#bus';
import type { Config } from '#config';
import { Projections, ProvenRecord } from '#record';
import { BUS, BusModule, CONFIG, PROCESS_METRICS } from '#service';
import type { Metrics } from '#telemetry';
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
      file: join(recordKeys, 'checkpoints.jsonl'),
      now: Date.now,
      watch,
      onFailure: (error) => {
        this.#logger.warn(
          `signing, publishing or verifying is tried again in the next round: ${error instanceof Error ? error.message : String(error)}`,
        );
      },
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
