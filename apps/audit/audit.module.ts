import { Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { BatchTransport, type Batch, type BatchResult, type Bus } from '#bus';
import type { Config } from '#config';
import { TOPICS } from '#contracts';
import { PostgresHistory, type History } from '#record';
import {
  BatchController,
  BUS,
  BusModule,
  CONFIG,
  PROCESS_METRICS,
  SIGNATURES,
  UNVERIFIED_BUS,
  type ReadinessCheck,
  type Signatures,
} from '#service';
import type { Metrics } from '#telemetry';
import { observeAuditLag } from './audit-metrics.js';
import { ingest } from './ingestion.js';
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
  constructor(
    @Inject(HISTORY) private readonly history: History,
    @Inject(SIGNATURES) private readonly signatures: Signatures | undefined,
  ) {}

  @MessagePattern(Object.values(TOPICS).map((topic) => topic.name), AUDITING)
  keep(@Payload() batch: Batch): Promise<BatchResult> {
    return ingest(this.history, batch, this.signatures?.verifier);
  }
}

@Injectable()
class HistoryLifetime implements OnApplicationShutdown {
  constructor(@Inject(HISTORY) private readonly history: History) {}

  async onApplicationShutdown(): Promise<void> {
    await this.history.close();
  }
}

function auditChecks(history: History, transport: BatchTransport): readonly ReadinessCheck[] {
  return [
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
      useFactory: (bus: Bus) => new BatchTransport({ bus, group: 'remit.audit', transportId: AUDITING }),
    },
    { provide: AUDIT_CHECKS, inject: [HISTORY, AUDITING], useFactory: auditChecks },
    HistoryLifetime,
  ],
  exports: [HISTORY, AUDITING, AUDIT_CHECKS],
})
export class AuditModule {}
