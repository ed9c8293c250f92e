import { TOPICS } from '#contracts';
import { gapsIn, type Gap } from '#domain';
import { chainEventsOf } from './chain-events.js';
import type { HistoryEntry, HistoryReading, HistoryStream, Position } from './history.js';

/** The topics whose events must add up. */
export const RECONCILED_TOPICS = [
  TOPICS.agentActions.name,
  TOPICS.agentDecisions.name,
  TOPICS.agentOutcomes.name,
] as const;

function placeOf({ topic, partition, offset }: Position): string {
  return `${topic}\n${partition}\n${offset}`;
}

/**
 * The gaps whose event is among these entries, looked up in all of the record. `now`: up to when the record is
 * complete, ms since the epoch.
 */
export async function gapsAmong(
  history: HistoryReading,
  entries: readonly HistoryEntry[],
  now: number,
): Promise<readonly Gap[]> {
  const intentIds = [...new Set(entries.flatMap(({ intentId }) => intentId ?? []))];
  if (intentIds.length === 0) return [];
  const mine = new Set(entries.map(placeOf));
  return gapsAbout(await history.aboutIntents(intentIds), now).filter((gap) => mine.has(placeOf(gap)));
}

/** The gaps of some intents. `about`: everything the record holds about them; `now` as in {@link gapsAmong}. */
export function gapsAbout(about: readonly HistoryEntry[], now: number): readonly Gap[] {
  const reported = new Set(about.filter(isErasedReport).map(identityOf));
  return gapsIn(chainEventsOf(about), now).filter(
    (gap) => gap.kind !== 'allow-without-outcome' || !reported.has(identityOf(gap)),
  );
}

/** An agent did report, and what it said was erased: that is no silence of its own. */
function isErasedReport({ topic, erased, agentId, key }: HistoryEntry): boolean {
  return erased === true && topic === TOPICS.agentOutcomes.name && key?.toString('utf8') === agentId;
}

function identityOf({ agentId, intentId }: Pick<HistoryEntry, 'agentId' | 'intentId'>): string {
  return `${agentId ?? ''}\n${intentId ?? ''}`;
}

/** Every gap of a stretch of the record, in append order, page by page, in constant memory. */
export async function* recordedGaps(
  history: HistoryReading,
  selection: Omit<HistoryStream, 'topics'>,
  now: number,
): AsyncGenerator<readonly Gap[]> {
  for await (const page of history.stream({ ...selection, topics: RECONCILED_TOPICS })) {
    yield await gapsAmong(history, page, now);
  }
}
