import { isFinal, isVoid } from '../decision/effective.js';
import { chainIdOf, type Intent } from '../intent/intent.js';
import type { AppendedAt } from './appended-at.js';
import type { ChainEvent } from './chain-event.js';

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

/**
 * What reconciliation needs of an event beside what the audit log is searched by: ids, digests and times, nothing of
 * its content. `none`: the event is no part of a chain.
 */
export interface Outline {
  readonly kind: 'intent' | 'decision' | 'report' | 'none';
  readonly decisionId: string | null;
  readonly actionDigest: string | null;
  /** Of a decision, ms since the epoch. */
  readonly validUntil: number | null;
}

/** An event as it can be told without opening it. */
export interface OutlinedEvent extends AppendedAt {
  readonly agentId: string | null;
  readonly intentId: string | null;
  /** Of a decision its outcome, of a report its status. */
  readonly outcome: string | null;
  readonly outline: Outline;
}

/** `undefined`: it was erased, and nobody can tell any more. */
export function outlineOf(event: ChainEvent | undefined): Outline | undefined {
  const nothing = { decisionId: null, actionDigest: null, validUntil: null };
  switch (event?.kind) {
    case undefined:
    case 're-evaluation':
      return { kind: 'none', ...nothing };
    case 'intent':
      return { ...nothing, kind: 'intent', actionDigest: event.actionDigest };
    case 'decision': {
      const { decisionId, action, validUntil } = event.decision;
      return { kind: 'decision', decisionId, actionDigest: action.digest, validUntil: Date.parse(validUntil) };
    }
    case 'report': {
      const { decisionId, actionDigest } = event.report;
      return { ...nothing, kind: 'report', decisionId, actionDigest };
    }
    default:
      return undefined;
  }
}

/** What a gap says of its event: no more of it is kept. */
type Fact = Omit<Gap, 'kind' | 'ageMs' | 'lateMs'>;

interface Judged {
  /** A hold is an answer too. */
  isAnswered: boolean;
  /** The decision that counts. */
  effective: { readonly fact: Fact; readonly isAllow: boolean; readonly validUntil: number } | undefined;
}

interface Reported {
  readonly fact: Fact;
  readonly decisionId: string;
  readonly actionDigest: string;
  readonly isExecuted: boolean;
}

/** What the record holds of one id that one agent has given, each content once, however often it was sent. */
interface Told {
  /** By the digest of the action. */
  readonly intents: Map<string, Fact>;
  /** By the digest of the action. */
  readonly judged: Map<string, Judged>;
  readonly reports: Map<string, Reported>;
  hasErasedReport: boolean;
}

function factOf(
  { topic, partition, offset, appendTime }: AppendedAt,
  of: Pick<Intent, 'agentId' | 'intentId' | 'chainId'>,
  more: { readonly decisionId?: string; readonly action?: Pick<Intent['action'], 'type' | 'target'> },
): Fact {
  return {
    ...{ topic, partition, offset, appendTime },
    ...{ agentId: of.agentId, intentId: of.intentId, chainId: chainIdOf(of) },
    decisionId: more.decisionId ?? null,
    action: more.action === undefined ? null : `${more.action.type} on ${more.action.target}`,
  };
}

function isEarlier(one: AppendedAt, other: AppendedAt | undefined): boolean {
  return other === undefined || one.offset < other.offset;
}

function gapsOf({ intents, judged, reports, hasErasedReport }: Told, now: number): Gap[] {
  const gaps: Gap[] = [];
  const found = (kind: GapKind, fact: Fact, lateMs: number | null = null): number =>
    gaps.push({ kind, ...fact, ageMs: now - fact.appendTime, lateMs });
  for (const [digest, fact] of intents) {
    if (judged.get(digest)?.isAnswered !== true) found('intent-without-decision', fact);
  }

  const allows = new Map<
    string | null,
    { readonly fact: Fact; readonly digest: string; readonly validUntil: number }
  >();
  for (const [digest, { effective }] of judged) {
    if (effective?.isAllow === true) allows.set(effective.fact.decisionId, { digest, ...effective });
  }
  const reported = new Set<string | null>([...reports.values()].map(({ decisionId }) => decisionId));
  for (const [decisionId, { fact }] of allows) {
    // An agent that did report, and whose words were erased, has not been silent.
    if (!reported.has(decisionId) && !hasErasedReport) found('allow-without-outcome', fact);
  }

  for (const report of reports.values()) {
    const allow = allows.get(report.decisionId);
    const fact = { ...report.fact, action: allow?.fact.action ?? null };
    if (allow === undefined || allow.fact.appendTime > fact.appendTime) {
      found('outcome-without-allow', fact);
      continue;
    }
    if (report.actionDigest !== allow.digest) found('outcome-differs', fact);
    const lateMs = fact.appendTime - allow.validUntil;
    if (report.isExecuted && lateMs > 0) found('executed-too-late', fact, lateMs);
  }
  return gaps;
}

