import { Inject, Injectable, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Config } from '#config';
import { observeSpans, Tracing, type Metrics } from '#telemetry';
import { BusModule } from './bus.module.js';
import { CONFIG } from './config.module.js';
import { PROCESS_METRICS } from './metrics.module.js';
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

function startTracing(
  { tracing: terms }: Config,
  { name, version }: ServiceIdentity,
  metrics: Metrics | undefined,
): Tracing | undefined {
  if (terms === undefined) return undefined;
  const log = new Logger('tracing');
  const tracing = new Tracing({
    service: name,
    version,
    ...terms,
    onTrouble: (message) => log.warn(`spans do not arrive at ${terms.endpoint}; nothing else suffers: ${message}`),
  });
  if (metrics !== undefined) observeSpans(metrics, () => tracing.counts());
  return tracing;
}

/** Traces of this process, sent to the collector that the configuration names. */
@Module({
  imports: [BusModule],
  providers: [
    { provide: TRACING, inject: [CONFIG, SERVICE_IDENTITY, PROCESS_METRICS], useFactory: startTracing },
    TracingLifetime,
  ],
  exports: [TRACING],
})
export class TracingModule {}
