import type { Charter } from '../charter/charter.js';
import { durationMs } from '../charter/time-notation.js';
import type { PermissionTerm, PermissionTerms } from './permission-commands.js';

/** How long a grant may last when the charter gives no `max_duration`. */
export const DEFAULT_MAX_DURATION_MS = 60 * 60 * 1000;

/** What the charter in force says of an agent's temporary authority. */
export function permissionTermsOf(charter: Charter | undefined, agentId: string): PermissionTerms | undefined {
  if (charter === undefined) return undefined;
  const permissions = new Map<string, PermissionTerm>();
  for (const [name, { max_duration: longest, approvals, bind }] of Object.entries(charter.document.permissions)) {
    const maxDurationMs = (longest === undefined ? undefined : durationMs(longest)) ?? DEFAULT_MAX_DURATION_MS;
    permissions.set(name, { maxDurationMs, approvals, bind: bind ?? [] });
  }
  return { charterDigest: charter.digest, agentKnown: charter.agents.has(agentId), permissions };
}
