import type { Decision } from './decision.js';

/** A decision as it lies on the log. All decisions of one intent lie in one partition. */
export interface AppendedDecision {
  readonly decision: Decision;
  /** Broker append time, ms since the epoch. */
  readonly appendTime: number;
  readonly offset: number;
}

/** Appended after its `validUntil`: void for every reader alike. */
export function isVoid({ decision, appendTime }: AppendedDecision): boolean {
  return appendTime > Date.parse(decision.validUntil);
}

/** A hold waits for people; everything else is the last word. */
export function isFinal({ decision }: AppendedDecision): boolean {
  return decision.outcome !== 'hold';
}

/**
 * The one decision that counts, out of all that were appended for one intent, in any order: the first in partition
 * order that is final and not void. `undefined`: nothing has been decided yet, so nothing may be done.
 */
export function effectiveDecision<Appended extends AppendedDecision>(
  decisions: readonly Appended[],
): Appended | undefined {
  let first: Appended | undefined;
  for (const candidate of decisions) {
    if (!isFinal(candidate) || isVoid(candidate)) continue;
    if (first === undefined || candidate.offset < first.offset) first = candidate;
  }
  return first;
}
