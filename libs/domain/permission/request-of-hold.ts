import type { Charter } from '../charter/charter.js';
import type { Decision } from '../decision/decision.js';
import { MAX_REASON_LENGTH } from '../record/plain-text.js';
import { LONGEST_REQUEST_WAIT_MS } from './authority-decision.js';
import type { PermissionCommand } from './permission-commands.js';
import { MAX_NEEDS } from './permission-limits.js';
import { holdMsOf, permissionTermsOf } from './permission-terms.js';
import { heldRequestId } from './second-round.js';

/**
 * The request for approval that a hold opens: its needs, bound to this one intent, for one use. Needs beyond
 * {@link MAX_NEEDS} stay open and deny in the re-evaluation. `undefined`: nobody can be asked.
 */
export function requestOfHold(decision: Decision, charter: Charter): PermissionCommand | undefined {
  const { agentId, decisionId, intentId, chainId, action, intentDigest, stamp, onBehalfOf } = decision;
  const terms = permissionTermsOf(charter, agentId);
  const rules = new Map<string, string>();
  const holding = new Set<string>();
  const reasons: string[] = [];
  for (const { effect, enforced, permission, rule, reason } of decision.verdicts.flatMap(({ findings }) => findings)) {
    if (effect !== 'needs-approval' || !enforced || permission === undefined) continue;
    // the charter that held it names every permission of its rules
    if (terms?.permissions.has(permission) !== true) continue;
    reasons.push(reason);
    holding.add(rule);
    if (!rules.has(permission)) rules.set(permission, rule);
  }
  const needs = [...rules].slice(0, MAX_NEEDS).map(([permission, rule]) => ({ permission, rule }));
  if (needs.length === 0) return undefined;
  const durations = needs.flatMap(({ permission }) => terms?.permissions.get(permission)?.maxDurationMs ?? []);
  const { digest: _, ...shown } = action;
  if (intentDigest === undefined) return undefined;
  return {
    command: 'RequestPermission',
    agentId,
    commandId: heldRequestId(decisionId),
    by: agentId,
    reason: reasons.join('; ').slice(0, MAX_REASON_LENGTH).toWellFormed(),
    needs,
    durationMs: Math.min(...durations),
    uses: 1,
    waitMs: Math.min(LONGEST_REQUEST_WAIT_MS, ...needs.map(({ permission }) => holdMsOf(charter, permission))),
    held: {
      intentId,
      decisionId,
      actionDigest: action.digest,
      intentDigest,
      chainId,
      source: stamp.source,
      rules: [...holding],
      action: shown,
    },
    ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
  };
}
