import { List, Map } from 'immutable';
import type { Approvals, Constraints, HeldIntent } from './permission-grants.js';
import type { PermissionEvent } from './permission-events.js';
import { ASK_INTERVAL_MS, MAX_ASKS_AT_ONCE, MAX_ENDED_REMEMBERED } from './permission-limits.js';

/** One use of a limited grant, set aside for one intent whose decision is not known yet. */
export interface Reservation {
  readonly intentId: string;
  readonly actionDigest: string;
}

interface GrantFacts {
  readonly grantId: string;
  readonly permission: string;
  readonly constraints: Constraints;
  /** `null`: within its time as often as needed. */
  readonly uses: number | null;
  /** Spent for good. */
  readonly used: number;
  /** Uses in flight, by {@link reservationKey}: what has been spent is counted, what came to nothing is forgotten. */
  readonly reservations: Map<string, Reservation>;
  /** Version of the last event that left no use. */
  readonly exhaustedBy?: number;
  /** ms since the epoch. It authorises from here … */
  readonly grantedAt: number;
  /** … until before here, whether or not anybody has recorded the end. */
  readonly expiresAt: number;
  readonly grantedBy: string;
  readonly approvedBy: readonly string[];
  readonly reason: string;
  readonly charterDigest: string;
  readonly requestId?: string;
  /** Of a grant past the approvals: whether a second person has looked at it. */
  readonly review: 'not needed' | 'open' | 'closed';
}

/** `expired` says only that the end is on record: what was judged before it may still be settled. */
export type Grant = GrantFacts &
  (
    | { readonly status: 'granted' }
    | { readonly status: 'expired'; readonly endedAt: number }
    | { readonly status: 'revoked'; readonly endedAt: number; readonly revokedBy: string }
  );

export interface Need {
  readonly permission: string;
  readonly approvals: Approvals;
  readonly rule?: string | undefined;
}

export interface ApprovalEntry {
  readonly by: string;
  readonly roles: readonly string[];
  /** ms since the epoch */
  readonly at: number;
}

interface RequestFacts {
  readonly requestId: string;
  readonly needs: readonly Need[];
  readonly durationMs: number;
  readonly uses: number | null;
  readonly constraints: Constraints;
  readonly charterDigest: string;
  /** Digest of what the charter said of all it rests on; left out: it rests on the whole charter. */
  readonly basis?: string;
  readonly requestedBy: string;
  readonly requestedAt: number;
  readonly reason: string;
  readonly expiresAt: number;
  readonly onBehalfOf?: string;
  readonly held?: HeldIntent;
  readonly entries: readonly ApprovalEntry[];
  /** Cancelled because so many of the agent's actions were held already: nobody was asked. */
  readonly limit?: number;
}

export type PermissionRequest = RequestFacts &
  (
    | { readonly status: 'open' }
    | { readonly status: 'granted' | 'expired' | 'cancelled' | 'superseded'; readonly endedAt: number }
    | { readonly status: 'rejected'; readonly endedAt: number; readonly rejectedBy: string; readonly why: string }
  );

/** How many of an agent's requests and grants are alive. What has ended is not among them. */
export interface AliveCounts {
  /** Open requests that people have made for the agent. */
  readonly requests: number;
  /** Open requests that the agent has made itself. */
  readonly asked: number;
  /** Open requests of held intents. */
  readonly holds: number;
  /** Grants whose end is not on record. */
  readonly grants: number;
}

interface Known {
  /** Version of the last event that counts; 0 before the first. */
  readonly version: number;
  readonly grants: Map<string, Grant>;
  readonly requests: Map<string, PermissionRequest>;
  readonly alive: AliveCounts;
  /** Ids of grants and requests that have ended, in the order in which they are forgotten. */
  readonly endedGrants: List<string>;
  readonly endedRequests: List<string>;
  /** Until when what the agent has asked for so far counts against its rate, ms since the epoch; 0: it never asked. */
  readonly askedUntil: number;
  /**
   * Events that came before one that must precede them, by version. While there are any, the agent's authority is not
   * known.
   */
  readonly early: Map<number, PermissionEvent>;
  /** The last event cannot be read, so the agent's authority is not known until the next one in order comes. */
  readonly unreadable?: true;
}

/**
 * What the permission events of one agent say of it. Never changed: an event leads to a new state, which shares with
 * the one before what has stayed the same. As JSON: `authorityToSnapshot`.
 */
