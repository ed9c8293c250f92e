import { Inject, Injectable, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { KafkaBus, messageOf, type Bus, type KafkaBusOptions } from '#bus';
import type { Config } from '#config';
import { TOPICS } from '#contracts';
import { discrepancySentence, LOG_DISCREPANCY_KINDS } from '#domain';
import { METRICS, onceAMinutePerCause, reading, type Metrics } from '#telemetry';
import { busLog } from './bus-log.js';
import { CONFIG, ConfigModule } from './config.module.js';
import { LIVENESS_CHECKS, readersCheck, type LivenessCheck, type ReadinessCheck } from './health.js';
import { LogWatch, sayingOfFailure } from './log-watch.js';
import { ConsumptionMetrics } from './metrics-of-consumption.js';
import { loadSignatures, SIGNATURES, signedBus } from './message-signing.js';
import { MetricsModule, PROCESS_METRICS } from './metrics.module.js';
import { SERVICE_IDENTITY } from './service-identity.js';

/** Injection token of the process's one {@link Bus}. */
export const BUS = Symbol('remit.bus');

/** Injection token of the same bus, on which nothing is refused for its signature: for who keeps what was written. */
export const UNVERIFIED_BUS = Symbol('remit.unverified-bus');

/** Injection token of the process's one {@link LogWatch}, which has learnt what was found before. */
export const LOG_WATCH = Symbol('remit.log-watch');

/** Injection token of the {@link ReadinessCheck}s of the log and those who read it. */
export const LOG_CHECKS = Symbol('remit.log-checks');

const GATE = Symbol('remit.log-gate');

@Injectable()
class BusLifetime implements OnApplicationShutdown {
  constructor(
    @Inject(BUS) private readonly bus: Bus,
    @Inject(LOG_WATCH) private readonly watch: LogWatch,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    await this.watch.stop();
    await this.bus.close();
  }
}

function newLogWatch(): LogWatch {
  const log = new Logger('log watch');
  return new LogWatch({
    now: Date.now,
    onFound: ({ id, kind }, sentence) => {
      const todo = `acknowledge it once you know why: remit log show ${id} says what to do`;
      log.error({ message: `REMIT_LOG_DISCREPANCY: ${sentence}; ${todo}`, code: 'REMIT_LOG_DISCREPANCY', kind });
    },
    onFailure: onceAMinutePerCause(messageOf, (error) => log.warn({ message: sayingOfFailure(error), error })),
  });
}

const MAX_SENTENCES = 3;

function logCheck(watch: LogWatch): ReadinessCheck {
  return {
    name: 'log',
    missing: () => {
      const open = watch.open();
      if (open.length === 0) return Promise.resolve(undefined);
      const said = open.slice(0, MAX_SENTENCES).map((one) => `${one.id}: ${discrepancySentence(one)}`);
      const more = open.length > MAX_SENTENCES ? `; and ${String(open.length - MAX_SENTENCES)} more` : '';
      return Promise.resolve(`${said.join('; ')}${more}; acknowledge with remit log acknowledge ID --reason TEXT`);
    },
  };
}

/** A bus as the configuration wants it. */
export function openBus(config: Config, options: Pick<KafkaBusOptions, 'watch' | 'gate'> = {}): KafkaBus {
  return new KafkaBus({
    brokers: config.kafkaBrokers,
    security: config.kafkaSecurity,
    topics: Object.values(TOPICS),
    replicationFactor: config.replicationFactor,
    sessionMs: config.groupSessionMs,
    log: busLog(new Logger('bus')),
    reportsClient: config.logLevel === 'debug' || config.logLevel === 'trace',
    ...options,
  });
}

/** Configuration, metrics and the bus: what every process of Remit has. Topics are created and checked before anything reads. */
@Module({
  imports: [ConfigModule, MetricsModule],
  providers: [
    {
      provide: UNVERIFIED_BUS,
      inject: [CONFIG, PROCESS_METRICS, GATE],
      useFactory: async (config: Config, metrics: Metrics | undefined, gate: LogWatch): Promise<Bus> => {
        const watch = metrics && new ConsumptionMetrics(metrics);
        const bus = openBus(config, { watch, gate });
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
    { provide: GATE, useFactory: newLogWatch },
    {
      provide: LOG_WATCH,
      inject: [GATE, BUS, PROCESS_METRICS],
      useFactory: async (watch: LogWatch, bus: Bus, metrics: Metrics | undefined): Promise<LogWatch> => {
        await watch.start(bus);
        metrics?.observe('log discrepancies', () =>
          LOG_DISCREPANCY_KINDS.map((kind) => {
            const open = watch.open().filter((discrepancy) => discrepancy.kind === kind);
            return reading(METRICS.logDiscrepancies, open.length, { 'remit.discrepancy': kind });
          }),
        );
        return watch;
      },
    },
    { provide: LOG_CHECKS, inject: [LOG_WATCH], useFactory: (watch: LogWatch) => [logCheck(watch)] },
    BusLifetime,
  ],
  exports: [ConfigModule, MetricsModule, BUS, UNVERIFIED_BUS, SIGNATURES, LIVENESS_CHECKS, LOG_WATCH, LOG_CHECKS],
})
export class BusModule {}
