import { Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Bus } from '#bus';
import type { Config } from '#config';
import type { Metrics } from '#telemetry';
import { BusModule, openBus } from './bus.module.js';
import { CONFIG } from './config.module.js';
import { SIGNATURES, signedBus, type Signatures } from './message-signing.js';
import { PROCESS_METRICS } from './metrics.module.js';

/**
 * Injection token of a second {@link Bus}, for what people and timers order: its connections are its own, so that nothing
 * a person waits for is sent behind what agents have caused.
 */
export const PEOPLES_BUS = Symbol('remit.peoples-bus');

@Injectable()
class PeoplesBusLifetime implements OnApplicationShutdown {
  constructor(@Inject(PEOPLES_BUS) private readonly bus: Bus) {}

  async onApplicationShutdown(): Promise<void> {
    await this.bus.close();
  }
}

@Module({
  imports: [BusModule],
  providers: [
    {
      provide: PEOPLES_BUS,
      inject: [CONFIG, SIGNATURES, PROCESS_METRICS],
      useFactory: (config: Config, signatures: Signatures | undefined, metrics: Metrics | undefined): Bus =>
        signedBus(openBus(config), signatures, metrics),
    },
    PeoplesBusLifetime,
  ],
  exports: [PEOPLES_BUS],
})
export class PeoplesBusModule {}
