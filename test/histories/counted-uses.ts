import type { AuthorityWorld } from '#testing';

const CHARTER = `
charter: counted-uses
stage: enforce
classifications: [public, internal]
systems:
  desk: { classification: internal }
agents:
  clerk: { owner: office, purpose: unlock desks, scope: { actions: [unlock], systems: [desk] } }
permissions:
  unlock_account: { required_for: { actions: [unlock] }, max_duration: 1h }
`;
const MINUTE_MS = 60_000;

/**
 * Three intents at once for two grants of one use each: the first takes what ends first, the second finds it taken and
 * takes the other, the third finds nothing. None of it is in the permission events before them.
 */
export async function playCountedUses(world: AuthorityWorld): Promise<void> {
  await world.activate(CHARTER);
  const grant = { command: 'GrantPermission', agentId: 'clerk', by: 'sam', roles: [], permission: 'unlock_account' };
  for (const durationMs of [10 * MINUTE_MS, 20 * MINUTE_MS]) await world.order({ ...grant, durationMs, uses: 1 });
  const unlock = { type: 'unlock', target: 'desk' };
  for (const intent of await world.proposeAtOnce('clerk', [unlock, unlock, unlock])) await world.decisionsOf(intent);
}
