import type { Approvals, Constraints, HeldIntent } from './permission-grants.js';
import type { PermissionEvent } from './permission-events.js';

/** One use of a limited grant, set aside for one intent. `released`: the intent came to nothing, the use is free. */
export interface Reservation {
  readonly status: 'reserved' | 'used' | 'released';
  readonly intentId: string;
  readonly actionDigest: string;
}

interface GrantFacts {
  readonly grantId: string;
  readonly permission: string;
  readonly constraints: Constraints;
  /** `null`: within its time as often as needed. */
  readonly uses: number | null;
  /** By {@link reservationKey}. */
  readonly reservations: Readonly<Record<string, Reservation>>;
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
  readonly requestedBy: string;
  readonly requestedAt: number;
  readonly reason: string;
  readonly expiresAt: number;
  readonly onBehalfOf?: string;
  readonly held?: HeldIntent;
  readonly entries: readonly ApprovalEntry[];
}

export type PermissionRequest = RequestFacts &
  (
    | { readonly status: 'open' }
    | { readonly status: 'granted' | 'expired' | 'cancelled' | 'superseded'; readonly endedAt: number }
    | { readonly status: 'rejected'; readonly endedAt: number; readonly rejectedBy: string; readonly why: string }
  );

interface Known {
  /** Version of the last event that counts; 0 before the first. */
  readonly version: number;
  readonly grants: Readonly<Record<string, Grant>>;
  readonly requests: Readonly<Record<string, PermissionRequest>>;
  /** Events that came before one that must precede them. While there are any, the agent's authority is not known. */
  readonly early: readonly PermissionEvent[];
  /** The last event cannot be read, so the agent's authority is not known until the next one in order comes. */
  readonly unreadable?: true;
}

/** What the permission events of one agent say of it. JSON, so that it can be a snapshot. */
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
export const INITIAL_AUTHORITY: AgentAuthority = { status: 'active', version: 0, grants: {}, requests: {}, early: [] };

/** What ended longer ago than this is forgotten, so that an agent's state does not grow for ever. Events never are. */
export const FORGOTTEN_AFTER_MS = 30 * 24 * 60 * 60 * 1000;

/** The id of the grant that meets a request's need, counted from 0. */
export function grantIdOfNeed(requestId: string, index: number): string {
  return `${requestId}#${index + 1}`;
}

export function reservationKey(use: { readonly intentId: string; readonly actionDigest: string }): string {
  return `${use.intentId}/${use.actionDigest}`;
}

/** How many uses are left; `null` when they are not counted. */
export function usesLeft(grant: Grant): number | null {
  if (grant.uses === null) return null;
  const taken = Object.values(grant.reservations).filter(({ status }) => status !== 'released').length;
  return Math.max(0, grant.uses - taken);
}

/** Whether events are missing in between: whoever judges then must fail closed. */
export function hasGap(authority: AgentAuthority): boolean {
  return authority.early.length > 0 || authority.unreadable === true;
}

/**
 * The authority after an event. A version seen before changes nothing, so redelivery is harmless; one that comes too
 * early waits until the gap before it is filled. Total: any event in any order leads to a state.
 */
export function evolveAuthority(state: AgentAuthority | undefined, event: PermissionEvent): AgentAuthority {
  const before = state ?? INITIAL_AUTHORITY;
  if (event.version <= before.version || before.early.some(({ version }) => version === event.version)) return before;
  if (event.version > before.version + 1) {
    const early = [...before.early, event].sort((one, other) => one.version - other.version);
    return { ...before, early };
  }
  const after = forget(apply(readable(before), event), Date.parse(event.at));
  const [next, ...rest] = after.early;
  return next?.version === after.version + 1 ? evolveAuthority({ ...after, early: rest }, next) : after;
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

function apply(before: AgentAuthority, event: PermissionEvent): AgentAuthority {
  const { version } = event;
  const at = Date.parse(event.at);
  const after = { ...before, version };
  switch (event.event) {
    case 'AgentSuspended': {
      const { grants, requests, early } = before;
      const { by, reason } = event;
      return { status: 'suspended', since: version, version, grants, requests, early, by, reason };
    }
    case 'AgentReinstated': {
      const { grants, requests, early } = before;
      return { status: 'active', version, grants, requests, early };
    }
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
    case 'PermissionRequestCancelled':
      return endRequest(after, event.requestId, 'cancelled', at);
    case 'PermissionRequestSuperseded':
      return endRequest(after, event.requestId, 'superseded', at);
    case 'PermissionGranted': {
      const granted = withGrant(after, grantOf(event, at));
      return event.requestId === undefined ? granted : endRequest(granted, event.requestId, 'granted', at);
    }
    case 'PermissionReserved':
      return changeReservation(after, event, 'reserved');
    case 'PermissionUsed':
      return changeReservation(after, event, 'used');
    case 'PermissionReleased':
      return changeReservation(after, event, 'released');
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

function requestOf(event: Extract<PermissionEvent, { event: 'PermissionRequested' }>, at: number): PermissionRequest {
  const { requestId, needs, durationMs, uses, constraints, charterDigest, reason, onBehalfOf, held } = event;
  return {
    status: 'open',
    requestId,
    needs,
    durationMs,
    uses,
    constraints,
    charterDigest,
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
    reservations: {},
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
  return { ...state, grants: { ...state.grants, [grant.grantId]: grant } };
}

function withRequest(state: AgentAuthority, request: PermissionRequest): AgentAuthority {
  return { ...state, requests: { ...state.requests, [request.requestId]: request } };
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
  status: 'granted' | 'expired' | 'cancelled' | 'superseded',
  endedAt: number,
): AgentAuthority {
  return changeRequest(state, requestId, (request) => ({ ...request, status, endedAt }));
}

function changeReservation(
  state: AgentAuthority,
  use: { readonly grantId: string; readonly intentId: string; readonly actionDigest: string },
  status: Reservation['status'],
): AgentAuthority {
  const { intentId, actionDigest } = use;
  const reservation = { status, intentId, actionDigest };
  return changeGrant(state, use.grantId, (grant) => ({
    ...grant,
    reservations: { ...grant.reservations, [reservationKey(use)]: reservation },
  }));
}

export function grantNamed(state: AgentAuthority, grantId: string): Grant | undefined {
  return Object.hasOwn(state.grants, grantId) ? state.grants[grantId] : undefined;
}

export function requestNamed(state: AgentAuthority, requestId: string): PermissionRequest | undefined {
  return Object.hasOwn(state.requests, requestId) ? state.requests[requestId] : undefined;
}

function forget(state: AgentAuthority, now: number): AgentAuthority {
  const isOld = (ended: { readonly endedAt: number }): boolean => ended.endedAt < now - FORGOTTEN_AFTER_MS;
  const oldGrants = Object.values(state.grants).filter(
    (grant) => grant.status !== 'granted' && grant.review !== 'open' && isOld(grant),
  );
  const oldRequests = Object.values(state.requests).filter((request) => request.status !== 'open' && isOld(request));
  if (oldGrants.length === 0 && oldRequests.length === 0) return state;
  const grants = without(state.grants, new Set(oldGrants.map(({ grantId }) => grantId)));
  const requests = without(state.requests, new Set(oldRequests.map(({ requestId }) => requestId)));
  return { ...state, grants, requests };
}

function without<Entry>(entries: Readonly<Record<string, Entry>>, ids: ReadonlySet<string>): Record<string, Entry> {
  return Object.fromEntries(Object.entries(entries).filter(([id]) => !ids.has(id)));
}
