import {
  Inject,
  Injectable,
  Logger,
  Module,
  type DynamicModule,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { MessagePattern, Payload } from '@nestjs/microservices';
import {
  createCommandHandler,
  createDecisionHandler,
  createOutcomeHandler,
  createRequestHandler,
  createSecondRoundHandler,
  createStoreComparison,
  readStoreOn,
  startAuthorityTimer,
  startPermissionStateTimer,
  storePositions,
  type AuthorityRuntime,
  type AuthorityTimer,
  type PermissionDatabase,
  type PermissionStore,
} from '#authority';
import { BatchTransport, messageOf, type Batch, type BatchHandler, type BatchResult, type Bus } from '#bus';
import type { Config } from '#config';
import { GROUPS, TOPICS } from '#contracts';
import { CHARTER_KEY, type Views } from '#segment';
import {
  BatchController,
  BUS,
  CONFIG,
  LOG_WATCH,
  PEOPLES_BUS,
  PEOPLES_STORE,
  PeoplesBusModule,
  PERMISSION_STORE,
  PROCESS_METRICS,
  RequiredPermissionStoreModule,
  TRACING,
  TracingModule,
  VIEWS,
  type LogWatch,
  type ReadinessCheck,
} from '#service';
import { onceAMinutePerCause, type Metrics, type Tracing } from '#telemetry';
import { ActionMetrics } from './action-metrics.js';
import { countPublishingFailures, countRefusedRequests, observeAuthority } from './authority-metrics.js';

/** Injection tokens and Nest transport ids of what feeds the runtime of authority. */
export const COMMANDS = Symbol('remit.authority.commands');
export const REQUESTS = Symbol('remit.authority.requests');
export const USES = Symbol('remit.authority.uses');
export const ROUNDS = Symbol('remit.authority.rounds');
export const STORE_COMPARISON = Symbol('remit.authority.store-comparison');

const GROUP_OF: ReadonlyMap<symbol, string> = new Map([
  [STORE_COMPARISON, GROUPS.eventStore],
  [COMMANDS, GROUPS.commands],
  [REQUESTS, GROUPS.requests],
  [USES, GROUPS.uses],
  [ROUNDS, GROUPS.rounds],
]);

/** Every transport of the runtime, for the process's `main`. */
export const AUTHORITY_TRANSPORTS: readonly symbol[] = [...GROUP_OF.keys()];

/** Injection token of the {@link ReadinessCheck}s of the runtime. */
export const AUTHORITY_CHECKS = Symbol('remit.authority-checks');

const RUNTIME = Symbol('remit.authority-runtime');
const ACTION_METRICS = Symbol('remit.action-metrics');

/** What people, timers, agents, decisions and permission events make of authority. */
@BatchController()
class AuthorityController {
  readonly #commands: BatchHandler;
  readonly #requests: BatchHandler;
  readonly #decisions: BatchHandler;
  readonly #rounds: BatchHandler;
  readonly #reports: BatchHandler;
  readonly #comparison: BatchHandler;

  constructor(
    @Inject(RUNTIME) runtime: AuthorityRuntime,
    @Inject(PEOPLES_STORE) peoples: PermissionStore,
    @Inject(PEOPLES_BUS) peoplesBus: Bus,
    @Inject(PERMISSION_STORE) store: PermissionDatabase,
    @Inject(LOG_WATCH) watch: LogWatch,
    @Inject(ACTION_METRICS) actions: ActionMetrics | undefined,
  ) {
    this.#commands = createCommandHandler({ ...runtime, store: peoples, bus: peoplesBus });
    this.#requests = createRequestHandler(runtime);
    this.#decisions = createDecisionHandler(runtime);
    this.#rounds = createSecondRoundHandler(runtime);
    this.#reports = createOutcomeHandler((report) => actions?.reported(report));
    const log = new Logger('event store');
    this.#comparison = createStoreComparison(store, runtime.bus, {
      found: (discrepancy) => watch.found(discrepancy),
      onRestored: (partition, events) => {
        log.warn(
          `${String(events)} events of permission.events/${String(partition)} were missing and are taken from the log: ` +
            'the database was restored from a backup',
        );
      },
    });
  }

  @MessagePattern(TOPICS.permissionCommands.name, COMMANDS)
  order(@Payload() batch: Batch): Promise<BatchResult> {
    return this.#commands(batch);
  }

  @MessagePattern(TOPICS.permissionRequests.name, REQUESTS)
  ask(@Payload() batch: Batch): Promise<BatchResult> {
    return this.#requests(batch);
  }

  @MessagePattern(TOPICS.agentDecisions.name, USES)
  settle(@Payload() batch: Batch): Promise<BatchResult> {
    return this.#decisions(batch);
  }

  @MessagePattern(TOPICS.agentOutcomes.name, USES)
  report(@Payload() batch: Batch): Promise<BatchResult> {
    return this.#reports(batch);
  }

  @MessagePattern(TOPICS.permissionEvents.name, STORE_COMPARISON)
  compare(@Payload() batch: Batch): Promise<BatchResult> {
    return this.#comparison(batch);
  }

  @MessagePattern(TOPICS.permissionEvents.name, ROUNDS)
  goOn(@Payload() batch: Batch): Promise<BatchResult> {
    return this.#rounds(batch);
  }
}

