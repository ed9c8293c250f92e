import { sha256 } from '#contracts';
import {
  commandDigestOf,
  grantNamed,
  isExhaustedSince,
  reservationKey,
  useCommandId,
  type PermissionCommand,
  type RefusalCode,
  type WhyNot,
} from '#domain';
import type { ReserveUse, WantedUse } from '#segment';
import { order, type AuthorityRuntime } from './authority-runtime.js';

const WHY: Partial<Record<RefusalCode, WhyNot>> = {
  REMIT_PERMISSION_AGENT_SUSPENDED: 'agent suspended',
  REMIT_PERMISSION_GRANT_EXPIRED: 'expired',
  REMIT_PERMISSION_GRANT_REVOKED: 'revoked',
  REMIT_PERMISSION_OTHER_ACTION: 'constraint broken',
};

/**
 * Reserves uses through the event store: stored and published before the verdict leaves. Redelivered, the same intent
 * has the same answer; of those who race for the last use exactly one gets it. An intent that is sent twice has one use,
 * which belongs to the first: a decision that came too late must not free what a second one rests on.
 */
export function reserveUses(runtime: Pick<AuthorityRuntime, 'store' | 'bus' | 'views'>): ReserveUse {
  function isTaken(use: WantedUse): boolean {
    const authority = runtime.views.permissions.latest(use.agentId);
    const grant = authority && grantNamed(authority, use.grantId);
    return (
      grant !== undefined && isExhaustedSince(grant, use.judgedVersion) && !grant.reservations.has(reservationKey(use))
    );
  }

  /**
   * A flood of intents for one last use must not become a flood of refusals in the store. The store would refuse it as
   * well, now and for ever, even when the use is freed meanwhile. One that this very intent has set aside and spent is its
   * own: it is redelivered.
   */
  async function isKnownToBeTaken(use: WantedUse, command: PermissionCommand): Promise<boolean> {
    if (!isTaken(use)) return false;
    const { agentId, commandId } = command;
    const commandDigest = commandDigestOf(command, sha256);
    return (await runtime.store.resultOf(agentId, { commandId, commandDigest })) === undefined;
  }

  return async (use) => {
    const { agentId, grantId, intentId, actionDigest, judgedAt, judgedVersion } = use;
    const command: PermissionCommand = {
      command: 'ReserveUse',
      agentId,
      commandId: useCommandId('ReserveUse', use, sha256),
      by: 'judging',
      reason: 'an intent is about to use it',
      grantId,
      intentId,
      actionDigest,
      judgedAt: new Date(judgedAt).toISOString(),
      judgedVersion,
    };
    if (await isKnownToBeTaken(use, command)) return 'no use left';
    const handled = await order(runtime, { command, at: judgedAt, terms: undefined });
    if (handled.status === 'refused') return 'sent twice';
    const [first] = handled.events;
    return first?.event.event === 'PermissionRefused' ? (WHY[first.event.code] ?? 'no use left') : undefined;
  };
}