export type AgentAuthority =
  | (Known & { readonly status: 'active' })
  | (Known & {
      readonly status: 'suspended';
      /** Version of the event that suspended it. */
      readonly since: number;
      readonly by: string;
      readonly reason: string;
    });

/** An agent of whom no event speaks. */
export const INITIAL_AUTHORITY: AgentAuthority = {
  status: 'active',
  version: 0,
  grants: Map(),
  requests: Map(),
  alive: { requests: 0, asked: 0, holds: 0, grants: 0 },
  endedGrants: List(),
  endedRequests: List(),
  askedUntil: 0,
  early: Map(),
};

/** What ended longer ago than this is forgotten, so that an agent's state does not grow for ever. Events never are. */
export const FORGOTTEN_AFTER_MS = 30 * 24 * 60 * 60 * 1000;

/** Ids of what agents ask for begin with this: no agent can take the id of anyone else's command. */
export const AGENT_ASK_PREFIX = 'agent:';

/** The id of the grant that meets a request's need, counted from 0. */
export function grantIdOfNeed(requestId: string, index: number): string {
  return `${requestId}#${index + 1}`;
}

export function reservationKey(use: { readonly intentId: string; readonly actionDigest: string }): string {
  return `${use.intentId}/${use.actionDigest}`;
}

/** How many uses are left; `null` when they are not counted. */
export function usesLeft(grant: Grant): number | null {
  return grant.uses === null ? null : Math.max(0, grant.uses - grant.used - grant.reservations.size);
}

/**
 * Whether every use has been taken since an intent was judged by the first `judgedVersion` events. That stays so when a
 * use is freed: it is for those who are judged later, and whoever was refused one is refused it again.
 */
export function isExhaustedSince(grant: Grant, judgedVersion: number): boolean {
  return (grant.exhaustedBy ?? 0) > judgedVersion;
}

/** Whether events are missing in between: whoever judges then must fail closed. */
export function hasGap(authority: AgentAuthority): boolean {
  return authority.early.size > 0 || authority.unreadable === true;
}

/** Whether anything has come of what was ordered for the agent: refusals alone leave nothing, whoever was named in them. */
export function isOnRecord(authority: AgentAuthority): boolean {
  const { status, grants, requests } = authority;
  return status === 'suspended' || grants.size > 0 || requests.size > 0 || hasGap(authority);
}

/** Whether something of the agent has not ended: an open request, a grant, its suspension. */
export function hasSomethingOpen(authority: AgentAuthority): boolean {
  const { requests, asked, holds, grants } = authority.alive;
  return authority.status === 'suspended' || requests + asked + holds + grants > 0;
}

/**
 * Whether the agent has asked so often that it has to wait, by the log time `at`, ms since the epoch:
 * {@link MAX_ASKS_AT_ONCE} at once, then one every {@link ASK_INTERVAL_MS}.
 */
export function asksTooOften(state: AgentAuthority, at: number): boolean {
  return Math.max(at, state.askedUntil) + ASK_INTERVAL_MS > at + MAX_ASKS_AT_ONCE * ASK_INTERVAL_MS;
}

/**
 * The authority after an event. A version seen before changes nothing, so redelivery is harmless; one that comes too
 * early waits until the gap before it is filled. Total: any event in any order leads to a state. Its cost does not
 * depend on how many grants, requests and uses there are.
 */
export function evolveAuthority(state: AgentAuthority | undefined, event: PermissionEvent): AgentAuthority {
  const before = state ?? INITIAL_AUTHORITY;
  if (event.version <= before.version || before.early.has(event.version)) return before;
  if (event.version > before.version + 1) return { ...before, early: before.early.set(event.version, event) };
  let after = inOrder(before, event);
  for (;;) {
    const next = after.early.get(after.version + 1);
    if (next === undefined) return after;
    after = inOrder({ ...after, early: after.early.delete(next.version) }, next);
  }
}

function inOrder(before: AgentAuthority, event: PermissionEvent): AgentAuthority {
  const at = Date.parse(event.at);
  return forget(countAsk(apply(readable(before), event, at), event, at), at);
}

/** The authority after an event that nobody can read: it might have been a suspension. */
export function evolveUnreadable(state: AgentAuthority | undefined): AgentAuthority {
  return { ...(state ?? INITIAL_AUTHORITY), unreadable: true };
}

/** An event in order follows: what could not be read was none that counts, or it has been published again. */
function readable(state: AgentAuthority): AgentAuthority {
  if (state.unreadable === undefined) return state;
  const { unreadable, ...known } = state;
  return unreadable ? known : state;
}

