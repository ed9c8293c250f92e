import { Inject, Injectable, Logger, Module, type DynamicModule, type OnModuleInit } from '@nestjs/common';
import { BatchTransport, type Bus } from '#bus';
import { forgetForked, reserveUses, type PermissionStore } from '#authority';
import type { Config } from '#config';
import { GROUPS } from '#contracts';
import type { Layer } from '#domain';
import {
  CHARTER_KEY,
  createSegment,
  createViews,
  measureJudging,
  traceJudging,
  viewPositions,
  type Views,
} from '#segment';
import { proofVerifier } from '#signing';
import { onceAMinute, type Metrics, type Tracing } from '#telemetry';
import { BUS, BusModule, LOG_CHECKS, LOG_WATCH } from './bus.module.js';
import { CONFIG } from './config.module.js';
import { ENGINE } from './engine.js';
import type { ReadinessCheck } from './health.js';
import type { LogWatch } from './log-watch.js';
import { SIGNATURES, type Signatures } from './message-signing.js';
import { PROCESS_METRICS } from './metrics.module.js';
import { COUNTING_STORE, PermissionStoreModule } from './permission-store.module.js';
import { TRACING, TracingModule } from './tracing.module.js';

/** Injection token of the process's {@link Views}. */
export const VIEWS = Symbol('remit.views');

/** Injection token of the segment: the batch handler that judges. */
export const SEGMENT = Symbol('remit.segment');

/** Injection token and Nest transport id of the transport that feeds the segment. */
export const JUDGING = Symbol('remit.judging');

/** Injection token of the {@link ReadinessCheck}s of judging. */
export const JUDGING_CHECKS = Symbol('remit.judging-checks');

/** How often a start that reads a lot says how far it is, ms. */
const PROGRESS_MS = 5_000;

function progressOf(views: Views): string {
  const { read, total } = views.progress();
  return `${String(read)} of ${String(total)} messages`;
}

@Injectable()
class ViewsLifetime implements OnModuleInit {
  readonly #log = new Logger('views');

  constructor(
    @Inject(VIEWS) private readonly views: Views,
    @Inject(LOG_WATCH) private readonly watch: LogWatch,
  ) {}

  async onModuleInit(): Promise<void> {
    const told = setInterval(() => this.#log.log(`reading the log: ${progressOf(this.views)}`), PROGRESS_MS);
    try {
      await this.views.start();
    } finally {
      clearInterval(told);
    }
    // before anything is judged: what the log lacks of what views are built from might have been a suspension
    await this.watch.watch(() => Promise.resolve(viewPositions(this.views)));
    const { read, keys } = this.views.permissions.size();
    const begun = this.views.cuts()?.size ?? 0;
    this.#log.log(
      `read ${String(read)} permission events, ${String(begun)} partitions on from snapshots; ${String(keys)} agents known`,
    );
  }
}

function judgingChecks(
  views: Views,
  transport: BatchTransport,
  log: readonly ReadinessCheck[],
): readonly ReadinessCheck[] {
  return [
    ...log,
    {
      name: 'partitions',
      missing: () => Promise.resolve(transport.settled() ? undefined : 'the consumer group has not settled yet'),
    },
    {
      name: 'charter',
      missing: () =>
        Promise.resolve(
          views.charter.latest(CHARTER_KEY) === undefined
            ? 'no charter is active: run `remit charter activate FILE`'
            : undefined,
        ),
    },
    {
      name: 'views',
      missing: async () => ((await views.catchUp(0)) ? undefined : `the views are still reading: ${progressOf(views)}`),
    },
  ];
}

/** Everything a process needs to judge with a run of neighbouring layers; the app adds the controller that feeds it. */
@Module({})
export class JudgingModule {
  static of(layers: readonly [Layer, ...Layer[]]): DynamicModule {
    const group = GROUPS[layers[0]];
    const log = new Logger('judging');
    return {
      module: JudgingModule,
      imports: [
        BusModule,
        TracingModule,
        ...(layers.some((layer) => layer !== 'boundary') ? [PermissionStoreModule] : []),
      ],
      providers: [
        { provide: VIEWS, inject: [BUS], useFactory: (bus: Bus): Views => createViews(bus) },
        {
          provide: SEGMENT,
          // the boundary layer alone rests on no grant, so it counts none
          inject: [
            VIEWS,
            CONFIG,
            BUS,
            TRACING,
            PROCESS_METRICS,
            SIGNATURES,
            { token: COUNTING_STORE, optional: true },
            LOG_WATCH,
          ],
          useFactory: (
            views: Views,
            { viewWaitMs }: Config,
            bus: Bus,
            tracing: Tracing | undefined,
            metrics: Metrics | undefined,
            signatures: Signatures | undefined,
            store: PermissionStore | undefined,
            watch: LogWatch,
          ) => {
            watch.onSaid(forgetForked);
            return createSegment(
              {
                layers,
                engine: ENGINE,
                viewWaitMs,
                signed: signatures !== undefined,
                verifyProof: signatures && proofVerifier(signatures.verifier),
                inDoubtUntil: () => watch.inDoubtUntil(),
                reserve: store && reserveUses({ bus, store, views }),
                watches: [
                  ...(tracing === undefined ? [] : [traceJudging(tracing, group)]),
                  ...(metrics === undefined ? [] : [measureJudging(metrics, tracing?.sampling)]),
                ],
                onWatchFault: onceAMinute((error) =>
                  log.error(`intents are judged, but not traced or measured: ${String(error)}`),
                ),
              },
              views,
            );
          },
        },
        {
          provide: JUDGING,
          inject: [BUS],
          useFactory: (bus: Bus) => new BatchTransport({ bus, group, transportId: JUDGING }),
        },
        { provide: JUDGING_CHECKS, inject: [VIEWS, JUDGING, LOG_CHECKS], useFactory: judgingChecks },
        ViewsLifetime,
      ],
      exports: [SEGMENT, VIEWS, JUDGING, JUDGING_CHECKS, BusModule],
    };
  }
}
