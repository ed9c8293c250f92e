import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { loadConfig, type Config } from '#config';
import type { ServiceName } from '#contracts';
import { Log } from '#telemetry';
import { VERSION } from './engine.js';
import { httpAdapter } from './http-adapter.js';
import { NestLogger } from './nest-logger.js';
import { logUncaught } from './process-log.js';
import { moduleWithIdentity, type ServiceIdentity } from './service-identity.js';

/** One process: its name in logs, its root module, and the injection tokens of the transports that feed it. */
export interface Service {
  readonly name: ServiceName;
  readonly module: Type;
  readonly transports: readonly symbol[];
  /** What must be in place before the first route is. */
  readonly prepare?: (app: NestFastifyApplication) => Promise<void>;
}

/**
 * Starts a process of Remit: views first, then consumption, then the health endpoint. SIGTERM and SIGINT finish the
 * batch in hand, commit it, leave the group and exit. A start that fails says why in one line of the log and exits with
 * 1; so does whatever nobody has caught later.
 */
export async function runService(service: Service): Promise<void> {
  const identity = { name: `remit-${service.name}`, service: service.name, version: VERSION };
  let log = new Log({ service: identity.name, level: 'info' });
  try {
    const config = loadConfig();
    log = new Log({ service: identity.name, level: config.logLevel, secrets: config.secrets });
    logUncaught(log);
    for (const message of config.cautions) log.write('warn', { message, scope: 'configuration' });
    await start(service, identity, config, new NestLogger(log));
  } catch (error) {
    log.write('fatal', { message: `${service.name} did not start`, scope: 'process', error });
    process.exit(1);
  }
}

async function start(service: Service, identity: ServiceIdentity, config: Config, logger: NestLogger): Promise<void> {
  const app = await NestFactory.create<NestFastifyApplication>(
    moduleWithIdentity(service.module, identity),
    httpAdapter(),
    {
      logger,
      abortOnError: false,
    },
  );
  app.enableShutdownHooks([], { useProcessExit: true });
  for (const transport of service.transports) {
    app.connectMicroservice<MicroserviceOptions>({ strategy: app.get(transport) });
  }
  await service.prepare?.(app);
  await app.init();
  await app.startAllMicroservices();
  await app.listen(config.port, config.host);
  const { port } = app.getHttpServer().address() as AddressInfo;
  logger.log(`${service.name} judges; health on http://${config.host}:${port}/readyz`, 'process');
}
