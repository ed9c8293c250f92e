import {
  Inject,
  Injectable,
  Logger,
  Module,
  type DynamicModule,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { makeGood, standingOfCommand, type PermissionDatabase, type PermissionStore } from '#authority';
import type { Bus } from '#bus';
import type { Config } from '#config';
import type { Views } from '#segment';
import {
  BUS,
  CONFIG,
  LOG_WATCH,
  PEOPLES_BUS,
  PEOPLES_STORE,
  PERMISSION_STORE,
  SIGNATURES,
  VIEWS,
  type LogWatch,
  type Signatures,
} from '#service';
import { DoorController } from './door.controller.js';
import { PersonLimit, VERIFY_TOKEN } from './door-requests.js';
import { DOOR_SERVICE, DoorService } from './door-service.js';
import { HoldWebhook } from './hold-webhook.js';
import { putOnRecord } from './held-action.js';
import { openDoor, type OpenedDoor } from './open-door.js';
import { OrderDesk } from './order-desk.js';
import { ProblemFilter } from './problem.filter.js';

const DESK = Symbol('remit.door.desk');
const OPENED = Symbol('remit.door.opened');
const WEBHOOK = Symbol('remit.door.webhook');

@Injectable()
class DoorLifetime implements OnModuleInit, OnApplicationShutdown {
  readonly #log = new Logger('door');

  constructor(
    @Inject(DESK) private readonly desk: OrderDesk,
    @Inject(OPENED) private readonly opened: OpenedDoor,
    @Inject(WEBHOOK) private readonly webhook: HoldWebhook | undefined,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.desk.start();
    this.webhook?.start();
    this.#log.log(this.opened.notice);
    if (this.opened.warning !== undefined) this.#log.warn(this.opened.warning);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.webhook?.stop();
    await this.desk.stop();
  }
}

/** The one door for people. `judging` and `authority` are the very modules the process judges and orders with. */
@Module({})
export class DoorModule {
  static of(...modules: readonly DynamicModule[]): DynamicModule {
    return {
      module: DoorModule,
      imports: [...modules],
      controllers: [DoorController],
      providers: [
        { provide: APP_FILTER, useClass: ProblemFilter },
        { provide: OPENED, inject: [CONFIG], useFactory: openDoor },
        { provide: VERIFY_TOKEN, inject: [OPENED], useFactory: ({ verify }: OpenedDoor) => verify },
        {
          provide: DESK,
          inject: [PEOPLES_BUS, BUS, PEOPLES_STORE, VIEWS, CONFIG],
          useFactory: (peoples: Bus, bus: Bus, store: PermissionStore, views: Views, { door }: Config) =>
            new OrderDesk(
              { to: peoples, from: bus },
              (command) => standingOfCommand(store, command),
              door.waitMs,
              (agentId, version) => (views.permissions.latest(agentId)?.version ?? 0) >= version,
            ),
        },
        {
          provide: DOOR_SERVICE,
          inject: [BUS, PEOPLES_BUS, VIEWS, DESK, CONFIG, LOG_WATCH, PERMISSION_STORE, SIGNATURES],
          useFactory: (
            bus: Bus,
            peoples: Bus,
            views: Views,
            desk: OrderDesk,
            { door }: Config,
            log: LogWatch,
            store: PermissionDatabase,
            signatures: Signatures | undefined,
          ) =>
            new DoorService({
              bus: peoples,
              views,
              desk,
              messages: bus,
              log,
              makeGood: (discrepancy) => makeGood(discrepancy, bus, store),
              roles: door,
              decisionsSigned: signatures !== undefined,
              putOnRecord: (access) => putOnRecord(bus, access),
              waitMs: door.waitMs,
              now: Date.now,
            }),
        },
        {
          provide: WEBHOOK,
          inject: [CONFIG, VIEWS],
          useFactory: ({ webhook }: Config, views: Views) =>
            webhook === undefined
              ? undefined
              : new HoldWebhook(webhook, {
                  agentsWithOpen: () => views.permissions.openKeys(),
                  authority: (agentId) => views.permissions.latest(agentId),
                  now: Date.now,
                }),
        },
        PersonLimit,
        DoorLifetime,
      ],
    };
  }
}
