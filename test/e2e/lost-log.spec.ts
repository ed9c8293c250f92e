import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RemitAgent } from '#agent';
import { TOPICS } from '#contracts';
import { eventually, untilReady, type RunningApp } from '#testing';
import { createOwnDatabase } from '../integration/own-database.js';
import { RestoredWorld } from './restored-world.js';

describe('promise 2: a broker that has lost everything, beside a database that has kept it', () => {
  let world: RestoredWorld;
  let clerk: RemitAgent;
  let grantId: string;
  let before: ReadonlyMap<string, number>;

  const propose = async (type: string): Promise<string> => (await clerk.propose({ type, target: 'accounts' })).outcome;

  const CHECKED = [TOPICS.agentActions, TOPICS.agentDecisions, TOPICS.permissionEvents, TOPICS.charterEvents];

  const counts = async (): Promise<ReadonlyMap<string, number>> => {
    const stored = new Map<string, number>();
    for (const { name } of CHECKED) stored.set(name, await world.stored(name));
    return stored;
  };

  beforeAll(async () => {
    world = await RestoredWorld.open(createOwnDatabase);
    await world.begin();
    clerk = await world.agent();
    grantId = await world.grant('given before the loss');
    expect(await propose('unlock')).toBe('allow');
    await eventually(async () => (await world.stored(TOPICS.agentDecisions.name)) === 1);
    await eventually(async () => (await world.stored(TOPICS.permissionEvents.name)) === 1);
    await world.stop();
    await clerk.close();
    before = await counts();
    await world.loseLog();
    await world.start('answers');
    clerk = await world.agent();
  });

  afterAll(async () => {
    await clerk.close();
    await world.close();
  });

  it('is told of every partition that the database has read further, and nothing is judged', async () => {
    const found = await world.discrepancies();
    expect(new Set(found.map(({ kind }) => kind))).toEqual(new Set(['log-lost']));
    const topics = new Set(found.map(({ topic }) => topic));
    for (const { name } of CHECKED) expect(topics).toContain(name);
    expect(new Set(found.map(({ reader }) => reader))).toEqual(new Set(['audit log', 'event store']));
    expect((await world.missing())['log']).toContain('no longer on the log');
  });

  it('goes on where it was once a person has acknowledged it: the grant is in force, and can be revoked', async () => {
    await world.acknowledgeAll('the broker was set up anew');
    await world.did('gwen', 'charter', 'activate', join(world.folder, 'charter.yaml'));
    await untilReady([world.app as RunningApp]);
    expect(await propose('unlock')).toBe('allow');
    await world.did('sam', 'permissions', 'revoke', 'clerk', grantId, '--reason', 'over');
    expect(await propose('unlock')).toBe('deny');
    // what was stored is kept, and what comes now follows it
    await eventually(async () => (await world.stored(TOPICS.agentDecisions.name)) === 1 + 2);
    await eventually(async () => (await world.stored(TOPICS.agentActions.name)) === 1 + 2);
    const after = await counts();
    for (const { name } of CHECKED) expect(after.get(name)).toBeGreaterThan(before.get(name) ?? 0);
    const gaps = await world.database.query('SELECT topic FROM record.history WHERE gap_until IS NOT NULL');
    expect(gaps).toEqual([]);
    expect(await world.stored(TOPICS.deadLetters.name)).toBe(0);
    expect(await world.discrepancies()).toEqual([]);
  });

  it('starts again as if nothing had been', async () => {
    await world.stop();
    await world.start();
    expect(await world.discrepancies()).toEqual([]);
    expect(await propose('view')).toBe('allow');
    expect(await propose('unlock')).toBe('deny');
    expect(await world.stored(TOPICS.deadLetters.name)).toBe(0);
  });
});
