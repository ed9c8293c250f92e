import { saysTheSame } from '../charter/charter-basis.js';
import type { Intent } from '../intent/intent.js';
import type { Place } from '../matching/action-places.js';
import {
  evolveAuthority,
  grantNamed,
  hasGap,
  INITIAL_AUTHORITY,
  reservationKey,
  usesLeft,
  type AgentAuthority,
  type Grant,
} from './authority.js';
import {
  BASIS_CHANGED,
  dueCommandId,
  HELD_REQUEST_PREFIX,
  type PermissionCommand,
  type PermissionTerms,
} from './permission-commands.js';
import type { PermissionEvent } from './permission-events.js';
import { brokenConstraint, samePerson, type BrokenConstraint } from './permission-grants.js';
import type { ListLookUp } from './value-constraints.js';

/** May this agent do this, by a grant? */
export interface AuthorityQuestion {
  readonly permission: string;
  readonly intent: Intent;
  readonly actionDigest: string;
  /** The intent's append time, ms since the epoch. */
  readonly judgedAt: number;
  /** Of the charter the intent is judged by. */
  readonly charterDigest: string | null;
  /** Whether a text is an entry of a list of that charter; left out: it has no lists. */
  readonly inList?: ListLookUp | undefined;
  /** The agent to whose intent the proven causes lead back; left out: the cause is not proven, or there is none. */
  readonly provenFrom?: string | undefined;
  /** Grants a use of which could not be reserved for this intent, and why. */
  readonly unavailable?: ReadonlyMap<string, WhyNot> | undefined;
  /** In a re-evaluation: the request for approval whose end has started it. */
  readonly reEvaluationOf?: string | undefined;
}

export type WhyNot =
  /** Events are missing: nothing is certain. */
  | 'events missing'
  | 'agent suspended'
  | 'no grant'
  | 'revoked'
  | 'expired'
  | 'not granted yet'
  /** Bound to something else, see `constraint` of the grant considered. */
  | 'constraint broken'
  /** It came of a hold: it authorises the re-evaluation of the intent that was held, and nothing else. */
  | 'for a held intent'
  /** The person the agent acts for has granted it. */
  | 'self-approved'
  | 'no use left'
  /** The same intent was sent twice: its use belongs to the first. */
  | 'sent twice'
  /** The process that judged has no event store to reserve a use in. */
  | 'uses not counted here';

/** A grant that was looked at and why it did not do. */
export interface GrantConsidered extends Partial<BrokenConstraint> {
  readonly grantId: string;
  readonly why: WhyNot;
}

export type Authorisation =
  | {
      readonly authorised: true;
      readonly grantId: string;
      /** Its uses are counted: one must be reserved before the verdict leaves. */
      readonly mustReserve: boolean;
      /** ms since the epoch */
      readonly expiresAt: number;
      readonly considered: readonly GrantConsidered[];
    }
  | { readonly authorised: false; readonly why: WhyNot; readonly considered: readonly GrantConsidered[] };

/** From the least to the most telling: of several grants that do not do, the reason of the nearest miss is given. */
const BY_NEARNESS: readonly WhyNot[] = [
  'no grant',
  'revoked',
  'expired',
  'not granted yet',
  'constraint broken',
  'for a held intent',
  'self-approved',
  'sent twice',
  'no use left',
  'uses not counted here',
];

/** So many are named in a decision's facts; the newest first. */
const MOST_CONSIDERED = 16;

/**
 * Whether a grant authorises the intent at the time it is judged at: `grantedAt ≤ judgedAt < expiresAt`, not revoked,
 * every constraint kept, a use left. The same question to the same authority has the same answer; one that has reserved
 * a use before keeps it.
 */
export function authorises(authority: AgentAuthority | undefined, question: AuthorityQuestion): Authorisation {
  const known = authority ?? INITIAL_AUTHORITY;
  if (hasGap(known)) return { authorised: false, why: 'events missing', considered: [] };
  if (known.status === 'suspended') return { authorised: false, why: 'agent suspended', considered: [] };
  const considered: GrantConsidered[] = [];
  const fitting: Grant[] = [];
  for (const grant of known.grants.values()) {
    if (grant.permission !== question.permission) continue;
    const miss = missOf(grant, question);
    if (miss === undefined) fitting.push(grant);
    else considered.push({ grantId: grant.grantId, ...miss });
  }
  const reason = nearestReason(known, considered);
  const chosen = fitting.sort(byPreference(question))[0];
  if (chosen === undefined) return { authorised: false, ...reason };
  const { grantId, uses, expiresAt } = chosen;
  return {
    authorised: true,
    grantId,
    mustReserve: uses !== null,
    expiresAt,
    considered: reason.considered,
  };
}

/** Why none of the grants considered does, by the nearest miss; the newest are named. */
export function nearestReason(
  authority: AgentAuthority,
  considered: readonly GrantConsidered[],
): { readonly why: WhyNot; readonly considered: readonly GrantConsidered[] } {
  const named = [...considered]
    .sort((one, other) => newestFirst(grantNamed(authority, one.grantId), grantNamed(authority, other.grantId)))
    .slice(0, MOST_CONSIDERED);
  const nearest = Math.max(0, ...considered.map(({ why }) => BY_NEARNESS.indexOf(why)));
  return { why: BY_NEARNESS[nearest] ?? 'no grant', considered: named };
}