/** Whatever an agent has asked for and is on record counts against its rate, granted or refused. */
function countAsk(state: AgentAuthority, event: PermissionEvent, at: number): AgentAuthority {
  if (!event.commandId.startsWith(AGENT_ASK_PREFIX)) return state;
  return { ...state, askedUntil: Math.max(at, state.askedUntil) + ASK_INTERVAL_MS };
}

function apply(before: AgentAuthority, event: PermissionEvent, at: number): AgentAuthority {
  const { version } = event;
  const after = { ...before, version };
  switch (event.event) {
    case 'AgentSuspended': {
      const { by, reason } = event;
      return { ...after, status: 'suspended', since: version, by, reason };
    }
    case 'AgentReinstated':
      return reinstated(after);
    case 'PermissionRequested':
      return withRequest(after, requestOf(event, at));
    case 'PermissionApprovalEntered':
      return changeRequest(after, event.requestId, (request) => ({
        ...request,
        entries: [...request.entries, { by: event.by, roles: event.roles, at }],
      }));
    case 'PermissionRejected':
      return changeRequest(after, event.requestId, (request) => ({
        ...request,
        status: 'rejected',
        endedAt: at,
        rejectedBy: event.by,
        why: event.reason,
      }));
    case 'PermissionRequestExpired':
      return endRequest(after, event.requestId, 'expired', at);
    case 'PermissionRequestCancelled': {
      const { requestId, limit } = event;
      return changeRequest(after, requestId, (request) => ({
        ...request,
        status: 'cancelled',
        endedAt: at,
        ...(limit === undefined ? {} : { limit }),
      }));
    }
    case 'PermissionRequestSuperseded':
      return endRequest(after, event.requestId, 'superseded', at);
    case 'PermissionGranted': {
      const granted = withGrant(after, grantOf(event, at));
      return event.requestId === undefined ? granted : endRequest(granted, event.requestId, 'granted', at);
    }
    case 'PermissionReserved': {
      const { intentId, actionDigest } = event;
      return changeGrant(after, event.grantId, (before) => {
        const reservations = before.reservations.set(reservationKey(event), { intentId, actionDigest });
        const grant = { ...before, reservations };
        return usesLeft(grant) === 0 ? { ...grant, exhaustedBy: event.version } : grant;
      });
    }
    case 'PermissionUsed':
      return changeGrant(after, event.grantId, (grant) => ({
        ...grant,
        used: grant.used + 1,
        reservations: grant.reservations.delete(reservationKey(event)),
      }));
    case 'PermissionReleased':
      return changeGrant(after, event.grantId, (grant) => ({
        ...grant,
        reservations: grant.reservations.delete(reservationKey(event)),
      }));
    case 'PermissionExpired':
      return changeGrant(after, event.grantId, (grant) =>
        grant.status === 'granted' ? { ...grant, status: 'expired', endedAt: at } : grant,
      );
    case 'PermissionRevoked':
      return changeGrant(after, event.grantId, (grant) => ({
        ...grant,
        status: 'revoked',
        endedAt: at,
        revokedBy: event.by,
      }));
    case 'PermissionReviewClosed':
      return changeGrant(after, event.grantId, (grant) => ({ ...grant, review: 'closed' }));
    case 'PermissionRefused':
      return after;
    default:
      return event satisfies never;
  }
}

function reinstated(state: AgentAuthority): AgentAuthority {
  if (state.status === 'active') return state;
  const { since: _, by: __, reason: ___, ...known } = state;
  return { ...known, status: 'active' };
}

function requestOf(event: Extract<PermissionEvent, { event: 'PermissionRequested' }>, at: number): PermissionRequest {
  const { requestId, needs, durationMs, uses, constraints, charterDigest, basis, reason, onBehalfOf, held } = event;
  return {
    status: 'open',
    requestId,
    needs,
    durationMs,
    uses,
    constraints,
    charterDigest,
    ...(basis === undefined ? {} : { basis }),
    requestedBy: event.by,
    requestedAt: at,
    reason,
    expiresAt: Date.parse(event.expiresAt),
    entries: [],
    ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
    ...(held === undefined ? {} : { held }),
  };
}