@Injectable()
class TimerLifetime implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #log = new Logger('authority timer');
  #timer: AuthorityTimer | undefined;

  #snapshots: AuthorityTimer | undefined;

  constructor(
    @Inject(RUNTIME) private readonly runtime: AuthorityRuntime,
    @Inject(ROUNDS) private readonly rounds: BatchTransport,
    @Inject(PROCESS_METRICS) private readonly metrics: Metrics | undefined,
  ) {}

  onApplicationBootstrap(): void {
    const onFailure = onceAMinutePerCause(messageOf, (error) => {
      this.#log.warn({ message: messageOf(error), error });
    });
    this.#timer = startAuthorityTimer(this.runtime, {
      now: Date.now,
      onFailure,
      onNotPublished: this.metrics && countPublishingFailures(this.metrics),
    });
    const { bus, views } = this.runtime;
    const partitions = (): readonly number[] => this.rounds.assigned().get(TOPICS.permissionEvents.name) ?? [];
    this.#snapshots = startPermissionStateTimer({ bus, views, partitions, now: Date.now, onFailure });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all([this.#timer?.stop(), this.#snapshots?.stop()]);
  }
}

const LOOK_EVERY_MS = 1_000;

/** Compares the event store with the log before any command is handled, and goes on doing so. */
@Injectable()
class Comparing implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #stopping = new AbortController();
  readonly #log = new Logger('event store');
  readonly #tellFailed = onceAMinutePerCause(messageOf, (error) => {
    this.#log.warn({ message: `where the event store is could not be compared: ${messageOf(error)}`, error });
  });
  #looking: Promise<void> | undefined;

  constructor(
    @Inject(PERMISSION_STORE) private readonly store: PermissionDatabase,
    @Inject(STORE_COMPARISON) private readonly transport: BatchTransport,
    @Inject(BUS) private readonly bus: Bus,
    @Inject(LOG_WATCH) private readonly watch: LogWatch,
  ) {}

  async onModuleInit(): Promise<void> {
    // while the database is away no command is handled either
    await this.watch.watch(() => storePositions(this.store)).catch(this.#tellFailed);
  }

  onApplicationBootstrap(): void {
    this.#looking = this.#lookOnAndOn();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await this.#looking;
  }

  async #lookOnAndOn(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await readStoreOn(this.store, this.transport, this.bus).catch(this.#tellFailed);
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

function transport([token, group]: readonly [symbol, string]) {
  return {
    provide: token,
    inject: [BUS],
    useFactory: (bus: Bus) => new BatchTransport({ bus, group, transportId: token }),
  };
}

function authorityChecks(store: PermissionStore, ...transports: readonly BatchTransport[]): readonly ReadinessCheck[] {
  return [
    {
      name: 'authority partitions',
      missing: () =>
        Promise.resolve(
          transports.every((one) => one.settled()) ? undefined : 'the consumer groups have not settled yet',
        ),
    },
    {
      name: 'permission store',
      missing: async () => {
        await store.ping();
        return undefined;
      },
    },
  ];
}

function measureAuthority(views: Views, metrics: Metrics | undefined): ActionMetrics | undefined {
  if (metrics === undefined) return undefined;
  observeAuthority(metrics, views, Date.now);
  return new ActionMetrics(metrics, () => views.charter.latest(CHARTER_KEY)?.charter);
}

/** The runtime of temporary authority. `judging` is the very module the process judges with: they share the views. */
@Module({})
export class AuthorityModule {
  static of(judging: DynamicModule): DynamicModule {
    return {
      module: AuthorityModule,
      imports: [judging, RequiredPermissionStoreModule, PeoplesBusModule, TracingModule],
      controllers: [AuthorityController],
      providers: [
        {
          provide: RUNTIME,
          inject: [BUS, PERMISSION_STORE, VIEWS, CONFIG, TRACING, ACTION_METRICS, PROCESS_METRICS],
          useFactory: (
            bus: Bus,
            store: PermissionStore,
            views: Views,
            { viewWaitMs }: Config,
            tracing: Tracing | undefined,
            actions: ActionMetrics | undefined,
            metrics: Metrics | undefined,
          ): AuthorityRuntime => ({
            ...{ bus, store, views, viewWaitMs, tracing },
            onDecision: actions && ((message, decision) => actions.decided(message, decision)),
            onRequestRefused: metrics && countRefusedRequests(metrics),
          }),
        },
        { provide: ACTION_METRICS, inject: [VIEWS, PROCESS_METRICS], useFactory: measureAuthority },
        ...[...GROUP_OF].map(transport),
        {
          provide: AUTHORITY_CHECKS,
          inject: [PERMISSION_STORE, ...AUTHORITY_TRANSPORTS],
          useFactory: authorityChecks,
        },
        Comparing,
        TimerLifetime,
      ],
      exports: [AUTHORITY_CHECKS, ...AUTHORITY_TRANSPORTS, RequiredPermissionStoreModule, PeoplesBusModule],
    };
  }
}
