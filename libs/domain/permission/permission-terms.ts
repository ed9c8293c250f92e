import type { Charter } from '../charter/charter.js';
import { durationMs } from '../charter/time-notation.js';
import type { PermissionTerm, PermissionTerms } from './permission-commands.js';

/** How long a held action waits for its approval when the charter gives no `hold_for`. */
export const DEFAULT_HOLD_MS = 60 * 60 * 1000;

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
  const glass = charter.document.break_glass;
  return {
    charterDigest: charter.digest,
    agentKnown: charter.agents.has(agentId),
    permissions,
    lists: new Set(Object.keys(charter.document.lists)),
    basisOf: (request) => charter.basisOf(agentId, request),
    breakGlass: glass && { role: glass.role, maxDurationMs: durationMs(glass.max_duration) ?? 0 },
  };
}

/** How long an action held under this charter waits for a permission. */
export function holdMsOf(charter: Charter, permission: string): number {
  const { permissions } = charter.document;
  const wait = Object.hasOwn(permissions, permission) ? permissions[permission]?.hold_for : undefined;
  return (wait === undefined ? undefined : durationMs(wait)) ?? DEFAULT_HOLD_MS;
}
