import { Inject, Injectable, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { PermissionDatabase, type PermissionStore } from '#authority';
import type { Config } from '#config';
import { BusModule } from './bus.module.js';
import { CONFIG } from './config.module.js';

/**
 * Injection token of the {@link PermissionStore} where uses of grants are counted; `undefined` in a process without
 * DATABASE_URL, where grants with counted uses authorise nothing.
 */
export const COUNTING_STORE = Symbol('remit.counting-store');

@Injectable()
class StoreLifetime implements OnApplicationShutdown {
  constructor(@Inject(COUNTING_STORE) private readonly store: PermissionStore | undefined) {}

  async onApplicationShutdown(): Promise<void> {
    await this.store?.close();
  }
}

function onConnectionLost(error: Error): void {
  new Logger('permission store').warn(`a connection to PostgreSQL was lost: ${error.message}`);
}

function openStore(config: Config): PermissionDatabase | undefined {
  const log = new Logger('permission store');
  if (!config.hasDatabase) {
    log.warn('DATABASE_URL is not set: grants with a limited number of uses authorise nothing in this process');
    return undefined;
  }
  return new PermissionDatabase({
    databaseUrl: config.databaseUrl,
    onConnectionLost,
  });
}

@Module({
  imports: [BusModule],
  providers: [{ provide: COUNTING_STORE, inject: [CONFIG], useFactory: openStore }, StoreLifetime],
  exports: [COUNTING_STORE],
})
export class PermissionStoreModule {}

/** Injection token of the {@link PermissionDatabase} of a process that decides authority: it must have one. */
export const PERMISSION_STORE = Symbol('remit.permission-store');

/**
 * Injection token of the {@link PermissionStore} for what people and timers order: its connections are its own, so that
 * no agent's traffic keeps a person waiting for one.
 */
export const PEOPLES_STORE = Symbol('remit.peoples-store');

const PEOPLES_CONNECTIONS = 4;

@Injectable()
class PeoplesStoreLifetime implements OnApplicationShutdown {
  constructor(@Inject(PEOPLES_STORE) private readonly store: PermissionStore) {}

  async onApplicationShutdown(): Promise<void> {
    await this.store.close();
  }
}

/** Throws `REMIT_CONFIG_MISSING` where DATABASE_URL is not set. */
@Module({
  imports: [BusModule, PermissionStoreModule],
  providers: [
    {
      provide: PERMISSION_STORE,
      inject: [COUNTING_STORE, CONFIG],
      useFactory: (store: PermissionDatabase | undefined, { databaseUrl }: Config): PermissionDatabase =>
        store ?? new PermissionDatabase({ databaseUrl }),
    },
    {
      provide: PEOPLES_STORE,
      inject: [CONFIG],
      useFactory: ({ databaseUrl }: Config): PermissionStore =>
        new PermissionDatabase({ databaseUrl, poolSize: PEOPLES_CONNECTIONS, onConnectionLost }),
    },
    PeoplesStoreLifetime,
  ],
  exports: [PERMISSION_STORE, PEOPLES_STORE],
})
export class RequiredPermissionStoreModule {}
