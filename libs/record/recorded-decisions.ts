import { EVENTS, readEvent, TOPICS } from '#contracts';
import type { Decision, Intent, MissingFacts, RecordedDecision, SecondRound, Stamp } from '#domain';
import type { HistoryCursor, HistoryEntry, Position } from './history.js';
import type { HistoryReading } from './history-reading.js';
import { RecordedViews } from './recorded-views.js';

/** Which decisions to read back. */
export interface DecisionSelection {
  /** Appended at or after, ms since the epoch. */
  readonly from?: number | undefined;
  /** Appended before, ms since the epoch. */
  readonly to?: number | undefined;
  readonly agentId?: string | undefined;
  readonly after?: HistoryCursor | undefined;
}

/** A decision on record with all the facts behind it, or which of them the record has not kept. */
export type DecisionOnRecord =
  | { readonly at: HistoryEntry; readonly recorded: RecordedDecision }
  | { readonly at: HistoryEntry; readonly missing: MissingFacts };

interface SourceIntent {
  readonly intent: Intent;
  readonly secondRound: SecondRound | undefined;
}

function placeOf({ topic, partition, offset }: Position): string {
  return `${topic}\n${partition}\n${offset}`;
}

function sourceIntent(entry: HistoryEntry): SourceIntent | undefined {
  const first = readEvent(EVENTS.intent, entry);
  if (first.ok) return { intent: first.event.data, secondRound: undefined };
  if (first.code !== 'REMIT_EVENT_WRONG_TYPE') return undefined;
  const again = readEvent(EVENTS.resubmittedIntent, entry);
  if (!again.ok) return undefined;
  const { intent, requestId } = again.event.data;
  return { intent, secondRound: { requestId } };
}

interface ReadDecision {
  readonly at: HistoryEntry;
  readonly decision: Decision | undefined;
}

function decisionsIn(page: readonly HistoryEntry[]): ReadDecision[] {
  return page.map((at) => {
    const reading = readEvent(EVENTS.decision, at);
    return { at, decision: reading.ok ? reading.event.data : undefined };
  });
}

/** Every decision of a selection in append order, page by page, in constant memory. */
export async function* recordedDecisions(
  history: HistoryReading,
  selection: DecisionSelection,
): AsyncGenerator<readonly DecisionOnRecord[]> {
  const views = new RecordedViews(history);
  for await (const page of history.stream({ ...selection, topics: [TOPICS.agentDecisions.name] })) {
    const read = decisionsIn(page);
    const sources = read.flatMap(({ decision }) => decision?.stamp.source ?? []);
    const found = new Map((await history.at(sources)).map((entry) => [placeOf(entry), entry]));
    const complete: DecisionOnRecord[] = [];
    for (const { at, decision } of read) {
      if (decision === undefined) {
        complete.push({ at, missing: 'decision-unreadable' });
        continue;
      }
      complete.push(await completed(at, decision, found.get(placeOf(decision.stamp.source)), views));
    }
    yield complete;
  }
}

async function completed(
  at: HistoryEntry,
  decision: Decision,
  source: HistoryEntry | undefined,
  views: RecordedViews,
): Promise<DecisionOnRecord> {
  if (source === undefined) return { at, missing: 'intent-not-in-record' };
  const read = sourceIntent(source);
  if (read === undefined) return { at, missing: 'intent-unreadable' };
  const { charter: seen, permissions }: Stamp = decision.stamp;
  const charter = await views.charterAt(seen.position, seen.digest);
  if (charter === undefined) return { at, missing: 'charter-events-missing' };
  const authority = await views.authorityAt(read.intent.agentId, permissions.position);
  if (authority === undefined) return { at, missing: 'permission-events-missing' };
  return {
    at,
    recorded: { decision, ...read, charter: charter.state?.charter, authority: authority.state },
  };
}
