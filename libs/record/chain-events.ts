import { EVENTS, readEvent, sha256, TOPICS } from '#contracts';
import { actionDigestOf, type ChainEvent } from '#domain';
import type { HistoryEntry } from './history.js';

/** `undefined`: no part of a chain, or refused, as by the layers, because the key is not the agent. */
function chainEventOf(entry: HistoryEntry): ChainEvent | undefined {
  const { topic, partition, offset, appendTime } = entry;
  const at = { topic, partition, offset, appendTime };
  const key = entry.key?.toString('utf8');
  if (topic === TOPICS.agentActions.name) {
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

/** The parts of chains among entries. */
export function chainEventsOf(entries: readonly HistoryEntry[]): ChainEvent[] {
  return entries.flatMap((entry) => chainEventOf(entry) ?? []);
}

/** The intents that the chain's actions are, and those they name as causes, wherever these belong. */
function intentIdsIn(events: readonly ChainEvent[]): string[] {
  const ids = events.flatMap((event) => {
    if (event.kind === 'report') return [event.report.intentId];
    const { intentId, cause } = event.kind === 'intent' ? event.intent : event.decision;
    return cause ? [intentId, cause.intentId] : [intentId];
  });
  return [...new Set(ids)];
}

/**
 * All that `foldChain` needs for one chain, out of history's two look-ups: what says it belongs to the chain, what is
 * about the same intents but says otherwise, and what the record holds of the causes they name.
 */
export async function readChain(
  chainId: string,
  lookUp: {
    inChain(chainId: string): Promise<readonly HistoryEntry[]>;
    aboutIntents(intentIds: readonly string[]): Promise<readonly HistoryEntry[]>;
  },
): Promise<readonly ChainEvent[]> {
  const inChain = chainEventsOf(await lookUp.inChain(chainId));
  if (inChain.length === 0) return [];
  return chainEventsOf(await lookUp.aboutIntents(intentIdsIn(inChain)));
}
