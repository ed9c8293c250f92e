import { Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { KafkaBus, type Bus } from '#bus';
import { loadConfig, type Config } from '#config';
import { TOPICS } from '#contracts';

/** Injection token of the process's {@link Config}. */
export const CONFIG = Symbol('remit.config');

/** Injection token of the process's one {@link Bus}. */
export const BUS = Symbol('remit.bus');

@Injectable()
class BusLifetime implements OnApplicationShutdown {
  constructor(@Inject(BUS) private readonly bus: Bus) {}

  async onApplicationShutdown(): Promise<void> {
    await this.bus.close();
  }
}

/** Configuration and the bus: what every process of Remit has. Topics are created and checked before anything reads. */
@Module({
  providers: [
    { provide: CONFIG, useFactory: (): Config => loadConfig() },
    {
      provide: BUS,
      inject: [CONFIG],
      useFactory: async (config: Config): Promise<Bus> => {
        const bus = new KafkaBus({
          brokers: config.kafkaBrokers,
          topics: Object.values(TOPICS),
          replicationFactor: config.replicationFactor,
        });
        await bus.ensureTopics(Object.values(TOPICS));
        return bus;
      },
    },
    BusLifetime,
  ],
  exports: [CONFIG, BUS],
})
export class BusModule {}
