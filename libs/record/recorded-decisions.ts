import { setImmediate as nextTurn } from 'node:timers/promises';
import { EVENTS, readEvent, STRUCTURED_CONTENT_TYPE, TOPICS } from '#contracts';
import {
  placeKey,
  type Decision,
  type Intent,
  type MissingFacts,
  type RecordedDecision,
  type SecondRound,
} from '#domain';
import type { HistoryCursor, HistoryEntry, HistoryReading, Position } from './history.js';
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
  | { readonly at: HistoryEntry; readonly source: HistoryEntry; readonly recorded: RecordedDecision }
  | { readonly at: HistoryEntry; readonly missing: MissingFacts };

interface SourceIntent {
  readonly intent: Intent;
  readonly secondRound: SecondRound | undefined;
}

/** How entries become decisions and intents; `undefined`: they cannot. */
export interface DecisionReader {
  decision(entry: HistoryEntry): Decision | undefined;
  source(entry: HistoryEntry): SourceIntent | undefined;
}

/** Reads what every reader of the log reads, and refuses what they refuse. */
export const STRICT_READER: DecisionReader = {
  decision(entry) {
    const reading = readEvent(EVENTS.decision, entry);
    return reading.ok ? reading.event.data : undefined;
  },
  source(entry) {
    const first = readEvent(EVENTS.intent, entry);
    if (first.ok) return { intent: first.event.data, secondRound: undefined };
    if (first.code !== 'REMIT_EVENT_WRONG_TYPE') return undefined;
    const again = readEvent(EVENTS.resubmittedIntent, entry);
    if (!again.ok) return undefined;
    const { intent, requestId } = again.event.data;
    return { intent, secondRound: { requestId } };
  },
};

const STRUCTURED = Buffer.from(STRUCTURED_CONTENT_TYPE);

function envelopeIn({ headers, value }: HistoryEntry): { type?: unknown; data?: unknown } | undefined {
  const contentType = headers['content-type'];
  if (value === null || !Buffer.isBuffer(contentType) || !contentType.equals(STRUCTURED)) return undefined;
  return JSON.parse(value.toString('utf8')) as { type?: unknown; data?: unknown };
}

function isPlace({ partition, offset }: Partial<Position>): boolean {
  return Number.isSafeInteger(partition) && Number.isSafeInteger(offset);
}

/** Everything that replay does before it compares can be done with it. */
function hasStamp({ stamp, verdicts }: Partial<Decision>): boolean {
  return (
    Array.isArray(verdicts) &&
    isPlace(stamp?.source ?? {}) &&
    Number.isSafeInteger(stamp?.charter.position) &&
    Number.isSafeInteger(stamp?.permissions.position)
  );
}

/**
 * Takes entries at their word, which is several times faster. Only for who compares afterwards with what this engine
 * makes itself, and asks {@link STRICT_READER} whenever that is not the same.
 */
export const TRUSTING_READER: DecisionReader = {
  decision(entry) {
    try {
      const envelope = envelopeIn(entry);
      const data = envelope?.data as Decision | undefined;
      if (envelope?.type === EVENTS.decision.type && data !== undefined && hasStamp(data)) return data;
    } catch {
      // Strictly read, it is refused with a reason.
    }
    return STRICT_READER.decision(entry);
  },
  source(entry) {
    try {
      const envelope = envelopeIn(entry);
      const intent = envelope?.data as Intent | undefined;
      if (envelope?.type === EVENTS.intent.type && typeof intent?.agentId === 'string') {
        return { intent, secondRound: undefined };
      }
    } catch {
      // Strictly read, it is refused with a reason.
    }
    return STRICT_READER.source(entry);
  },
};

interface LoadedPage {
  readonly read: readonly { readonly at: HistoryEntry; readonly decision: Decision | undefined }[];
  /** By {@link placeKey}. */
  readonly sources: ReadonlyMap<string, HistoryEntry>;
}

/** While one page is worked on, so many behind it are being read: one asks for its decisions, one for their intents. */
const PAGES_AHEAD = 3;

/** Every decision of a selection in append order, page by page, in constant memory. */
export async function* recordedDecisions(
  history: HistoryReading,
  selection: DecisionSelection,
  reader: DecisionReader = STRICT_READER,
): AsyncGenerator<readonly DecisionOnRecord[]> {
  const views = new RecordedViews(history);
  const stream = { ...selection, topics: [TOPICS.agentDecisions.name] };
  const pages = history.stream(stream)[Symbol.asyncIterator]();
  const load = async (): Promise<LoadedPage | undefined> => {
    const next = await pages.next();
    if (next.done === true) return undefined;
    const read = next.value.map((at) => ({ at, decision: reader.decision(at) }));
    const entries = await history.at(read.flatMap(({ decision }) => decision?.stamp.source ?? []));
    return { read, sources: new Map(entries.map((entry) => [placeKey(entry), entry])) };
  };
  const loading: Promise<LoadedPage | undefined>[] = [];
  const loadAhead = (): void => {
    while (loading.length < PAGES_AHEAD) {
      const next = load();
      // Whoever waits for it hears of it; until then it is nobody's.
      next.catch(() => undefined);
      loading.push(next);
    }
  };
  try {
    for (;;) {
      loadAhead();
      const page = await loading.shift();
      if (page === undefined) return;
      loadAhead();
      // What the database has sent meanwhile is taken in, and what it waits for is asked.
      await nextTurn();
      const complete: DecisionOnRecord[] = [];
      for (const { at, decision } of page.read) {
        complete.push(
          decision === undefined
            ? { at, missing: at.erased === true ? 'erased' : 'decision-unreadable' }
            : await completed(at, decision, page.sources.get(placeKey(decision.stamp.source)), views, reader),
        );
      }
      yield complete;
    }
  } finally {
    await Promise.allSettled(loading);
    await pages.return?.();
  }
}

async function completed(
  at: HistoryEntry,
  decision: Decision,
  source: HistoryEntry | undefined,
  views: RecordedViews,
  reader: DecisionReader,
): Promise<DecisionOnRecord> {
  if (source === undefined) return { at, missing: 'intent-not-in-record' };
  const read = reader.source(source);
  if (read === undefined) return { at, missing: source.erased === true ? 'erased' : 'intent-unreadable' };
  const { charter: seen, permissions } = decision.stamp;
  const charter = await views.charterAt(seen.position, seen.digest);
  if (charter === undefined) return { at, missing: 'charter-events-missing' };
  const authority = await views.authorityAt(read.intent.agentId, permissions.position);
  if (authority === undefined) return { at, missing: 'permission-events-missing' };
  return {
    ...{ at, source },
    recorded: { decision, ...read, charter: charter.state?.charter, authority: authority.state },
  };
}
