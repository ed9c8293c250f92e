import { Controller, Get, Headers, Inject, Logger, Module, NotFoundException, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { Config } from '#config';
import { CONTENT_TYPES, formatFor, Metrics, observeProcess } from '#telemetry';
import { CONFIG, ConfigModule } from './config.module.js';
import { SERVICE_IDENTITY, type ServiceIdentity } from './service-identity.js';

/** Injection token of the process's {@link Metrics}; `undefined` where they are switched off. */
export const PROCESS_METRICS = Symbol('remit.metrics');

/** What Prometheus scrapes. */
@Controller()
class MetricsController {
  constructor(@Inject(PROCESS_METRICS) private readonly metrics: Metrics | undefined) {}

  @Get('metrics')
  async scrape(
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    if (this.metrics === undefined) throw new NotFoundException('metrics are switched off: OTEL_METRICS_EXPORTER');
    const format = formatFor(accept);
    void reply.headers({ 'content-type': CONTENT_TYPES[format], 'cache-control': 'no-store' });
    return this.metrics.scrape(format);
  }
}

function startMetrics(
  { exposesMetrics }: Config,
  { name, version, thread = 'main' }: ServiceIdentity,
): Metrics | undefined {
  if (!exposesMetrics) return undefined;
  const log = new Logger('metrics');
  const metrics = new Metrics({ service: name, version, onTrouble: (message) => log.warn(message) });
  observeProcess(metrics, thread);
  return metrics;
}

/** The metrics of the process, and the route where they can be scraped. */
@Module({
  imports: [ConfigModule],
  controllers: [MetricsController],
  providers: [{ provide: PROCESS_METRICS, inject: [CONFIG, SERVICE_IDENTITY], useFactory: startMetrics }],
  exports: [PROCESS_METRICS],
})
export class MetricsModule {}
