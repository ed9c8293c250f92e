import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { sha256 } from '#contracts';
import { useCommandId, type PermissionCommand } from '#domain';
import type { WantedUse } from '#segment';
import { AuthorityWorld, eventually, type Replica } from '#testing';
import { order } from './authority-runtime.js';
import { reserveUses } from './use-reservations.js';

const AGENT = 'clerk';

const CHARTER = `
charter: uses
stage: enforce
decision_ttl: 30s
classifications: [public, internal]
systems:
  desk: { classification: internal }
agents:
  ${AGENT}: { scope: { actions: ['*'], systems: [desk] } }
permissions:
  change: { max_duration: 1h, approvals: { count: 1, role: operations } }
`;

describe('the last use of a grant', () => {
  let world: AuthorityWorld;
  let replica: Replica;
  let grantId: string;

  beforeEach(async () => {
    world = new AuthorityWorld();
    await world.open(CHARTER);
    replica = await world.start();
    const [granted] = await world.order({
      ...{ command: 'GrantPermission', agentId: AGENT, permission: 'change', by: 'olga' },
      ...{ roles: ['operations'], durationMs: 60_000, uses: 1 },
    });
    grantId = granted?.commandId ?? '';
  });

  afterEach(() => world.close());

  const use = (judgedVersion: number): WantedUse => ({
    ...{ agentId: AGENT, grantId, intentId: uuidv7(), actionDigest: 'a'.repeat(64), round: 1 },
    ...{ judgedAt: world.now(), judgedVersion },
  });

  async function known(version: number): Promise<void> {
    await eventually(() => Promise.resolve(replica.views.permissions.latest(AGENT)?.version === version));
  }

  async function release({ intentId, actionDigest }: WantedUse): Promise<void> {
    const command: PermissionCommand = {
      ...{ command: 'ReleaseUse', agentId: AGENT, by: 'decisions', reason: 'the intent was denied' },
      ...{ grantId, intentId, actionDigest },
      commandId: useCommandId('ReleaseUse', { grantId, intentId, actionDigest }, sha256),
    };
    await order(replica, { command, at: world.now(), terms: undefined });
  }

  it('is refused again to an intent that it was refused to, although it has been freed meanwhile', async () => {
    const reserve = reserveUses(replica);
    const [taker, late] = [use(1), use(1)];
    expect(await reserve(taker)).toBeUndefined();
    await known(2);
    expect(await reserve(late)).toBe('no use left');
    await release(taker);
    await known(3);
    expect(await reserve(late)).toBe('no use left');
    expect(await reserveUses({ ...replica, views: (await world.start({ runtime: false })).views })(late)).toBe(
      'no use left',
    );
    expect(await reserve(taker)).toBeUndefined();
  });

  it('goes to an intent that was judged after it had been freed', async () => {
    const reserve = reserveUses(replica);
    const taker = use(1);
    expect(await reserve(taker)).toBeUndefined();
    await release(taker);
    await known(3);
    expect(await reserve(use(3))).toBeUndefined();
  });

  it('is decided by the store alike where the log has not been read so far', async () => {
    const taker = use(1);
    const late = use(1);
    const early = await world.start({ runtime: false });
    const readings = { permissions: { latest: () => undefined } } as unknown as Replica['views'];
    expect(await reserveUses(replica)(taker)).toBeUndefined();
    await release(taker);
    expect(await reserveUses({ ...early, views: readings })(late)).toBe('no use left');
  });

  it('is refused to any number of intents without an event for each', async () => {
    const reserve = reserveUses(replica);
    expect(await reserve(use(1))).toBeUndefined();
    await known(2);
    for (let count = 0; count < 20; count += 1) expect(await reserve(use(1))).toBe('no use left');
    expect((await replica.store.readStream(AGENT)).version).toBe(2);
  });
});
