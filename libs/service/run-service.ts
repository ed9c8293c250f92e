import 'reflect-metadata';
import { ConsoleLogger, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { loadConfig, type Config } from '#config';
import { httpAdapter } from './http-adapter.js';

/** One process: its name in logs, its root module, and the injection tokens of the transports that feed it. */
export interface Service {
  readonly name: string;
  readonly module: Type;
  readonly transports: readonly symbol[];
  /** What must be in place before the first route is. */
  readonly prepare?: (app: NestFastifyApplication) => Promise<void>;
}

/**
 * Starts a process of Remit: views first, then consumption, then the health endpoint. SIGTERM and SIGINT finish the
 * batch in hand, commit it, leave the group and exit. A start that fails says why in one line and exits with 1.
 */
export async function runService(service: Service): Promise<void> {
  try {
    await start(service, loadConfig());
  } catch (error) {
    process.stderr.write(
      `remit ${service.name} did not start: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    process.exit(1);
  }
}

async function start(service: Service, config: Config): Promise<void> {
  const logger = new ConsoleLogger(service.name, { json: true, logLevels: [config.logLevel] });
  const app = await NestFactory.create<NestFastifyApplication>(service.module, httpAdapter(), {
    logger,
    abortOnError: false,
  });
  app.enableShutdownHooks([], { useProcessExit: true });
  for (const transport of service.transports) {
    app.connectMicroservice<MicroserviceOptions>({ strategy: app.get(transport) });
  }
  await service.prepare?.(app);
  await app.init();
  await app.startAllMicroservices();
  await app.listen(config.port, config.host);
  logger.log(`${service.name} judges; health on http://${config.host}:${config.port}/readyz`);
}
