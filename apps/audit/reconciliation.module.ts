import {
  Inject,
  Injectable,
  Logger,
  Module,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, type Bus } from '#bus';
import type { Config } from '#config';
import { PostgresWatchState, type History } from '#record';
import { BUS, BusModule, CONFIG, PROCESS_METRICS } from '#service';
import { onceAMinute, onceAMinutePerCause, type Metrics } from '#telemetry';
import { AuditModule, HISTORY } from './audit.module.js';
import { observeGaps, observeReconciliation } from './audit-metrics.js';
import { GapWatch } from './gap-watch.js';

/** Injection token of the {@link GapWatch} of this process. */
export const GAP_WATCH = Symbol('remit.gap-watch');

/** Injection token of the {@link PostgresWatchState} of the watch. */
const WATCH_STATE = Symbol('remit.watch-state');

const LOOK_EVERY_MS = 10_000;
/** Between the parts of a look: whoever else uses the database gets a turn. */
const GO_ON_AFTER_MS = 100;

/** Looks as long as the process lives; a look that fails is told, and tried again. */
@Injectable()
class Reconciling implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #log = new Logger('gaps');
  readonly #stopping = new AbortController();
  readonly #tellBehind = onceAMinute<void>(() => {
    this.#log.warn('the record is behind the log: gaps are looked for once it has caught up');
  });
  readonly #tellPart = onceAMinute<void>(() => {
    this.#log.warn(
      `one look for discrepancies takes at most 100 pages of 1,000 entries: it goes on at once, ${String(this.watch.left)} offsets are left`,
    );
  });
  readonly #tellFailed = onceAMinutePerCause(messageOf, (error) => {
    this.#log.warn({ message: `looking for gaps failed, and is tried again: ${messageOf(error)}`, error });
  });
  #looking: Promise<void> | undefined;

  constructor(
    @Inject(GAP_WATCH) private readonly watch: GapWatch,
    @Inject(WATCH_STATE) private readonly state: PostgresWatchState,
  ) {}

  onApplicationBootstrap(): void {
    this.#looking = this.#lookOnAndOn();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await this.#looking;
    await this.state.close();
  }

  async #lookOnAndOn(): Promise<void> {
    const { signal } = this.#stopping;
    let told = '';
    while (!signal.aborted) {
      let afterMs = LOOK_EVERY_MS;
      try {
        const look = await this.watch.look(signal);
        if (look === 'behind') this.#tellBehind();
        else {
          const counts = JSON.stringify(this.watch.counts());
          if (counts !== told && /[1-9]/.test(counts)) this.#log.warn(`gaps in the record: ${counts}`);
          told = counts;
        }
        if (look === 'part') {
          this.#tellPart();
          afterMs = GO_ON_AFTER_MS;
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#tellFailed(error);
      }
      await sleep(afterMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Continuous reconciliation: what does not add up is found as it happens. */
@Module({
  imports: [BusModule, AuditModule],
  providers: [
    {
      provide: WATCH_STATE,
      inject: [CONFIG],
      useFactory: ({ databaseUrl }: Config): PostgresWatchState =>
        new PostgresWatchState('discrepancies', { databaseUrl, poolSize: 1, applicationName: 'remit-watch' }),
    },
    {
      provide: GAP_WATCH,
      inject: [BUS, HISTORY, WATCH_STATE, PROCESS_METRICS],
      useFactory: (bus: Bus, history: History, state: PostgresWatchState, metrics: Metrics | undefined): GapWatch => {
        const watch = new GapWatch(bus, history, { now: Date.now, state });
        if (metrics !== undefined) {
          observeGaps(metrics, watch);
          observeReconciliation(metrics, watch);
        }
        return watch;
      },
    },
    Reconciling,
  ],
  exports: [GAP_WATCH],
})
export class ReconciliationModule {}
