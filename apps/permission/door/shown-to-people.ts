import { sha256, type AgentAuthorityView, type GrantView, type RequestDetail, type RequestView } from '#contracts';
import {
  askedBefore,
  canonicalJson,
  grantsHeld,
  peopleForNeeds,
  requestNamed,
  type AgentAuthority,
  type Charter,
  type HeldGrant,
  type PermissionRequest,
} from '#domain';

/** What an agent holds at a time, ms since the epoch. */
export function authorityView(
  agentId: string,
  authority: AgentAuthority | undefined,
  charter: Charter | undefined,
  time: number,
): AgentAuthorityView {
  return {
    agentId,
    at: isoTime(time),
    status: authority?.status ?? 'active',
    ...(authority?.status === 'suspended' && { suspendedBy: authority.by, suspendedBecause: authority.reason }),
    standing: [...(charter?.agents.get(agentId)?.permissions ?? [])],
    grants: grantsHeld(authority, time).map((held) => grantView(agentId, held)),
  };
}

function grantView(agentId: string, { grant, remainingMs, usesLeft }: HeldGrant): GrantView {
  const { grantId, permission, constraints, uses, grantedBy, approvedBy, reason, review, requestId } = grant;
  return {
    grantId,
    agentId,
    permission,
    constraints,
    uses,
    usesLeft,
    grantedAt: isoTime(grant.grantedAt),
    expiresAt: isoTime(grant.expiresAt),
    remainingMs,
    grantedBy,
    approvedBy: [...approvedBy],
    reason,
    review,
    ...(requestId === undefined ? {} : { requestId }),
  };
}

/** What the agent has asked before that is the same, and what became of it by now, ms since the epoch. */
export function askedBeforeView(
  authority: AgentAuthority,
  request: PermissionRequest,
  time: number,
): RequestDetail['askedBefore'] {
  return askedBefore(authority, request).map(({ requestedAt, endedAt, by, status, ...rest }) => {
    const earlier = requestNamed(authority, rest.requestId);
    const hasRunOut = status === 'open' && earlier !== undefined && time >= earlier.expiresAt;
    return {
      ...rest,
      status: hasRunOut ? 'expired' : status,
      by: [...by],
      requestedAt: isoTime(requestedAt),
      ...(endedAt === undefined ? {} : { endedAt: isoTime(endedAt) }),
    };
  });
}

/** A request as it stands at a time: one that has run out is expired, whether or not anybody has recorded it. */
export function requestView(agentId: string, request: PermissionRequest, time: number): RequestView {
  const { requestId, needs, entries, expiresAt, onBehalfOf, held } = request;
  const status = request.status === 'open' && time >= expiresAt ? 'expired' : request.status;
  const people = peopleForNeeds(needs, entries);
  return {
    requestId,
    agentId,
    status,
    ...(request.status === 'rejected' && { rejectedBy: request.rejectedBy, rejectedBecause: request.why }),
    needs: needs.map(({ permission, approvals, rule }, index) => ({
      permission,
      approvals,
      ...(rule === undefined ? {} : { rule }),
      approvedBy: (people[index] ?? []).map(({ by }) => by),
    })),
    durationMs: request.durationMs,
    uses: request.uses,
    constraints: request.constraints,
    charterDigest: request.charterDigest,
    requestedBy: request.requestedBy,
    requestedAt: isoTime(request.requestedAt),
    reason: request.reason,
    expiresAt: isoTime(expiresAt),
    remainingMs: status === 'open' ? expiresAt - time : 0,
    ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
    ...(held === undefined ? {} : { held }),
    alike: alikeness(agentId, request),
  };
}

/** Equal for requests that ask for the same of the same agent; only the action's parameters and chain may differ. */
function alikeness(agentId: string, { needs, durationMs, uses, basis, constraints, held }: PermissionRequest) {
  const { actionDigest: _, chainId: __, ...bound } = constraints;
  const action = held === undefined ? constraints : held.action;
  return sha256(canonicalJson({ agentId, needs, durationMs, uses, basis, bound, action }));
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
