import { saysTheSame } from '../charter/charter-basis.js';
import type { JudgingInput, RawFinding } from '../decision/layer.js';
import { decisionIdOf, type Sha256 } from '../record/digest.js';
import {
  grantIdOfNeed,
  grantNamed,
  hasGap,
  INITIAL_AUTHORITY,
  requestNamed,
  type AgentAuthority,
  type PermissionRequest,
} from './authority.js';
import { authorises } from './authority-queries.js';
import { questionOf } from './holding.js';
import { BASIS_CHANGED, HELD_REQUEST_PREFIX } from './permission-commands.js';
import type { PermissionEvent } from './permission-events.js';
import type { HeldIntent } from './permission-grants.js';
import { MAX_HOLDS } from './permission-limits.js';

/** The one request that the hold of an intent opens. */
export function heldRequestId(decisionId: string): string {
  return HELD_REQUEST_PREFIX + decisionId;
}

/** An intent said to be in its second round. */
export interface SecondRoundClaim {
  readonly agentId: string;
  readonly intentId: string;
  readonly actionDigest: string;
  /** Over the whole intent. */
  readonly intentDigest: string;
  readonly requestId: string;
}

/**
 * Why an intent is not in its second round, whoever says so: only the end of the request that its own hold has opened
 * brings it there. `undefined`: it is.
 */
export function problemOfSecondRound(
  claim: SecondRoundClaim,
  authority: AgentAuthority | undefined,
  sha256: Sha256,
): string | undefined {
  const { agentId, intentId, actionDigest, intentDigest, requestId } = claim;
  const own = heldRequestId(decisionIdOf({ agentId, intentId, actionDigest, round: 1 }, sha256));
  if (requestId !== own) return `request ${requestId} was not opened by a hold of this intent and this action`;
  const request = requestNamed(authority ?? INITIAL_AUTHORITY, requestId);
  if (request?.held === undefined) return `there is no request ${requestId}`;
  if (request.held.intentDigest !== intentDigest) {
    return `the intent that request ${requestId} holds is another one: its person, trigger, cause or chain differs`;
  }
  return request.status === 'open' ? `request ${requestId} is still open` : undefined;
}

/** A request for the approval of an intent that is held. */
export type HeldRequest = PermissionRequest & { readonly held: HeldIntent };

/** Ended, and all that came of it is known: every grant of a request that was granted. */
function hasEnded(authority: AgentAuthority, requestId: string): boolean {
  const request = requestNamed(authority, requestId);
  if (request === undefined || request.status === 'open') return false;
  if (request.status !== 'granted') return true;
  return request.needs.every((_, index) => grantNamed(authority, grantIdOfNeed(requestId, index)) !== undefined);
}

/** The requests of held intents that have come to their end by an event, from one state to the next. */
export function endedHolds(before: AgentAuthority, after: AgentAuthority, event: PermissionEvent): HeldRequest[] {
  // an event that fills a gap brings those into effect that came too early
  const told = [event, ...before.early.values()];
  const ids = new Set(told.flatMap((one) => ('requestId' in one ? (one.requestId ?? []) : [])));
  return [...ids].flatMap((requestId) => {
    const request = requestNamed(after, requestId);
    if (request?.held === undefined || !hasEnded(after, requestId) || hasEnded(before, requestId)) return [];
    return [{ ...request, held: request.held }];
  });
}

/**
 * How a request ended, as a person reads it; `undefined`: in a grant. What ran out is never told as rejected. Who ended
 * it, and why, is on its event.
 */
function endOf(request: Exclude<PermissionRequest, { status: 'open' }>): string | undefined {
  switch (request.status) {
    case 'granted':
      return undefined;
    case 'rejected':
      return 'its approval was rejected';
    case 'expired':
      return `its approval expired: nobody decided it until ${new Date(request.expiresAt).toISOString()}`;
    case 'cancelled':
      return request.limit === undefined ? 'its approval was cancelled' : tooManyHolds(request.limit);
    case 'superseded':
      return `its approval was superseded: ${BASIS_CHANGED}`;
    default:
      return request satisfies never;
  }
}

function isStillSaid(request: PermissionRequest, agentId: string, charter: JudgingInput['charter']): boolean {
  const { digest: charterDigest } = charter;
  return saysTheSame(request, { charterDigest, basisOf: (resting) => charter.basisOf(agentId, resting) });
}

/** Why a held intent may not go on, whatever its rules say now; `undefined`: it has been approved. */
function problemOfApproval({ intent, authority, charter, secondRound }: JudgingInput): string | undefined {
  if (secondRound === undefined) return undefined;
  const request = requestNamed(authority, secondRound.requestId);
  if (request === undefined || request.status === 'open') return 'its approval is not known';
  const end = endOf(request);
  if (end === undefined && !isStillSaid(request, intent.agentId, charter)) {
    return `its approval was superseded: ${BASIS_CHANGED}`;
  }
  return end;
}

/** How the approval of a held intent ended. A fact of the verdict; its events tell who ended it, and why. */
export interface EndOfApproval {
  readonly requestId: string;
  readonly ended: Exclude<PermissionRequest['status'], 'open'> | 'unknown';
}

/** `undefined`: in the first round. */
export function endOfApproval({ authority, secondRound }: JudgingInput): EndOfApproval | undefined {
  if (secondRound === undefined) return undefined;
  const { requestId } = secondRound;
  const request = requestNamed(authority, requestId);
  return { requestId, ended: request === undefined || request.status === 'open' ? 'unknown' : request.status };
}

/** In the second round nothing goes on without a completed approval, not even what no rule holds any more. */
export function approvalFinding(input: JudgingInput): RawFinding | undefined {
  const problem = problemOfApproval(input);
  if (problem === undefined) return undefined;
  return { rule: 'not-approved', effect: 'violation', severity: 'critical', reason: problem, immutable: true };
}

function tooManyHolds(limit: number): string {
  return `${limit} actions of the agent wait for approval already: nobody is asked about more`;
}

/**
 * People are asked once: a need that is still open in the second round denies, and says why it is open. Nor are they
 * asked about an agent of which too many actions are held.
 */
export function stillOpen(raw: RawFinding, input: JudgingInput): RawFinding {
  if (raw.effect !== 'needs-approval') return raw;
  if (input.secondRound === undefined) {
    if (input.authority.alive.holds < MAX_HOLDS) return raw;
    return { ...raw, effect: 'violation', reason: `${raw.reason} (${tooManyHolds(MAX_HOLDS)})` };
  }
  const why = problemOfApproval(input) ?? whyNotCovered(raw.permission, input);
  return { ...raw, effect: 'violation', reason: `${raw.reason} (${why})` };
}

function whyNotCovered(permission: string | undefined, input: JudgingInput): string {
  const { authority } = input;
  if (permission === undefined || hasGap(authority)) return 'its approval does not cover this';
  const answer = authorises(authority, questionOf(input, permission));
  return `it was approved, but that does not cover this: ${answer.authorised ? 'another rule holds it' : answer.why}`;
}
