import type { Cause } from '../intent/intent.js';
import { isBefore, type AppendedAt } from './appended-at.js';
import { claimKey, type Grouped, type Held } from './chain-gathering.js';

/**
 * What is wrong with a cause that is only claimed. Of several actions sent under its id none was allowed: `denied`, where
 * one of them was denied; `undecided`, where each was held, or never validly decided.
 */
export type ClaimFault = 'not-in-record' | 'other-chain' | 'later' | 'denied' | 'undecided';

/**
 * The intent that led to an action. `proven`: the record holds it in the same chain, effectively allowed, appended
 * before. `erased`: it may be, but what would tell was erased. Otherwise it is only claimed, and `why` says what is
 * wrong with the claim.
 */
export type ChainCause = Cause &
  (
    | { readonly standing: 'proven' | 'erased' }
    | {
        readonly standing: 'claimed';
        readonly why: ClaimFault;
      }
  );

/** Where an action may have been sent first, as far as can be told. */
function earliestOf({ place, intentRecorded, erased }: Held): AppendedAt {
  if (erased === undefined) return place;
  return intentRecorded && !isBefore(erased.first, place) ? place : erased.first;
}

/** A cause as checked against the record. `above`: the causing action, when it can lie above its effect. */
export interface CheckedCause {
  readonly cause: ChainCause;
  readonly above: Held | undefined;
}

export function checkCause(claim: Cause, effect: Held, byClaim: Grouped<Held>): CheckedCause {
  const claimed = (why: ClaimFault, above?: Held): CheckedCause => ({
    cause: { ...claim, standing: 'claimed', why },
    above,
  });
  const isAllowed = ({ effective }: Held): boolean => effective?.decision.outcome === 'allow';
  const isDenied = ({ effective }: Held): boolean => effective?.decision.outcome === 'deny';
  const recorded = byClaim.of(claimKey(claim)).filter(({ intentRecorded, erased }) => intentRecorded || erased);
  if (recorded.length === 0) return claimed('not-in-record');
  const sameChain = recorded.filter((candidate) => candidate.chainId === effect.chainId);
  if (sameChain.length === 0) return claimed('other-chain');
  const before = sameChain.filter((one) => one.intentRecorded && isBefore(one.place, earliestOf(effect)));
  const [first] = before;
  const allowed = before.find(isAllowed);
  if (allowed !== undefined) return { cause: { ...claim, standing: 'proven' }, above: allowed };
  // What was erased may have been the same, sent earlier.
  const perhaps = sameChain.filter((one) => isBefore(earliestOf(one), effect.place) && !before.includes(one));
  const why = before.some(isDenied) ? 'denied' : 'undecided';
  if (perhaps.some((one) => first === undefined || isAllowed(one) || (isDenied(one) && why !== 'denied'))) {
    const above = perhaps.find((one) => isAllowed(one) && isBefore(one.place, effect.place)) ?? first;
    return { cause: { ...claim, standing: 'erased' }, above };
  }
  if (first === undefined) return claimed('later');
  return claimed(why, first);
}
