import type { CharterDocument } from '../charter/charter-document.js';
import type { AgentAuthority } from './authority.js';
import { grantsHeld, openReviews } from './authority-queries.js';

export type HygieneKind =
  /** Held for good, by the charter: ask whether it has to be. */
  | 'standing-permission'
  /** Counted, half of its time is over, and not used once. */
  | 'unused-grant'
  | 'ending-grant'
  /** Lent again and again: whoever is always elevated has a standing permission in all but name. */
  | 'always-elevated'
  | 'no-owner'
  /** Has grants or requests, but is in no charter. */
  | 'unknown-agent'
  /** Granted past the approvals, and nobody has looked at it yet. */
  | 'open-review';

/** One thing to tidy up. */
export interface HygieneFinding {
  readonly kind: HygieneKind;
  readonly agentId: string;
  readonly permission?: string;
  readonly grantId?: string;
  readonly message: string;
}

export interface HygieneInput {
  /** Undefined: no charter is in force. */
  readonly charter: Pick<CharterDocument, 'agents'> | undefined;
  readonly authorities: ReadonlyMap<string, AgentAuthority>;
  /** ms since the epoch */
  readonly now: number;
}

/** A grant that ends within this is about to end. */
export const ENDING_WITHIN_MS = 15 * 60 * 1000;

/** So often the same permission asked for or lent, in the 30 days that an authority remembers, is a habit. */
export const ALWAYS_ELEVATED_FROM = 3;

/** What to tidy up, agent by agent. Says nothing of the use of grants that are not counted: no event tells it. */
export function hygieneFindings({ charter, authorities, now }: HygieneInput): HygieneFinding[] {
  const agentIds = [...new Set([...Object.keys(charter?.agents ?? {}), ...authorities.keys()])].sort();
  return agentIds.flatMap((agentId) => [
    ...charterFindings(agentId, charter, authorities.get(agentId)),
    ...authorityFindings(agentId, authorities.get(agentId), now),
  ]);
}

function charterFindings(
  agentId: string,
  charter: HygieneInput['charter'],
  authority: AgentAuthority | undefined,
): HygieneFinding[] {
  const agent = charter !== undefined && Object.hasOwn(charter.agents, agentId) ? charter.agents[agentId] : undefined;
  if (agent === undefined) {
    const holds = authority !== undefined && authority.grants.size + authority.requests.size > 0;
    return holds ? [{ kind: 'unknown-agent', agentId, message: 'has grants or requests, but is in no charter' }] : [];
  }
  const findings: HygieneFinding[] = [];
  if (agent.owner === undefined) findings.push({ kind: 'no-owner', agentId, message: 'nobody answers for it' });
  for (const permission of agent.permissions ?? []) {
    findings.push({ kind: 'standing-permission', agentId, permission, message: 'held for good, by the charter' });
  }
  return findings;
}

function authorityFindings(agentId: string, authority: AgentAuthority | undefined, now: number): HygieneFinding[] {
  if (authority === undefined) return [];
  const findings: HygieneFinding[] = [];
  for (const { grant, remainingMs } of grantsHeld(authority, now)) {
    const { grantId, permission } = grant;
    const isTaken = grant.used + grant.reservations.size > 0;
    if (grant.uses !== null && !isTaken && now - grant.grantedAt >= remainingMs) {
      const message = `none of its ${grant.uses} uses taken, and half of its time is over`;
      findings.push({ kind: 'unused-grant', agentId, permission, grantId, message });
    }
    if (remainingMs <= ENDING_WITHIN_MS) {
      findings.push({ kind: 'ending-grant', agentId, permission, grantId, message: 'ends soon' });
    }
  }
  for (const [permission, times] of timesElevated(authority)) {
    if (times < ALWAYS_ELEVATED_FROM) continue;
    const message = `asked for or lent ${times} times in 30 days: what is always needed belongs in the charter, or in question`;
    findings.push({ kind: 'always-elevated', agentId, permission, message });
  }
  for (const { grantId, permission, grantedBy } of openReviews(authority)) {
    const message = `${grantedBy} granted it past the approvals; someone else has to look at it`;
    findings.push({ kind: 'open-review', agentId, permission, grantId, message });
  }
  return findings;
}

/** Each request once, whatever came of it, and each grant that nobody requested. */
function timesElevated(authority: AgentAuthority): Map<string, number> {
  const times = new Map<string, number>();
  const count = (permission: string): unknown => times.set(permission, (times.get(permission) ?? 0) + 1);
  for (const { needs } of authority.requests.values()) for (const { permission } of needs) count(permission);
  for (const grant of authority.grants.values()) if (grant.requestId === undefined) count(grant.permission);
  return times;
}
