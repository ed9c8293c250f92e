import type { BatchHandler, ReceivedMessage, Unreadable } from '#bus';
import { EVENTS, readEvent, sha256 } from '#contracts';
import {
  grantNamed,
  heldRequestId,
  holdMsOf,
  isVoid,
  limitedGrantsOf,
  LONGEST_REQUEST_WAIT_MS,
  permissionTermsOf,
  requestNamed,
  reservationKey,
  useCommandId,
  type Charter,
  type Decision,
  type PermissionCommand,
} from '#domain';
import { CHARTER_KEY } from '#segment';
import { traceHold } from './approval-trace.js';
import { AuthorityError, authoritiesIn, ManyOrders, type AuthorityRuntime } from './authority-runtime.js';

/** So many permissions a request may name; needs beyond it stay open and deny in the second round. */
const MOST_NEEDS = 16;
const LONGEST_REASON = 1024;

/** The request for approval that a hold opens: all its needs, bound to this one intent, for one use. */
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
  const needs = [...rules].slice(0, MOST_NEEDS).map(([permission, rule]) => ({ permission, rule }));
  if (needs.length === 0) return undefined;
  const durations = needs.flatMap(({ permission }) => terms?.permissions.get(permission)?.maxDurationMs ?? []);
  const { digest: _, ...shown } = action;
  if (intentDigest === undefined) return undefined;
  return {
    command: 'RequestPermission',
    agentId,
    commandId: heldRequestId(decisionId),
    by: agentId,
    reason: reasons.join('; ').slice(0, LONGEST_REASON).toWellFormed(),
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

/**
 * Follows `agent.decisions`: a hold opens its one request for approval; a use that was reserved is spent by an allow
 * and freed by a denial, or by a decision that came too late. In partition order, so the first final decision of an
 * intent settles its uses and later ones find nothing to settle.
 */
export function createDecisionHandler(runtime: AuthorityRuntime): BatchHandler {
  const { store, views, viewWaitMs, tracing } = runtime;

  async function charterThatHeld({ stamp }: Decision): Promise<Charter | undefined> {
    if (!(await views.charter.waitUntil([stamp.charter.position], viewWaitMs))) {
      throw new AuthorityError(
        'REMIT_AUTHORITY_VIEWS_BEHIND',
        'the charter that held an intent has not been read yet: its approval waits for it',
      );
    }
    return views.charter.at(CHARTER_KEY, stamp.charter.position)?.state?.charter;
  }

  async function openRequest(orders: ManyOrders, decision: Decision, at: number): Promise<void> {
    const charter = await charterThatHeld(decision);
    const command = charter && requestOfHold(decision, charter);
    if (charter === undefined || command === undefined) return;
    // Another append of the same intent may have been held as well: the id is its own, so it is asked once.
    await orders.order({ command, at, terms: permissionTermsOf(charter, decision.agentId) });
  }

  async function settleUses(orders: ManyOrders, decision: Decision, tooLate: boolean, at: number): Promise<void> {
    const limited = limitedGrantsOf(decision.verdicts);
    if (limited.length === 0 || (decision.outcome === 'hold' && !tooLate)) return;
    const { agentId, intentId, decisionId, action } = decision;
    const { state: authority } = await authoritiesIn(store).current(agentId);
    // A hold that was appended again too late: the first one was in time, and its use waits for the approval.
    if (decision.outcome === 'hold' && requestNamed(authority, heldRequestId(decisionId)) !== undefined) return;
    for (const grantId of limited) {
      const use = { grantId, intentId, actionDigest: action.digest };
      if (grantNamed(authority, grantId)?.reservations.has(reservationKey(use)) !== true) continue;
      const by = { agentId, by: 'decisions', ...use };
      const commandId = (command: 'ConfirmUse' | 'ReleaseUse'): string => useCommandId(command, use, sha256);
      const command: PermissionCommand =
        decision.outcome === 'allow' && !tooLate
          ? {
              command: 'ConfirmUse',
              ...by,
              commandId: commandId('ConfirmUse'),
              reason: 'the intent was allowed',
              decisionId,
            }
          : {
              command: 'ReleaseUse',
              ...by,
              commandId: commandId('ReleaseUse'),
              reason: tooLate ? 'the decision came too late' : 'the intent was denied',
            };
      await orders.order({ command, at, terms: undefined });
    }
  }

  async function handle(orders: ManyOrders, message: ReceivedMessage, decision: Decision): Promise<void> {
    const { appendTime, offset, logTime } = message;
    const tooLate = isVoid({ decision, appendTime, offset });
    if (decision.outcome === 'hold' && !tooLate) {
      const span = traceHold(tracing, message, decision);
      await openRequest(orders, decision, logTime).finally(() => span?.end());
    }
    await settleUses(orders, decision, tooLate, logTime);
  }

  return async (batch) => {
    const unreadable: Unreadable[] = [];
    const orders = new ManyOrders(runtime);
    for (const message of batch.messages) {
      const reading = readEvent(EVENTS.decision, message);
      if (!reading.ok) {
        unreadable.push({ message, code: reading.code, reason: reading.reason });
        continue;
      }
      runtime.onDecision?.(message, reading.event.data);
      await handle(orders, message, reading.event.data);
      await batch.heartbeat();
    }
    await orders.publish(() => batch.heartbeat());
    return { publish: [], unreadable };
  };
}
