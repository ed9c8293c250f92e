import { describe, expect, it } from '@jest/globals';
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
      expect(await answersAsKafka(port)).toBe(true);
      expect(await answersAsKafka(port, one.clusterId)).toBe(true);
      expect(await answersAsKafka(port, other.clusterId)).toBe(false);
    } finally {
      await Promise.all([one.remove(), other.remove()]);
    }
  });
});
