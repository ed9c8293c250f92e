import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { BusError, type Bus } from '#bus';
import { AuthorityWorld, eventually } from '#testing';
import { startAuthorityTimer } from './authority-timer.js';

const CHARTER = `
charter: timer
stage: enforce
classifications: [public]
systems:
  desk: { classification: public }
agents:
  clerk: { scope: { actions: ['*'], systems: [desk] } }
`;

describe('the sweep that publishes what a crash has left', () => {
  let world: AuthorityWorld;

  beforeEach(async () => {
    world = new AuthorityWorld();
    await world.open(CHARTER);
  });

  afterEach(() => world.close());

  it('says every failure, and publishes once it can', async () => {
    const { store, views, bus } = await world.start({ runtime: false });
    await store.append('clerk', {
      ...{ expectedVersion: 0, commandId: 'suspend', commandDigest: 'a'.repeat(64) },
      events: [
        {
          ...{ event: 'AgentSuspended', agentId: 'clerk', version: 1, commandId: 'suspend', by: 'sam' },
          ...{ at: '2026-11-28T12:00:00.000Z', reason: 'odd' },
        },
      ],
    });
    let refuses = true;
    const publish: Bus['publish'] = (messages) =>
      refuses ? Promise.reject(new BusError('REMIT_BUS_PUBLISH_FAILED', 'no')) : bus.publish(messages);
    const refusing = Object.assign(Object.create(bus) as Bus, { publish });
    let notPublished = 0;
    const errors: unknown[] = [];
    const timer = startAuthorityTimer(
      { bus: refusing, store, views, viewWaitMs: 0 },
      {
        now: () => world.now(),
        onFailure: (error) => errors.push(error),
        onNotPublished: () => (notPublished += 1),
        ...{ everyMs: 5, sweepEveryMs: 5 },
      },
    );
    await eventually(() => notPublished >= 2);
    expect(errors[0]).toMatchObject({ code: 'REMIT_BUS_PUBLISH_FAILED' });
    expect(views.permissions.latest('clerk')).toBeUndefined();
    refuses = false;
    await eventually(() => views.permissions.latest('clerk')?.status === 'suspended');
    const before = notPublished;
    await timer.stop();
    expect(notPublished).toBe(before);
  });
});
