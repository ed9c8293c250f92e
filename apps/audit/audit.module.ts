import {
  Inject,
  Injectable,
  Logger,
  Module,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { BatchTransport, messageOf, type Batch, type BatchHandler, type BatchResult, type Bus } from '#bus';
import type { Config } from '#config';
import { GROUPS, TOPICS } from '#contracts';
import { PostgresHistory, type History } from '#record';
import {
  BatchController,
  BUS,
  BusModule,
  CONFIG,
  LOG_CHECKS,
  LOG_WATCH,
  PROCESS_METRICS,
  SIGNATURES,
  UNVERIFIED_BUS,
  type LogWatch,
  type ReadinessCheck,
  type Signatures,
} from '#service';
import { onceAMinutePerCause, type Metrics } from '#telemetry';
import { observeAuditLag } from './audit-metrics.js';
import { ingestion, NotHeld } from './ingestion.js';
import { auditPositions, ReadingOn } from './reading-on.js';
import { ProvingModule } from './proving.module.js';

/** Injection token of the {@link History} this process writes. */
export const HISTORY = Symbol('remit.history');

/** Injection token and Nest transport id of the transport that feeds the history. */
export const AUDITING = Symbol('remit.auditing');

/** Injection token of the {@link ReadinessCheck}s of auditing. */
export const AUDIT_CHECKS = Symbol('remit.audit-checks');

/** Keeps every message of every topic. */
@BatchController()
class AuditController {
  readonly #ingest: BatchHandler;

  constructor(
    @Inject(HISTORY) history: History,
    @Inject(BUS) bus: Bus,
    @Inject(LOG_WATCH) watch: LogWatch,
    @Inject(NotHeld) notHeld: NotHeld,
    @Inject(SIGNATURES) signatures: Signatures | undefined,
  ) {
    this.#ingest = ingestion(history, bus, watch, signatures?.verifier, notHeld);
  }

  @MessagePattern(Object.values(TOPICS).map((topic) => topic.name), AUDITING)
  keep(@Payload() batch: Batch): Promise<BatchResult> {
    return this.#ingest(batch);
  }
}

/** Compares the audit log with the log before anything is stored, and goes on doing so. */
@Injectable()
class Comparing implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #log = new Logger('audit log');
  readonly #stopping = new AbortController();
  readonly #tellFailed = onceAMinutePerCause(messageOf, (error) => {
    this.#log.warn({ message: `where the audit log is could not be compared: ${messageOf(error)}`, error });
  });
  #looking: Promise<void> | undefined;

  constructor(
    @Inject(HISTORY) private readonly history: History,
    @Inject(AUDITING) private readonly transport: BatchTransport,
    @Inject(BUS) private readonly bus: Bus,
    @Inject(LOG_WATCH) private readonly watch: LogWatch,
    @Inject(NotHeld) private readonly notHeld: NotHeld,
  ) {}

  async onModuleInit(): Promise<void> {
    // a database that is away is compared later: nothing is stored before it answers, and never over a hole
    await this.watch.watch(() => auditPositions(this.history)).catch(this.#tellFailed);
  }

  onApplicationBootstrap(): void {
    this.#looking = this.#lookOnAndOn(new ReadingOn(this.history, this.transport, this.bus, this.notHeld));
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await this.#looking;
  }

  async #lookOnAndOn(readingOn: ReadingOn): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        for (const { topic, partition, next } of await readingOn.look()) {
          this.#log.warn(
            `${topic}/${String(partition)} is read again from offset ${String(next)} on: the database holds no more of it`,
          );
        }
      } catch (error) {
        this.#tellFailed(error);
      }
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

const LOOK_EVERY_MS = 1_000;

@Injectable()
class HistoryLifetime implements OnApplicationShutdown {
  constructor(@Inject(HISTORY) private readonly history: History) {}

  async onApplicationShutdown(): Promise<void> {
    await this.history.close();
  }
}

function auditChecks(
  history: History,
  transport: BatchTransport,
  log: readonly ReadinessCheck[],
): readonly ReadinessCheck[] {
  return [
    ...log,
    {
      name: 'audit partitions',
      missing: () => Promise.resolve(transport.settled() ? undefined : 'the consumer group has not settled yet'),
    },
    {
      name: 'database',
      missing: async () => {
        await history.ping();
        return undefined;
      },
    },
  ];
}

@Module({
  imports: [BusModule, ProvingModule],
  controllers: [AuditController],
  providers: [
    {
      provide: HISTORY,
      inject: [CONFIG, BUS, PROCESS_METRICS],
      useFactory: ({ databaseUrl }: Config, bus: Bus, metrics: Metrics | undefined): History => {
        const history = new PostgresHistory({ databaseUrl });
        if (metrics !== undefined) observeAuditLag(metrics, bus, history);
        return history;
      },
    },
    {
      provide: AUDITING,
      // what nobody may act on is kept all the same
      inject: [UNVERIFIED_BUS],
      useFactory: (bus: Bus) => new BatchTransport({ bus, group: GROUPS.audit, transportId: AUDITING }),
    },
    { provide: AUDIT_CHECKS, inject: [HISTORY, AUDITING, LOG_CHECKS], useFactory: auditChecks },
    NotHeld,
    Comparing,
    HistoryLifetime,
  ],
  exports: [HISTORY, AUDITING, AUDIT_CHECKS],
})
export class AuditModule {}
