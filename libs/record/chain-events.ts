import { EVENTS, readEvent, sha256, TOPICS } from '#contracts';
import {
  actionDigestOf,
  byAppendTime,
  intentDigestOf,
  intentSchema,
  isVoid,
  outcomeReportSchema,
  placeKey,
  type ChainEvent,
} from '#domain';
import type { HistoryEntry, RecordedChain } from './history.js';
import { searchTerm } from './search-terms.js';

/** So many events of a chain are shown, and as many more that are said elsewhere of the intents in them. */
export const EVENTS_OF_CHAIN = 10_000;

const erasedIntentSchema = intentSchema
  .pick({ agentId: true, intentId: true })
  .extend({ action: intentSchema.shape.action.pick({ type: true, target: true }) });
const erasedReportSchema = outcomeReportSchema.pick({ agentId: true, intentId: true, chainId: true, status: true });

/**
 * An entry as part of a chain. `undefined`: it is none, or refused, as by the layers, because the key is not the agent.
 */
export function chainEventOf(entry: HistoryEntry): ChainEvent | undefined {
  const { topic, partition, offset, appendTime } = entry;
  const at = { topic, partition, offset, appendTime };
  const key = entry.key?.toString('utf8');
  if (entry.erased === true) return erasedEventOf(entry, at);
  if (topic === TOPICS.agentActions.name) {
    const again =
      entry.eventType === EVENTS.resubmittedIntent.type ? readEvent(EVENTS.resubmittedIntent, entry) : undefined;
    if (again?.ok === true) {
      const { intent, requestId } = again.event.data;
      if (intent.agentId !== key) return undefined;
      return { ...at, kind: 're-evaluation', intent, requestId, intentDigest: intentDigestOf(intent, sha256) };
    }
    const reading = readEvent(EVENTS.intent, entry);
    if (!reading.ok || reading.event.data.agentId !== key) return undefined;
    const intent = reading.event.data;
    return { ...at, kind: 'intent', intent, actionDigest: actionDigestOf(intent.action, sha256) };
  }
  if (topic === TOPICS.agentDecisions.name) {
    const reading = readEvent(EVENTS.decision, entry);
    return reading.ok ? { ...at, kind: 'decision', decision: reading.event.data } : undefined;
  }
  if (topic === TOPICS.agentOutcomes.name) {
    const reading = readEvent(EVENTS.outcome, entry);
    if (!reading.ok || reading.event.data.agentId !== key) return undefined;
    return { ...at, kind: 'report', report: reading.event.data };
  }
  return undefined;
}

/** What an erasure leaves is what the entry can be searched by. */
function erasedEventOf(
  { topic, key, eventType, agentId, intentId, chainId, actionType, target, outcome }: HistoryEntry,
  at: Pick<HistoryEntry, 'topic' | 'partition' | 'offset' | 'appendTime'>,
): ChainEvent | undefined {
  if (key?.toString('utf8') !== agentId || chainId === null) return undefined;
  if (topic === TOPICS.agentActions.name && eventType === EVENTS.intent.type) {
    const left = erasedIntentSchema.safeParse({ agentId, intentId, action: { type: actionType, target } });
    return left.success ? { ...at, kind: 'erased-intent', chainId, ...left.data } : undefined;
  }
  if (topic === TOPICS.agentOutcomes.name && eventType === EVENTS.outcome.type) {
    const left = erasedReportSchema.safeParse({ agentId, intentId, chainId, status: outcome });
    return left.success ? { ...at, kind: 'erased-report', ...left.data } : undefined;
  }
  return undefined;
}

/** The intents that the chain's actions are, and those they name as causes, wherever these belong. */
function intentIdsIn(events: readonly ChainEvent[]): string[] {
  const ids = events.flatMap((event) => {
    if (event.kind === 'report') return [event.report.intentId];
    if (event.kind === 'erased-report' || event.kind === 'erased-intent') return [event.intentId];
    if (event.kind === 're-evaluation') return [event.intent.intentId];
    const { intentId, cause } = event.kind === 'intent' ? event.intent : event.decision;
    return cause ? [intentId, cause.intentId] : [intentId];
  });
  return [...new Set(ids)];
}

/** The same for two events of which the later one adds nothing. Of what was erased nobody can tell. */
function sayingOf(event: ChainEvent): string | undefined {
  if (event.kind === 'intent') return `intent ${sha256(JSON.stringify(event.intent))}`;
  if (event.kind === 're-evaluation') return `re-evaluation ${event.requestId} ${event.intentDigest}`;
  if (event.kind === 'decision') {
    const { decisionId, chainId, outcome, wouldBe } = event.decision;
    return JSON.stringify([decisionId, chainId, outcome, wouldBe, isVoid(event)]);
  }
  if (event.kind === 'report') {
    const { agentId, intentId, decisionId, chainId, status, actionDigest } = event.report;
    return JSON.stringify([agentId, intentId, decisionId, chainId, status, actionDigest]);
  }
  return undefined;
}

/** Hands entries out page by page. */
type LookUp<Wanted> = (wanted: Wanted, read: (page: readonly HistoryEntry[]) => void) => Promise<void>;

/**
 * What `foldChain` needs for one chain, out of history's two look-ups: what says it belongs to the chain, what is about
 * the same intents but says otherwise, and what the record holds of the causes they name. What says the same again is
 * left out without a word.
 */
export async function readChain(
  chainId: string,
  lookUp: { readonly inChain: LookUp<string>; readonly aboutIntents: LookUp<readonly string[]> },
): Promise<RecordedChain> {
  const wanted = searchTerm(chainId);
  const events: ChainEvent[] = [];
  const kept = new Set<string>();
  let leftOut = 0;
  /** `false`: there is no room for it any more. */
  const keep = (event: ChainEvent, room: number): boolean => {
    const place = placeKey(event);
    const saying = sayingOf(event);
    if (kept.has(place) || (saying !== undefined && kept.has(saying))) return true;
    if (events.length >= room) return false;
    events.push(event);
    kept.add(place);
    if (saying !== undefined) kept.add(saying);
    return true;
  };
  await lookUp.inChain(wanted, (page) => {
    for (const entry of page) {
      const event = chainEventOf(entry);
      if (event !== undefined && !keep(event, EVENTS_OF_CHAIN)) leftOut += 1;
    }
  });
  if (events.length === 0) return { events, leftOut };
  const room = events.length + EVENTS_OF_CHAIN;
  await lookUp.aboutIntents(intentIdsIn(events), (page) => {
    for (const entry of page) {
      const event = chainEventOf(entry);
      if (event === undefined) continue;
      const before = events.length;
      const hasRoom = keep(event, room);
      // What is in the chain has been counted once.
      if (entry.chainId !== wanted) leftOut += hasRoom ? 0 : 1;
      else if (events.length > before) leftOut -= 1;
    }
  });
  return { events: events.sort(byAppendTime), leftOut };
}
