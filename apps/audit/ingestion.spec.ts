import { describe, expect, it } from '@jest/globals';
import { BusError, type Batch } from '#bus';
import { TOPICS } from '#contracts';
import { ingest } from './ingestion.js';

function batchWith(heartbeat: () => Promise<void>): Batch {
  return { topic: TOPICS.agentActions.name, partition: 0, messages: [], readFrom: 0, heartbeat };
}

/** A database that has not stored anything before `told` resolves. */
const storingAfter = (told: Promise<void>) => ({ append: () => told.then(() => 0) });

describe('a batch that takes long to store', () => {
  it('keeps its partition: the member gives signs of life while the database works', async () => {
    let beats = 0;
    let goOn = (): void => undefined;
    const told = new Promise<void>((resolve) => (goOn = resolve));
    const batch = batchWith(() => {
      beats += 1;
      if (beats === 2) goOn();
      return Promise.resolve();
    });
    await ingest(storingAfter(told), batch, undefined, undefined, 5);
    expect(beats).toBeGreaterThanOrEqual(2);
  });

  it('is given up when the partition has gone to another member, once the database has answered', async () => {
    const lost = new BusError('REMIT_BUS_PARTITION_LOST', 'the partition goes to another member');
    let goOn = (): void => undefined;
    const told = new Promise<void>((resolve) => (goOn = resolve));
    const batch = batchWith(() => {
      goOn();
      return Promise.reject(lost);
    });
    await expect(ingest(storingAfter(told), batch, undefined, undefined, 5)).rejects.toBe(lost);
  });
});
