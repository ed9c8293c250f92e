import { effectiveDecision, isVoid } from '../decision/effective.js';
import { chainIdOf } from '../intent/intent.js';
import type { AppendedAt, ChainEvent } from './chain.js';

export const GAP_KINDS = [
  /** No decision, or only void ones. */
  'intent-without-decision',
  /** The agent has not said what came of an allowed action. */
  'allow-without-outcome',
  /** The agent reports an action that nothing had allowed by then. */
  'outcome-without-allow',
  /** What was done is, by its digest, not what was allowed. */
  'outcome-differs',
  /** Reported as executed after the allow had run out. */
  'executed-too-late',
] as const;
export type GapKind = (typeof GAP_KINDS)[number];

/** Something that does not add up. It lies where its one event lies: an intent, a decision or a report. */
export interface Gap extends AppendedAt {
  readonly kind: GapKind;
  readonly agentId: string;
  readonly intentId: string;
  readonly chainId: string;
  readonly decisionId: string | null;
  readonly action: string | null;
  /** From the event's append time to now; a gap that is still young may yet close. */
  readonly ageMs: number;
  /** Of `executed-too-late`: from `validUntil` to the report's append time. */
  readonly lateMs: number | null;
}

type IntentEvent = Extract<ChainEvent, { kind: 'intent' }>;
type DecisionEvent = Extract<ChainEvent, { kind: 'decision' }>;
type ReportEvent = Extract<ChainEvent, { kind: 'report' }>;

/** All that the record holds of one id that one agent has given. */
interface Told {
  readonly intents: IntentEvent[];
  readonly decisions: DecisionEvent[];
  readonly reports: ReportEvent[];
}

function tellApart(events: readonly ChainEvent[]): Iterable<Told> {
  const told = new Map<string, Told>();
  const seen = new Set<string>();
  for (const event of events) {
    const place = `${event.topic}\n${event.partition}\n${event.offset}`;
    if (seen.has(place)) continue;
    seen.add(place);
    const { agentId, intentId } =
      event.kind === 'intent' ? event.intent : event.kind === 'decision' ? event.decision : event.report;
    const key = `${agentId}\n${intentId}`;
    let one = told.get(key);
    if (one === undefined) told.set(key, (one = { intents: [], decisions: [], reports: [] }));
    if (event.kind === 'intent') one.intents.push(event);
    else if (event.kind === 'decision') one.decisions.push(event);
    else one.reports.push(event);
  }
  return told.values();
}

function inPartitionOrder<Event extends AppendedAt>(events: Event[]): Event[] {
  return events.sort((one, other) => one.offset - other.offset);
}

function gapAt(
  event: ChainEvent,
  kind: GapKind,
  now: number,
  more: { decision?: DecisionEvent | undefined; lateMs?: number } = {},
): Gap {
  const { topic, partition, offset, appendTime } = event;
  const of = event.kind === 'intent' ? event.intent : event.kind === 'decision' ? event.decision : event.report;
  const decided = event.kind === 'decision' ? event : more.decision;
  const action = event.kind === 'intent' ? event.intent.action : decided?.decision.action;
  return {
    ...{ kind, topic, partition, offset, appendTime },
    agentId: of.agentId,
    intentId: of.intentId,
    chainId: event.kind === 'intent' ? chainIdOf(event.intent) : (of.chainId ?? of.intentId),
    decisionId: event.kind === 'report' ? event.report.decisionId : (decided?.decision.decisionId ?? null),
    action: action === undefined ? null : `${action.type} on ${action.target}`,
    ageMs: now - appendTime,
    lateMs: more.lateMs ?? null,
  };
}

function gapsOf({ intents, decisions, reports }: Told, now: number): Gap[] {
  const gaps: Gap[] = [];
  const digests = new Set<string>();
  for (const event of inPartitionOrder(intents)) {
    // The same intent sent again is decided by the same decision.
    if (digests.has(event.actionDigest)) continue;
    digests.add(event.actionDigest);
    const decided = decisions.some((one) => one.decision.action.digest === event.actionDigest && !isVoid(one));
    if (!decided) gaps.push(gapAt(event, 'intent-without-decision', now));
  }

  const byDigest = Map.groupBy(inPartitionOrder(decisions), ({ decision }) => decision.action.digest);
  const allows = [...byDigest.values()].flatMap((same) => {
    const effective = effectiveDecision(same);
    return effective?.decision.outcome === 'allow' ? [effective] : [];
  });
  for (const allow of allows) {
    const reported = reports.some(({ report }) => report.decisionId === allow.decision.decisionId);
    if (!reported) gaps.push(gapAt(allow, 'allow-without-outcome', now));
  }

  const said = new Set<string>();
  for (const event of inPartitionOrder(reports)) {
    const { report } = event;
    const repeat = `${report.decisionId}\n${report.status}\n${report.actionDigest}`;
    if (said.has(repeat)) continue;
    said.add(repeat);
    const allow = allows.find(({ decision }) => decision.decisionId === report.decisionId);
    if (allow === undefined || allow.appendTime > event.appendTime) {
      gaps.push(gapAt(event, 'outcome-without-allow', now, { decision: allow }));
      continue;
    }
    if (report.actionDigest !== allow.decision.action.digest) {
      gaps.push(gapAt(event, 'outcome-differs', now, { decision: allow }));
    }
    const lateMs = event.appendTime - Date.parse(allow.decision.validUntil);
    if (report.status === 'executed' && lateMs > 0) {
      gaps.push(gapAt(event, 'executed-too-late', now, { decision: allow, lateMs }));
    }
  }
  return gaps;
}

/**
 * What does not add up among events, which are everything the record holds of the intents they speak of, in any order
 * and with any repeats. `now`: up to when the record is complete, ms since the epoch; gaps come in the order of their
 * append times. Each gap has exactly one event, so whoever reads the record in pieces counts each gap once.
 */
export function gapsIn(events: readonly ChainEvent[], now: number): Gap[] {
  return [...tellApart(events)]
    .flatMap((told) => gapsOf(told, now))
    .sort((one, other) => one.appendTime - other.appendTime || one.offset - other.offset);
}

/** Gaps by kind; every kind is there. */
export function countGaps(gaps: Iterable<Pick<Gap, 'kind'>>): Record<GapKind, number> {
  const counts = Object.fromEntries(GAP_KINDS.map((kind) => [kind, 0])) as Record<GapKind, number>;
  for (const { kind } of gaps) counts[kind] += 1;
  return counts;
}
