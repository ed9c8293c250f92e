import type { Action, CauseProof, Decision } from '#domain';
import type { TraceHeaders } from '#telemetry';

/** Why an agent must not act although Remit has not said no. */
export type AgentCode =
  | 'REMIT_AGENT_INTENT_INVALID'
  | 'REMIT_AGENT_PUBLISH_FAILED'
  | 'REMIT_AGENT_NO_DECISION'
  | 'REMIT_AGENT_STILL_HELD'
  | 'REMIT_AGENT_ON_HOLD_FAILED'
  | 'REMIT_AGENT_CLOSED';

/** What an agent may do with the action it proposed. */
export interface Answer {
  readonly outcome: 'allow' | 'deny';
  /** Present when no decision came: the denial is the SDK's own, because it fails closed. */
  readonly code?: AgentCode;
  /** One sentence per enforced finding of a denial, or the one that explains `code`. Empty for an allow. */
  readonly because: readonly string[];
  /** The effective decision, if there is one. */
  readonly decision?: Decision;
  /**
   * Of an allow that Remit has signed: the proof to whoever acts because of this, also where that is another agent. It
   * goes with the cause of a later proposal.
   */
  readonly proof?: CauseProof;
  readonly agentId: string;
  readonly intentId: string;
  readonly chainId: string;
  /**
   * Exactly what was judged, deeply frozen: execute this, not the object it was made from. With
   * `REMIT_AGENT_INTENT_INVALID`, what was passed.
   */
  readonly action: Action;
  /** SHA-256 over the RFC 8785 form of `action`; empty with `REMIT_AGENT_INTENT_INVALID`. */
  readonly actionDigest: string;
  /** The trace context to hand to whoever acts because of this; it also goes with the outcome. */
  readonly trace: TraceHeaders;
  /** From publishing the intent to this answer. */
  readonly waitedMs: number;
  /**
   * Whether the action may begin now: allowed, and the decision still valid by this process's own clock. Ask
   * right before acting.
   */
  mayActNow(): boolean;
}

/** The reasons of a denial, for people. */
export function reasonsOf(decision: Decision): string[] {
  if (decision.outcome === 'allow') return [];
  return decision.verdicts.flatMap((verdict) =>
    verdict.findings
      .filter((finding) => finding.enforced)
      .map((finding) => `${verdict.layer}/${finding.rule}: ${finding.reason}`),
  );
}

/**
 * Time that has passed in this process, by the stricter of two clocks: the monotonic one ignores corrections of the
 * wall clock but stands still while the machine sleeps; the wall clock does not.
 */
export interface Stopwatch {
  elapsedMs(): number;
}

export function startStopwatch(): Stopwatch {
  const monotonic = performance.now();
  const wall = Date.now();
  return { elapsedMs: () => Math.max(performance.now() - monotonic, Date.now() - wall) };
}

/**
 * How long after the publish began an allowed action may still begin, ms.
 *
 * The broker appended the intent after the publish began, so counting from there never ends later than `validUntil`
 * does at the broker. A second round is judged at a later append of the same intent; `appendedAt` of the first one
 * is what ties this process's clock to the broker's.
 */
export function validForMs(decision: Decision, appendedAt: number | undefined): number {
  const judgedAt = Date.parse(decision.stamp.judgedAt);
  const from = decision.round === 1 ? judgedAt : (appendedAt ?? judgedAt);
  return Date.parse(decision.validUntil) - from;
}
