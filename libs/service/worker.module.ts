import {
  Inject,
  Injectable,
  Logger,
  Module,
  type DynamicModule,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { METRICS, reading, type Metrics } from '#telemetry';
import type { ReadinessCheck } from './health.js';
import { MetricsModule, PROCESS_METRICS } from './metrics.module.js';
import { SERVICE_IDENTITY, type ServiceIdentity } from './service-identity.js';
import { SupervisedWorker } from './supervised-worker.js';

/** Injection token of the {@link SupervisedWorker} of this process. */
const WORKER = Symbol('remit.worker');

/** Injection token of the {@link ReadinessCheck}s of the worker thread. */
export const WORKER_CHECKS = Symbol('remit.worker-checks');

/** It starts when everything here is set up, and ends after everything here has finished its work. */
@Injectable()
class WorkerLifetime implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(@Inject(WORKER) private readonly worker: SupervisedWorker) {}

  onApplicationBootstrap(): void {
    this.worker.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.worker.stop();
  }
}

function supervise(
  name: 'audit',
  entry: URL,
  identity: ServiceIdentity,
  metrics: Metrics | undefined,
): SupervisedWorker {
  const log = new Logger(name);
  const worker = new SupervisedWorker({
    name,
    entry,
    identity,
    onNeverStarted: (error) => {
      log.fatal({ message: `the worker thread of ${name} did not start, so neither does this process`, error });
      process.exit(1);
    },
    onEnded: (error, againInMs) => {
      const message = `the worker thread of ${name} ended, and is started again in ${String(againInMs / 1000)} s; judging goes on`;
      log.error({ code: 'REMIT_WORKER_ENDED', message, error });
    },
  });
  metrics?.include(() => worker.metrics());
  metrics?.observe(`the worker of ${name}`, () => [
    reading(METRICS.workerRunning, worker.isRunning ? 1 : 0, { 'remit.worker': name }),
    reading(METRICS.workerRestarts, worker.restarts, { 'remit.worker': name }),
  ]);
  return worker;
}

/** A part of the service in a thread of its own. `entry` calls `runInWorker`. */
@Module({})
export class WorkerModule {
  static of(name: 'audit', entry: URL): DynamicModule {
    return {
      module: WorkerModule,
      imports: [MetricsModule],
      providers: [
        {
          provide: WORKER,
          inject: [SERVICE_IDENTITY, PROCESS_METRICS],
          useFactory: (identity: ServiceIdentity, metrics: Metrics | undefined) =>
            supervise(name, entry, identity, metrics),
        },
        {
          provide: WORKER_CHECKS,
          inject: [WORKER],
          useFactory: (worker: SupervisedWorker): readonly ReadinessCheck[] => [worker.check],
        },
        WorkerLifetime,
      ],
      exports: [WORKER_CHECKS],
    };
  }
}