/** Why a grant does not do; `objected`: places whose values are looked at one by one, so they only have to be there. */
export function missOf(
  grant: Grant,
  question: AuthorityQuestion,
  objected: readonly Place[] = [],
): Omit<GrantConsidered, 'grantId'> | undefined {
  const { intent, judgedAt } = question;
  if (grant.status === 'revoked') return { why: 'revoked' };
  if (judgedAt >= grant.expiresAt) return { why: 'expired' };
  if (judgedAt < grant.grantedAt) return { why: 'not granted yet' };
  const broken = brokenConstraint(grant.constraints, question, objected);
  if (broken !== undefined) return { why: 'constraint broken', ...broken };
  if (isOfHold(grant) && grant.requestId !== question.reEvaluationOf) return { why: 'for a held intent' };
  const person = intent.onBehalfOf ?? undefined;
  if (person !== undefined && grant.approvedBy.some((by) => samePerson(by, person))) return { why: 'self-approved' };
  const unavailable = question.unavailable?.get(grant.grantId);
  if (unavailable !== undefined) return { why: unavailable };
  if (usesLeft(grant) === 0 && !hasReserved(grant, question)) return { why: 'no use left' };
  return undefined;
}

function isOfHold({ requestId }: Grant): boolean {
  return requestId?.startsWith(HELD_REQUEST_PREFIX) === true;
}

function hasReserved(grant: Grant, { intent, actionDigest }: AuthorityQuestion): boolean {
  return grant.reservations.has(reservationKey({ intentId: intent.intentId, actionDigest }));
}

/** What this intent has reserved already, then what costs no use, then what ends first. */
export function byPreference(question: AuthorityQuestion): (one: Grant, other: Grant) => number {
  const cost = (grant: Grant): number => {
    if (hasReserved(grant, question)) return 0;
    return grant.uses === null ? 1 : 2;
  };
  return (one, other) =>
    cost(one) - cost(other) || one.expiresAt - other.expiresAt || (one.grantId < other.grantId ? -1 : 1);
}

function newestFirst(one: Grant | undefined, other: Grant | undefined): number {
  return (other?.grantedAt ?? 0) - (one?.grantedAt ?? 0) || ((one?.grantId ?? '') < (other?.grantId ?? '') ? -1 : 1);
}

/** A grant as it stands at a moment. */
export interface HeldGrant {
  readonly grant: Grant;
  readonly remainingMs: number;
  readonly usesLeft: number | null;
}

/** The grants in force at a time, ms since the epoch; what ends first comes first. */
export function grantsHeld(authority: AgentAuthority | undefined, time: number): HeldGrant[] {
  return [...(authority ?? INITIAL_AUTHORITY).grants.values()]
    .filter((grant) => grant.grantedAt <= time && time < (grant.status === 'revoked' ? grant.endedAt : grant.expiresAt))
    .sort((one, other) => one.expiresAt - other.expiresAt || (one.grantId < other.grantId ? -1 : 1))
    .map((grant) => ({ grant, remainingMs: grant.expiresAt - time, usesLeft: usesLeft(grant) }));
}

/** The authority at any moment of the past, from the agent's whole stream in order. */
export function authorityAt(events: readonly PermissionEvent[], time: number): AgentAuthority {
  const later = events.findIndex((event) => Date.parse(event.at) > time);
  const known = later === -1 ? events : events.slice(0, later);
  return known.reduce<AgentAuthority>(evolveAuthority, INITIAL_AUTHORITY);
}

/** The grants in force at any moment of the past, from the agent's whole stream in order. */
export function heldAt(events: readonly PermissionEvent[], time: number): HeldGrant[] {
  return grantsHeld(authorityAt(events, time), time);
}

/** Grants past the approvals that nobody has looked at yet. */
export function openReviews(authority: AgentAuthority | undefined): Grant[] {
  return [...(authority ?? INITIAL_AUTHORITY).grants.values()].filter(({ review }) => review === 'open');
}

/** Something to order at a known moment, ms since the epoch. */
export interface DueCommand {
  readonly dueAt: number;
  readonly command: PermissionCommand;
}

/** What a timer has to record, the earliest first. However late it does: no decision depends on it. */
export function dueCommands(agentId: string, authority: AgentAuthority | undefined): DueCommand[] {
  const { grants, requests } = authority ?? INITIAL_AUTHORITY;
  const order = { agentId, by: 'timer' };
  const due: DueCommand[] = [];
  for (const { grantId, status, expiresAt } of grants.values()) {
    if (status !== 'granted') continue;
    const commandId = dueCommandId('ExpireGrant', grantId);
    due.push({
      dueAt: expiresAt,
      command: { command: 'ExpireGrant', ...order, commandId, reason: 'its time has run out', grantId },
    });
  }
  for (const { requestId, status, expiresAt } of requests.values()) {
    if (status !== 'open') continue;
    const commandId = dueCommandId('ExpireRequest', requestId);
    due.push({
      dueAt: expiresAt,
      command: { command: 'ExpireRequest', ...order, commandId, reason: 'nobody decided it in time', requestId },
    });
  }
  return due.sort((one, other) => one.dueAt - other.dueAt);
}

/** What to order once another charter is in force: requests of which it says something else cannot be approved any more. */
export function supersedeCommands(
  agentId: string,
  authority: AgentAuthority | undefined,
  charter: Pick<PermissionTerms, 'charterDigest' | 'basisOf'>,
): PermissionCommand[] {
  return [...(authority ?? INITIAL_AUTHORITY).requests.values()]
    .filter((request) => request.status === 'open' && !saysTheSame(request, charter))
    .map(({ requestId }) => ({
      command: 'SupersedeRequest',
      agentId,
      by: 'timer',
      commandId: dueCommandId('SupersedeRequest', requestId),
      reason: BASIS_CHANGED,
      requestId,
    }));
}
