import { Inject, Injectable, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { KafkaBus, type Bus } from '#bus';
import type { Config } from '#config';
import { TOPICS } from '#contracts';
import type { Metrics } from '#telemetry';
import { busLog } from './bus-log.js';
import { CONFIG, ConfigModule } from './config.module.js';
import { LIVENESS_CHECKS, readersCheck, type LivenessCheck } from './health.js';
import { ConsumptionMetrics } from './metrics-of-consumption.js';
import { MetricsModule, PROCESS_METRICS } from './metrics.module.js';

/** Injection token of the process's one {@link Bus}. */
export const BUS = Symbol('remit.bus');

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
      provide: BUS,
      inject: [CONFIG, PROCESS_METRICS],
      useFactory: async (config: Config, metrics: Metrics | undefined): Promise<Bus> => {
        const log = new Logger('bus');
        const watch = metrics && new ConsumptionMetrics(metrics);
        const bus = new KafkaBus({
          brokers: config.kafkaBrokers,
          security: config.kafkaSecurity,
          topics: Object.values(TOPICS),
          replicationFactor: config.replicationFactor,
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
    {
      provide: LIVENESS_CHECKS,
      inject: [BUS],
      useFactory: (bus: Bus): readonly LivenessCheck[] => [readersCheck(bus)],
    },
    BusLifetime,
  ],
  exports: [ConfigModule, MetricsModule, BUS, LIVENESS_CHECKS],
})
export class BusModule {}