/**
 * Finds what does not add up, out of everything the record holds of some intents, handed in in any order, in any
 * pieces and with any repeats. It keeps a few words for each content that was sent, none for what was sent again.
 */
export class Reconciliation {
  readonly #told = new Map<string, Told>();

  add(event: ChainEvent): void {
    if (event.kind === 'intent') {
      const { intent, actionDigest } = event;
      this.#addIntent(actionDigest, factOf(event, intent, { action: intent.action }));
    } else if (event.kind === 'decision') {
      const { decision } = event;
      this.#addDecision(factOf(event, decision, decision), {
        digest: decision.action.digest,
        isVoid: isVoid(event),
        isFinal: isFinal(event),
        isAllow: decision.outcome === 'allow',
        validUntil: Date.parse(decision.validUntil),
      });
    } else if (event.kind === 'report') {
      const { decisionId, status, actionDigest } = event.report;
      this.#addReport(factOf(event, event.report, { decisionId }), { decisionId, status, actionDigest });
    } else if (event.kind === 'erased-report') this.#toldBy(event).hasErasedReport = true;
  }

  /** The same by what is known of the event without opening it. Its gaps name neither chain nor action. */
  addOutlined(event: OutlinedEvent): void {
    const { outline, outcome, appendTime } = event;
    const { kind, decisionId, actionDigest } = outline;
    if (kind === 'none') return;
    const of = { agentId: event.agentId ?? '', intentId: event.intentId ?? '', chainId: '' };
    const fact = factOf(event, of, decisionId === null ? {} : { decisionId });
    const digest = actionDigest ?? '';
    if (kind === 'intent') this.#addIntent(digest, fact);
    else if (kind === 'report') {
      this.#addReport(fact, { decisionId: decisionId ?? '', status: outcome ?? '', actionDigest: digest });
    } else {
      const validUntil = outline.validUntil ?? -Infinity;
      this.#addDecision(fact, {
        digest,
        isVoid: appendTime > validUntil,
        isFinal: outcome !== 'hold',
        isAllow: outcome === 'allow',
        validUntil,
      });
    }
  }

  /** `now`: up to when the record is complete, ms since the epoch. Gaps come in the order of their append times. */
  gaps(now: number): Gap[] {
    return [...this.#told.values()]
      .flatMap((told) => gapsOf(told, now))
      .sort((one, other) => one.appendTime - other.appendTime || one.offset - other.offset);
  }

  #addIntent(digest: string, fact: Fact): void {
    const { intents } = this.#toldBy(fact);
    // The same intent sent again is decided by the same decision.
    if (isEarlier(fact, intents.get(digest))) intents.set(digest, fact);
  }

  #addReport(
    fact: Fact,
    { decisionId, status, actionDigest }: Pick<Reported, 'decisionId' | 'actionDigest'> & { readonly status: string },
  ): void {
    const { reports } = this.#toldBy(fact);
    const repeat = `${decisionId}\n${status}\n${actionDigest}`;
    if (!isEarlier(fact, reports.get(repeat)?.fact)) return;
    reports.set(repeat, { fact, decisionId, actionDigest, isExecuted: status === 'executed' });
  }

  #addDecision(
    fact: Fact,
    decision: {
      readonly digest: string;
      readonly isVoid: boolean;
      readonly isFinal: boolean;
      readonly isAllow: boolean;
      readonly validUntil: number;
    },
  ): void {
    const { judged } = this.#toldBy(fact);
    const { digest, isAllow, validUntil } = decision;
    const known: Judged = judged.get(digest) ?? { isAnswered: false, effective: undefined };
    judged.set(digest, known);
    if (decision.isVoid) return;
    known.isAnswered = true;
    if (!decision.isFinal || !isEarlier(fact, known.effective?.fact)) return;
    known.effective = { fact, isAllow, validUntil };
  }

  #toldBy({ agentId, intentId }: Pick<Intent, 'agentId' | 'intentId'>): Told {
    const key = `${agentId}\n${intentId}`;
    let told = this.#told.get(key);
    if (told === undefined) {
      told = { intents: new Map(), judged: new Map(), reports: new Map(), hasErasedReport: false };
      this.#told.set(key, told);
    }
    return told;
  }
}

/**
 * What does not add up among events, which are everything the record holds of the intents they speak of. Each gap has
 * exactly one event, so whoever reads the record in pieces counts each gap once.
 */
export function gapsIn(events: readonly ChainEvent[], now: number): Gap[] {
  const reconciliation = new Reconciliation();
  for (const event of events) reconciliation.add(event);
  return reconciliation.gaps(now);
}

/** Gaps by kind; every kind is there. */
export function countGaps(gaps: Iterable<Pick<Gap, 'kind'>>): Record<GapKind, number> {
  const counts = Object.fromEntries(GAP_KINDS.map((kind) => [kind, 0])) as Record<GapKind, number>;
  for (const { kind } of gaps) counts[kind] += 1;
  return counts;
}
