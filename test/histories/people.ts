import { decisionIdOf, durationMs, heldRequestId } from '#domain';
import { sha256 } from '#contracts';
import type { People } from '#stories';
import type { AuthorityWorld } from '#testing';

const HOUR_MS = 60 * 60 * 1000;

/** The people of a story, who order on the log itself: there is no door in this world. */
export function peopleOf(world: AuthorityWorld): People {
  return {
    activate: async (text) => {
      await world.activate(text);
    },
    order: async (order) => {
      if ('grant' in order) {
        const { agent: agentId, for: lasting, uses = null, ...rest } = order.grant;
        const durationMsOfGrant = durationMs(lasting) ?? HOUR_MS;
        await world.order({ command: 'GrantPermission', agentId, durationMs: durationMsOfGrant, uses, ...rest });
      } else if ('revoke_all' in order) {
        const { agent: agentId, by, reason } = order.revoke_all;
        await world.order({ command: 'RevokeAllGrants', agentId, by, reason });
      } else if ('suspend' in order) {
        const { agent: agentId, by, reason } = order.suspend;
        await world.order({ command: 'SuspendAgent', agentId, by, reason });
      } else {
        const { agent: agentId, by, reason } = order.reinstate;
        await world.order({ command: 'ReinstateAgent', agentId, by, reason });
      }
    },
    answer: async ({ agentId, intentId, actionDigest }, verdict, { by, roles, reason }) => {
      const requestId = heldRequestId(decisionIdOf({ agentId, intentId, actionDigest, round: 1 }, sha256));
      const answer = { agentId, requestId, by, roles, reason };
      await opened(world, requestId);
      if (verdict === 'approve') await world.order({ command: 'ApproveRequest', actionDigest, ...answer });
      else await world.order({ command: 'RejectRequest', ...answer });
    },
  };
}

/** Waits until the hold has opened its request. */
async function opened(world: AuthorityWorld, requestId: string): Promise<void> {
  for (;;) {
    const events = await world.eventsNamed('PermissionRequested');
    if (events.some((event) => event.requestId === requestId)) return world.settled();
    await world.settled();
  }
}
