import type { BatchHandler, ReceivedMessage, Unreadable } from '#bus';
import { EVENTS, readEvent, sha256 } from '#contracts';
import {
  grantNamed,
  heldRequestId,
  isVoid,
  limitedGrantsOf,
  permissionTermsOf,
  requestNamed,
  requestOfHold,
  reservationKey,
  useCommandId,
  type Charter,
  type Decision,
  type PermissionCommand,
} from '#domain';
import { CHARTER_KEY } from '#segment';
import { traceHold } from './approval-trace.js';
import { AuthorityError, authoritiesIn, ManyOrders, type AuthorityRuntime } from './authority-runtime.js';

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
