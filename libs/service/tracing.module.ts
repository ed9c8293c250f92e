import { Inject, Injectable, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Config } from '#config';
import { Tracing } from '#telemetry';
import { BusModule, CONFIG } from './bus.module.js';
import { SERVICE_IDENTITY, type ServiceIdentity } from './service-identity.js';

/** Injection token of the process's {@link Tracing}; `undefined` where no collector is configured. */
export const TRACING = Symbol('remit.tracing');

@Injectable()
class TracingLifetime implements OnApplicationShutdown {
  constructor(@Inject(TRACING) private readonly tracing: Tracing | undefined) {}

  async onApplicationShutdown(): Promise<void> {
    await this.tracing?.shutdown();
  }
}

function startTracing({ tracing }: Config, { name, version }: ServiceIdentity): Tracing | undefined {
  if (tracing === undefined) return undefined;
  const log = new Logger('tracing');
  return new Tracing({
    service: name,
    version,
    endpoint: tracing.endpoint,
    sampling: tracing.sampling,
    onTrouble: (message) => log.warn(`spans do not arrive at ${tracing.endpoint}; nothing else suffers: ${message}`),
  });
}

/** Traces of this process, sent to the collector that the configuration names. */
@Module({
  imports: [BusModule],
  providers: [{ provide: TRACING, inject: [CONFIG, SERVICE_IDENTITY], useFactory: startTracing }, TracingLifetime],
  exports: [TRACING],
})
export class TracingModule {}
