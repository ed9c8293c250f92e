import { describe, expect, it } from '@jest/globals';
import { eventually } from '#testing';
import { Membership } from './membership.js';

/** A member that counts its heartbeats; the coordinator answers with `refusal`, where there is one. */
function member(patienceMs: number, refusal?: string) {
  const counts = { heartbeats: 0 };
  const heartbeat = (): Promise<void> => {
    counts.heartbeats += 1;
    return refusal === undefined
      ? Promise.resolve()
      : Promise.reject(Object.assign(new Error(refusal), { type: refusal }));
  };
  return { counts, membership: new Membership({ heartbeat }, patienceMs, 1) };
}

const LONG_MS = 3_600_000;

describe('promise 12: a batch in hand', () => {
  it('keeps its member in the group although its handler says nothing', async () => {
    const { counts, membership } = member(LONG_MS);
    const work = eventually(() => counts.heartbeats > 3);
    await membership.handling(work);
    expect(counts.heartbeats).toBeGreaterThan(3);
  });

  it('keeps no member in the group whose handler shows no progress', async () => {
    const { counts, membership } = member(0);
    const waiting = member(LONG_MS);
    // the other one has had its heartbeats in the same time
    await membership.handling(waiting.membership.handling(eventually(() => waiting.counts.heartbeats > 3)));
    expect(counts.heartbeats).toBe(0);
  });

  it('is told that its partition has gone to another member, and kafkajs hears why', async () => {
    const { membership } = member(LONG_MS, 'UNKNOWN_MEMBER_ID');
    const batch = membership.batch('topic', 0, [], 0);
    await expect(batch.heartbeat()).rejects.toMatchObject({ code: 'REMIT_BUS_PARTITION_LOST' });
    expect(() => membership.throwIfLost()).toThrow('UNKNOWN_MEMBER_ID');
  });

  it('goes on while the brokers are away', async () => {
    const { membership } = member(LONG_MS, 'NETWORK_EXCEPTION');
    await membership.batch('topic', 0, [], 0).heartbeat();
    expect(() => membership.throwIfLost()).not.toThrow();
  });
});
