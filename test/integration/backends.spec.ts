import { describe, expect, it } from '@jest/globals';
import { eventually } from '#testing';
import { startOwnBroker } from './own-broker.js';

const { answersAsKafka } = (await import(new URL('../../tools/backends/kafka.mjs', import.meta.url).href)) as {
  readonly answersAsKafka: (port: number, clusterId?: string) => Promise<boolean>;
};

describe('the start-up of a broker', () => {
  it('waits for the broker that it started, and takes no other one for it', async () => {
    const [one, other] = await Promise.all([startOwnBroker(), startOwnBroker()]);
    try {
      const { port } = one;
      expect(one.address).not.toBe(other.address);
      // one that pauses for a second gives no answer in time
      await eventually(() => answersAsKafka(port));
      await eventually(() => answersAsKafka(port, one.clusterId));
      expect(await answersAsKafka(port, other.clusterId)).toBe(false);
    } finally {
      await Promise.all([one.remove(), other.remove()]);
    }
  });
});
