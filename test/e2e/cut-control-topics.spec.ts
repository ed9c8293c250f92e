import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RemitAgent } from '#agent';
import { partitionOf } from '#bus';
import { TOPICS } from '#contracts';
import { eventually, untilReady, type RunningApp } from '#testing';
import { createOwnDatabase } from '../integration/own-database.js';
import { RestoredWorld } from './restored-world.js';

const partition = partitionOf('clerk', TOPICS.permissionEvents.partitions);

describe('promise 3: a control topic whose start was cut after everybody had read it', () => {
  let world: RestoredWorld;
  let clerk: RemitAgent;

  const propose = () => clerk.propose({ type: 'view', target: 'accounts' });

  async function cutToTheEnd(topic: string, which: number): Promise<number> {
    const offsets = await world.admin.fetchTopicOffsets(topic);
    const end = Number(offsets.find(({ partition: one }) => one === which)?.high);
    await world.cut(topic, which, end);
    return end;
  }

  beforeAll(async () => {
    world = await RestoredWorld.open(createOwnDatabase);
    await world.begin();
    clerk = await world.agent();
    expect((await propose()).outcome).toBe('allow');
  });

  afterAll(async () => {
    await clerk.close();
    await world.close();
  });

  it('holds all judging: what is missing was a suspension, and is in force again once a person has acknowledged it', async () => {
    await world.did('sam', 'agent', 'suspend', 'clerk', '--reason', 'odd');
    expect((await propose()).outcome).toBe('deny');
    const judged = 2;
    await eventually(async () => (await world.stored(TOPICS.agentDecisions.name)) === judged);
    await eventually(async () => (await world.stored(TOPICS.permissionEvents.name)) === 1);
    await world.stop();
    const end = await cutToTheEnd(TOPICS.permissionEvents.name, partition);
    await world.start('answers');
    expect(
      (await world.discrepancies()).map(({ kind, topic, reader, from, to }) => [kind, topic, reader, from, to]),
    ).toEqual([['log-cut', TOPICS.permissionEvents.name, 'views', 0, end]]);
    expect((await world.missing())['log']).toContain('views are built from them');
    const outcome = propose();
    await eventually(async () => (await world.stored(TOPICS.agentActions.name)) === judged + 1);
    expect(await world.stored(TOPICS.agentDecisions.name)).toBe(judged);
    await world.acknowledgeAll('retention was set by mistake');
    // the suspension lies behind the intent now: what was in force at its moment is not known
    expect((await outcome).because[0]).toContain('not-kept');
    await untilReady([world.app as RunningApp]);
    expect((await propose()).because[0]).toContain('suspended');
    await world.did('sam', 'agent', 'reinstate', 'clerk', '--reason', 'cleared');
    expect((await propose()).outcome).toBe('allow');
  });

  it('is acknowledged once: the next start finds what was published again', async () => {
    await world.stop();
    await world.start();
    expect(await world.discrepancies()).toEqual([]);
    expect((await propose()).outcome).toBe('allow');
  });

  it('holds all judging without a charter, until it is activated again and a person has acknowledged it', async () => {
    await world.stop();
    const end = await cutToTheEnd(TOPICS.charterEvents.name, 0);
    await world.start('answers');
    expect(
      (await world.discrepancies()).map(({ kind, topic, reader, from, to }) => [kind, topic, reader, from, to]),
    ).toEqual([['log-cut', TOPICS.charterEvents.name, 'views', 0, end]]);
    await world.did('gwen', 'charter', 'activate', join(world.folder, 'charter.yaml'));
    const outcome = propose();
    await world.acknowledgeAll('retention was set by mistake');
    expect((await outcome).because[0]).toContain('not-kept');
    await untilReady([world.app as RunningApp]);
    expect((await propose()).outcome).toBe('allow');
  });
});
