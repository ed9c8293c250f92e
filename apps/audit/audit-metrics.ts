import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '#bus';
import { TOPICS } from '#contracts';
import { GAP_KINDS } from '#domain';
import { TrulyNotStored, type History, type StoredPositions } from '#record';
import { METRICS, reading, type Metrics, type Reading } from '#telemetry';
import type { GapWatch } from './gap-watch.js';
import type { RecordWatch } from './record-watch.js';

const FRESH_MS = 1000;
/** How long a scrape waits for the database, ms: less than for any source, which is left out if it takes longer. */
const ANSWER_MS = 750;

/** What the record holds, as the database last said. */
class LastAnswer {
  positions: StoredPositions | undefined;
  #answeredAt = performance.now();
  #asking: Promise<void> | undefined;

  constructor(private readonly history: Pick<History, 'positions'>) {}

  /** Since the last answer, or since there is somebody to ask, s. */
  get age(): number {
    return (performance.now() - this.#answeredAt) / 1000;
  }

  /** Waits a moment for an answer. While one is still to come, the database is not asked again. Never rejects. */
  async renew(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    await Promise.race([this.#asking, sleep(ANSWER_MS, undefined, { ref: false })]);
  }

  async #ask(): Promise<void> {
    try {
      this.positions = await this.history.positions();
      this.#answeredAt = performance.now();
    } catch {
      // how long there has been no answer is a metric, and readiness says why
    }
  }
}

/**
 * How far the record is behind the log. While the database is away, or takes connections and never answers, it is taken
 * from what was stored before; how old that is, is told beside it, also where the lag cannot be.
 */
export function observeAuditLag(
  metrics: Metrics,
  bus: Pick<Bus, 'ends' | 'firstBetween'>,
  history: Pick<History, 'positions'>,
): void {
  const topics = Object.values(TOPICS).map(({ name }) => name);
  const stored = new LastAnswer(history);
  const notStored = new TrulyNotStored(bus);
  async function lags(): Promise<Reading[]> {
    const [ends] = await Promise.all([bus.ends(topics), stored.renew()]);
    if (stored.positions === undefined) throw new Error('the database has not yet said what the record holds');
    const missing = await notStored.count(ends, stored.positions);
    return topics.map((topic) => {
      const lag = (missing.get(topic) ?? []).reduce((sum, messages) => sum + messages, 0);
      return reading(METRICS.auditLag, lag, { 'messaging.destination.name': topic });
    });
  }
  async function age(): Promise<Reading[]> {
    await stored.renew();
    return [reading(METRICS.recordAnswerAge, stored.age, {})];
  }
  metrics.observe('audit lag', lags, FRESH_MS);
  metrics.observe("the record's answer", age, FRESH_MS);
}

/** What does not add up, as of the last look. */
export function observeGaps(metrics: Metrics, watch: Pick<GapWatch, 'counts'>): void {
  metrics.observe('gaps', () => {
    const counts = watch.counts();
    return GAP_KINDS.map((kind) => reading(METRICS.recordGaps, counts[kind], { 'remit.gap': kind }));
  });
}

/** How far the watch for discrepancies has got. */
export function observeReconciliation(metrics: Metrics, watch: Pick<GapWatch, 'left' | 'wholeAgeMs'>): void {
  metrics.observe('reconciliation', () => [
    ...(watch.left === undefined ? [] : [reading(METRICS.reconciliationLag, watch.left, {})]),
    reading(METRICS.reconciliationAge, watch.wholeAgeMs / 1000, {}),
  ]);
}

/** Whether the record can still be proven. */
export function observeRecord(metrics: Metrics, watch: RecordWatch): void {
  metrics.observe('the record', () => [
    reading(METRICS.checkpointAge, watch.checkpointAgeMs / 1000, {}),
    reading(METRICS.recordVerified, watch.verified ? 1 : 0, {}),
    reading(METRICS.verificationFailures, watch.failures, {}),
  ]);
}
