import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RemitAgent } from '#agent';
import { TOPICS } from '#contracts';
import { eventually } from '#testing';
import { createOwnDatabase, type OwnDatabase } from '../integration/own-database.js';
import { RestoredWorld } from './restored-world.js';

const BEFORE = 5;
const AFTER = 7;

describe('promise 2: a database restored from a backup that is older than the log', () => {
  let database: OwnDatabase;
  let world: RestoredWorld;
  let clerk: RemitAgent;
  let grantId: string;

  const outcomeOf = async (type: string): Promise<string> => {
    const { outcome, ...rest } = await clerk.propose({ type, target: 'accounts' });
    if ('code' in rest && rest.code !== undefined)
      throw new Error(`${rest.code}\n${String(world.app?.output()).slice(-9000)}`);
    return outcome === 'deny' ? `deny ${JSON.stringify(rest)}` : outcome;
  };

  const stored = async (topic: string): Promise<number> => {
    const [row] = await world.database.query(
      'SELECT count(*)::int AS count FROM record.history WHERE topic = $1 AND gap_until IS NULL',
      [topic],
    );
    return Number(row?.['count']);
  };

  beforeAll(async () => {
    database = await createOwnDatabase();
    world = await RestoredWorld.open(() => Promise.resolve(database));
    await world.begin();
    clerk = await world.agent();
    for (let i = 0; i < BEFORE; i += 1) await outcomeOf('view');
    await eventually(async () => (await stored(TOPICS.agentDecisions.name)) === BEFORE);
    await world.stop();
    await database.backUp();

    await world.start();
    grantId = await world.grant('given after the backup');
    for (let i = 0; i < AFTER; i += 1) await outcomeOf('unlock');
    await eventually(async () => (await stored(TOPICS.agentDecisions.name)) === BEFORE + AFTER);
    await world.stop();
    await database.restore();
    expect(await stored(TOPICS.agentDecisions.name)).toBe(BEFORE);
    await world.start('answers');
  });

  afterAll(async () => {
    await clerk.close();
    await world.close();
  });

  it('is read on from where it really is: the audit log has every message that the log still has', async () => {
    await eventually(async () => (await stored(TOPICS.agentDecisions.name)) === BEFORE + AFTER);
    await eventually(async () => (await stored(TOPICS.agentActions.name)) === BEFORE + AFTER);
    const [gaps] = await world.database.query(
      'SELECT count(*)::int AS count FROM record.history WHERE gap_until IS NOT NULL',
    );
    expect(gaps).toEqual({ count: 0 });
  });

  it('takes back what the log has: a grant given after the backup can be revoked, and then denies', async () => {
    expect(await outcomeOf('unlock')).toBe('allow');
    await world.did('sam', 'permissions', 'revoke', 'clerk', grantId, '--reason', 'over');
    expect(await outcomeOf('unlock')).toMatch(/^deny/);
    const versions = await world.database.query('SELECT version FROM event_store.event ORDER BY stream, version');
    expect(versions.map(({ version }) => version)).toEqual([1, 2]);
  });
});
