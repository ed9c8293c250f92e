import type { Bus } from '#bus';
import { TOPICS } from '#contracts';
import { GAP_KINDS } from '#domain';
import { notStored, type History, type StoredPositions } from '#record';
import { METRICS, reading, type Metrics, type Reading } from '#telemetry';
import type { GapWatch } from './gap-watch.js';
import type { RecordWatch } from './record-watch.js';

const FRESH_MS = 1000;

/** How far the record is behind the log. While the database is away it is taken from what was stored before. */
export function observeAuditLag(metrics: Metrics, bus: Pick<Bus, 'ends'>, history: Pick<History, 'positions'>): void {
  const topics = Object.values(TOPICS).map(({ name }) => name);
  let known: StoredPositions | undefined;
  async function readings(): Promise<Reading[]> {
    const ends = await bus.ends(topics);
    const stored = await history.positions().catch((error: unknown) => {
      if (known === undefined) throw error;
      return known;
    });
    known = stored;
    const missing = notStored(ends, stored);
    return topics.map((topic) => {
      const lag = (missing.get(topic) ?? []).reduce((sum, messages) => sum + messages, 0);
      return reading(METRICS.auditLag, lag, { 'messaging.destination.name': topic });
    });
  }
  metrics.observe('audit lag', readings, FRESH_MS);
}

/** What does not add up, as of the last look. */
export function observeGaps(metrics: Metrics, watch: Pick<GapWatch, 'counts'>): void {
  metrics.observe('gaps', () => {
    const counts = watch.counts();
    return GAP_KINDS.map((kind) => reading(METRICS.recordGaps, counts[kind], { 'remit.gap': kind }));
  });
}

/** Whether the record can still be proven. */
export function observeRecord(metrics: Metrics, watch: RecordWatch): void {
  metrics.observe('the record', () => [
    reading(METRICS.checkpointAge, watch.checkpointAgeMs / 1000, {}),
    reading(METRICS.recordVerified, watch.verified ? 1 : 0, {}),
    reading(METRICS.verificationFailures, watch.failures, {}),
  ]);
}
