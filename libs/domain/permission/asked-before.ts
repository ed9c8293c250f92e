import { destinationsOf } from '../intent/intent.js';
import { grantIdOfNeed, grantNamed, type AgentAuthority, type PermissionRequest } from './authority.js';

/** So many earlier requests are shown. */
export const MAX_ASKED_BEFORE = 10;

/** An earlier request for the same, and what became of it. */
export interface AskedBefore {
  readonly requestId: string;
  /** Not the same: the parameters of the action, or the constraints, are others. */
  readonly similar?: true;
  /** ms since the epoch */
  readonly requestedAt: number;
  readonly status: PermissionRequest['status'];
  /** ms since the epoch; left out: it has not ended. */
  readonly endedAt?: number;
  /** Who approved or rejected it. */
  readonly by: readonly string[];
  /** Why it was rejected. */
  readonly why?: string;
  /** Of a request that was granted: `used`: the agent was allowed to do it by that. */
  readonly grant?: 'used' | 'not used yet' | 'ended unused';
}

/**
 * What the agent has asked before that is the same: the same action, or, where no action is held, the same permissions with the same
 * constraints. And what is similar: an action of the same type on the same target to the same destinations, or the same permissions.
 * What was rejected comes first, then what is the same, then the newest; at most {@link MAX_ASKED_BEFORE}, out of what is remembered of the agent (30 days).
 */
export function askedBefore(authority: AgentAuthority, request: PermissionRequest): AskedBefore[] {
  return [...authority.requests.values()]
    .filter((one) => one.requestId !== request.requestId && one.requestedAt <= request.requestedAt)
    .flatMap((one) => {
      const isTheSame = isSame(one, request);
      return isTheSame || isSimilar(one, request) ? [{ one, isTheSame }] : [];
    })
    .sort((a, b) => rank(a) - rank(b) || newestFirst(a.one, b.one))
    .slice(0, MAX_ASKED_BEFORE)
    .map(({ one, isTheSame }) => ({ ...became(authority, one), ...(isTheSame ? {} : { similar: true as const }) }));
}

function isSame(one: PermissionRequest, other: PermissionRequest): boolean {
  if (one.held !== undefined || other.held !== undefined) return one.held?.actionDigest === other.held?.actionDigest;
  return wanted(one) === wanted(other);
}

function isSimilar(one: PermissionRequest, other: PermissionRequest): boolean {
  if (one.held !== undefined && other.held !== undefined) return placesOf(one.held) === placesOf(other.held);
  return one.held === other.held && permissionsOf(one) === permissionsOf(other);
}

function placesOf({ action }: NonNullable<PermissionRequest['held']>): string {
  return JSON.stringify([action.type, action.target, [...destinationsOf(action)].sort()]);
}

function permissionsOf({ needs }: PermissionRequest): string {
  return JSON.stringify(needs.map(({ permission }) => permission).sort());
}

/** However often something is asked again, that it was rejected is shown. */
function rank({ one, isTheSame }: { readonly one: PermissionRequest; readonly isTheSame: boolean }): number {
  return (one.status === 'rejected' ? 0 : 2) + (isTheSame ? 0 : 1);
}

function newestFirst(one: PermissionRequest, other: PermissionRequest): number {
  return other.requestedAt - one.requestedAt || (one.requestId < other.requestId ? -1 : 1);
}

function wanted({ needs, constraints }: PermissionRequest): string {
  const names = needs.map(({ permission }) => permission).sort();
  return JSON.stringify([names, Object.entries(constraints).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

function became(authority: AgentAuthority, one: PermissionRequest): AskedBefore {
  const { requestId, requestedAt, status, entries } = one;
  const by = status === 'rejected' ? [one.rejectedBy] : entries.map((entry) => entry.by);
  const grant = status === 'granted' ? useOf(authority, one) : undefined;
  return {
    ...{ requestId, requestedAt, status, by },
    ...(status === 'open' ? {} : { endedAt: one.endedAt }),
    ...(status === 'rejected' ? { why: one.why } : {}),
    ...(grant === undefined ? {} : { grant }),
  };
}

/** Where uses are not counted, nobody can tell from the events whether a grant was used. */
function useOf(authority: AgentAuthority, { requestId, needs }: PermissionRequest): AskedBefore['grant'] {
  const grants = needs.flatMap((_, index) => grantNamed(authority, grantIdOfNeed(requestId, index)) ?? []);
  if (grants.some(({ used }) => used > 0)) return 'used';
  if (grants.length === 0 || grants.some(({ uses }) => uses === null)) return undefined;
  return grants.some(({ status }) => status === 'granted') ? 'not used yet' : 'ended unused';
}