function grantOf(event: Extract<PermissionEvent, { event: 'PermissionGranted' }>, at: number): Grant {
  const { grantId, permission, constraints, uses, approvedBy, charterDigest, requestId, reason } = event;
  return {
    status: 'granted',
    grantId,
    permission,
    constraints,
    uses,
    used: 0,
    reservations: Map(),
    grantedAt: at,
    expiresAt: Date.parse(event.expiresAt),
    grantedBy: event.by,
    approvedBy,
    reason,
    charterDigest,
    review: event.breakGlass === true ? 'open' : 'not needed',
    ...(requestId === undefined ? {} : { requestId }),
  };
}

function withGrant(state: AgentAuthority, grant: Grant): AgentAuthority {
  const { grantId } = grant;
  const before = state.grants.get(grantId);
  const grants = state.grants.set(grantId, grant);
  const alive = Number(grant.status === 'granted') - Number(before?.status === 'granted');
  // what is forgotten in the end waits for its review, however long ago it ended
  const isOver = canBeForgotten(grant) && (before === undefined || !canBeForgotten(before));
  return {
    ...state,
    grants,
    alive: alive === 0 ? state.alive : { ...state.alive, grants: state.alive.grants + alive },
    endedGrants: isOver ? state.endedGrants.push(grantId) : state.endedGrants,
  };
}

function canBeForgotten(grant: Grant): boolean {
  return grant.status !== 'granted' && grant.review !== 'open';
}

function withRequest(state: AgentAuthority, request: PermissionRequest): AgentAuthority {
  const { requestId } = request;
  const before = state.requests.get(requestId);
  const isOver = request.status !== 'open' && before?.status === 'open';
  return {
    ...state,
    requests: state.requests.set(requestId, request),
    alive: counted(counted(state.alive, before, -1), request, 1),
    endedRequests: isOver ? state.endedRequests.push(requestId) : state.endedRequests,
  };
}

function counted(alive: AliveCounts, request: PermissionRequest | undefined, change: 1 | -1): AliveCounts {
  if (request?.status !== 'open') return alive;
  if (request.held !== undefined) return { ...alive, holds: alive.holds + change };
  return request.requestId.startsWith(AGENT_ASK_PREFIX)
    ? { ...alive, asked: alive.asked + change }
    : { ...alive, requests: alive.requests + change };
}

function changeGrant(state: AgentAuthority, grantId: string, change: (grant: Grant) => Grant): AgentAuthority {
  const grant = grantNamed(state, grantId);
  return grant === undefined ? state : withGrant(state, change(grant));
}

/** Only an open request can change: how it ended is said once. */
function changeRequest(
  state: AgentAuthority,
  requestId: string,
  change: (request: PermissionRequest & { status: 'open' }) => PermissionRequest,
): AgentAuthority {
  const request = requestNamed(state, requestId);
  return request?.status === 'open' ? withRequest(state, change(request)) : state;
}

function endRequest(
  state: AgentAuthority,
  requestId: string,
  status: 'granted' | 'expired' | 'superseded',
  endedAt: number,
): AgentAuthority {
  return changeRequest(state, requestId, (request) => ({ ...request, status, endedAt }));
}

export function grantNamed(state: AgentAuthority, grantId: string): Grant | undefined {
  return state.grants.get(grantId);
}

export function requestNamed(state: AgentAuthority, requestId: string): PermissionRequest | undefined {
  return state.requests.get(requestId);
}

/** Each is forgotten once, so on average an event forgets no more than it has ended. */
function forget(state: AgentAuthority, now: number): AgentAuthority {
  const since = now - FORGOTTEN_AFTER_MS;
  const grants = split(state.endedGrants, (id) => endOf(state.grants.get(id)) < since);
  const requests = split(state.endedRequests, (id) => endOf(state.requests.get(id)) < since);
  if (grants.old.length === 0 && requests.old.length === 0) return state;
  return {
    ...state,
    grants: state.grants.deleteAll(grants.old),
    endedGrants: grants.kept,
    requests: state.requests.deleteAll(requests.old),
    endedRequests: requests.kept,
  };
}

function endOf(ended: Grant | PermissionRequest | undefined): number {
  return ended !== undefined && 'endedAt' in ended ? ended.endedAt : -Infinity;
}

/** The oldest that are too old or too many, and the rest. */
function split(ended: List<string>, isOld: (id: string) => boolean): { old: string[]; kept: List<string> } {
  const old: string[] = [];
  let kept = ended;
  for (;;) {
    const id = kept.first();
    if (id === undefined || (kept.size <= MAX_ENDED_REMEMBERED && !isOld(id))) return { old, kept };
    old.push(id);
    kept = kept.shift();
  }
}
