import { Inject, Injectable, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { KafkaBus, type Bus } from '#bus';
import type { Config } from '#config';
import { TOPICS } from '#contracts';
import type { Metrics } from '#telemetry';
import { busLog } from './bus-log.js';
import { CONFIG, ConfigModule } from './config.module.js';
import { LIVENESS_CHECKS, readersCheck, type LivenessCheck } from './health.js';
import { ConsumptionMetrics } from './metrics-of-consumption.js';
import { loadSignatures, SIGNATURES, signedBus } from './message-signing.js';
import { MetricsModule, PROCESS_METRICS } from './metrics.module.js';
import { SERVICE_IDENTITY } from './service-identity.js';

/** Injection token of the process's one {@link Bus}. */
export const BUS = Symbol('remit.bus');

/** Injection token of the same bus, on which nothing is refused for its signature: for who keeps what was written. */
export const UNVERIFIED_BUS = Symbol('remit.unverified-bus');

@Injectable()
class BusLifetime implements OnApplicationShutdown {
  constructor(@Inject(BUS) private readonly bus: Bus) {}

  async onApplicationShutdown(): Promise<void> {
    await this.bus.close();
  }
}

/** Configuration, metrics and the bus: what every process of Remit has. Topics are created and checked before anything reads. */
@Module({
  imports: [ConfigModule, MetricsModule],
  providers: [
    {
      provide: UNVERIFIED_BUS,
      inject: [CONFIG, PROCESS_METRICS],
      useFactory: async (config: Config, metrics: Metrics | undefined): Promise<Bus> => {
        const log = new Logger('bus');
        const watch = metrics && new ConsumptionMetrics(metrics);
        const bus = new KafkaBus({
          brokers: config.kafkaBrokers,
          security: config.kafkaSecurity,
          topics: Object.values(TOPICS),
          replicationFactor: config.replicationFactor,
          sessionMs: config.groupSessionMs,
          log: busLog(log),
          watch,
          reportsClient: config.logLevel === 'debug' || config.logLevel === 'trace',
        });
        await bus.ensureTopics(Object.values(TOPICS));
        watch?.observeLag(bus);
        watch?.observeStandstill(bus);
        return bus;
      },
    },
    { provide: SIGNATURES, inject: [CONFIG, SERVICE_IDENTITY], useFactory: loadSignatures },
    { provide: BUS, inject: [UNVERIFIED_BUS, SIGNATURES, PROCESS_METRICS], useFactory: signedBus },
    {
      provide: LIVENESS_CHECKS,
      inject: [UNVERIFIED_BUS],
      useFactory: (bus: Bus): readonly LivenessCheck[] => [readersCheck(bus)],
    },
    BusLifetime,
  ],
  exports: [ConfigModule, MetricsModule, BUS, UNVERIFIED_BUS, SIGNATURES, LIVENESS_CHECKS],
})
export class BusModule {}
