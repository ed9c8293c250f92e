import 'reflect-metadata';
import { parentPort, workerData } from 'node:worker_threads';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { loadConfig } from '#config';
import { Log, type Metrics } from '#telemetry';
import {
  LIVENESS_CHECKS,
  READINESS_CHECKS,
  resultsOf,
  wrongWith,
  type LivenessCheck,
  type ReadinessCheck,
} from './health.js';
import { httpAdapter } from './http-adapter.js';
import { PROCESS_METRICS } from './metrics.module.js';
import { NestLogger } from './nest-logger.js';
import { logUncaught } from './process-log.js';
import { moduleWithIdentity } from './service-identity.js';
import type { WorkerAnswer, WorkerRequest, WorkerTerms } from './worker-messages.js';

/** What runs in a worker thread: a root module, and the injection tokens of the transports that feed it. */
export interface WorkerService {
  readonly module: Type;
  readonly transports: readonly symbol[];
}

/**
 * Runs a part of a service in this worker thread, beside whatever else its process does: it listens on no port, its
 * readiness and metrics are told through the main thread, which also ends it. What nobody has caught ends the thread,
 * and so does what would turn `/livez` of a process red: a new thread may mend it.
 */
export async function runInWorker(service: WorkerService): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('this is the main thread of a process: it can only run as a worker thread');
  const { identity } = workerData as WorkerTerms;
  const config = loadConfig();
  const log = new Log({ service: identity.name, level: config.logLevel, secrets: config.secrets });
  logUncaught(log);
  try {
    const app = await NestFactory.create<NestFastifyApplication>(
      moduleWithIdentity(service.module, identity),
      httpAdapter(),
      { logger: new NestLogger(log), abortOnError: false },
    );
    for (const transport of service.transports) {
      app.connectMicroservice<MicroserviceOptions>({ strategy: app.get(transport) });
    }
    await app.init();
    await app.startAllMicroservices();
    const say = (answer: WorkerAnswer): void => port.postMessage(answer);
    port.on('message', (request: WorkerRequest) => {
      void answerTo(request, app, say);
    });
    say({ say: 'started' });
    endWhenNotLive(app.get<readonly LivenessCheck[]>(LIVENESS_CHECKS), log);
  } catch (error) {
    log.write('fatal', { message: `${identity.thread ?? 'the worker'} did not start`, scope: 'process', error });
    process.exit(1);
  }
}

const LIVENESS_EVERY_MS = 5000;

function endWhenNotLive(checks: readonly LivenessCheck[], log: Log): void {
  setInterval(() => {
    const wrong = Object.values(wrongWith(checks));
    if (wrong.length === 0) return;
    log.write('fatal', {
      code: 'REMIT_WORKER_NOT_LIVE',
      message: `this thread ends: ${wrong.join('; ')}`,
      scope: 'process',
    });
    process.exit(1);
  }, LIVENESS_EVERY_MS).unref();
}

async function answerTo(
  request: WorkerRequest,
  app: NestFastifyApplication,
  say: (answer: WorkerAnswer) => void,
): Promise<void> {
  switch (request.ask) {
    case 'readiness': {
      const results = await resultsOf(app.get<readonly ReadinessCheck[]>(READINESS_CHECKS));
      say({ say: 'readiness', id: request.id, results });
      return;
    }
    case 'metrics': {
      const metrics = (await app.get<Metrics | undefined>(PROCESS_METRICS)?.collect()) ?? [];
      say({ say: 'metrics', id: request.id, metrics });
      return;
    }
    case 'stop':
      await app.close();
      process.exit(0);
  }
}
