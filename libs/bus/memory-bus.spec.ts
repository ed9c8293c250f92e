import { describe, expect, it } from '@jest/globals';
import { describeBus, eventually, suiteTopics, type BusProcess, type BusWorld } from '#testing';
import type { ReceivedMessage } from './bus.js';
import { MemoryBus, MemoryLog } from './memory-bus.js';

describeBus('MemoryBus', () => {
  let now = 1_700_000_000_000;
  const log = new MemoryLog(() => (now += 1));
  const buses: MemoryBus[] = [];
  const world: BusWorld = {
    connect(options): BusProcess {
      const bus = new MemoryBus(log, options);
      buses.push(bus);
      return { bus, crash: () => bus.crash() };
    },
    async close() {
      await Promise.all(buses.map((bus) => bus.close()));
    },
  };
  return Promise.resolve(world);
});

describe('promise 4: time on the log', () => {
  it('does not go back when the broker’s clock does, not even after a restart', async () => {
    const times = [1000, 5000, 2000, 3000, 6000];
    const log = new MemoryLog(() => times.shift() ?? 0);
    const topics = suiteTopics('clock');
    const bus = new MemoryBus(log, { deadLetterTopic: topics.dead.name });
    await bus.ensureTopics(Object.values(topics));
    const seen: ReceivedMessage[] = [];
    const consume = () =>
      bus.consume({ group: 'g', topics: [topics.in.name] }, (batch) => {
        seen.push(...batch.messages);
        return Promise.resolve({ publish: [], unreadable: [] });
      });
    const publish = (value: string) => bus.publish([{ topic: topics.in.name, key: 'a', value }]);
    await publish('1');
    await publish('2');
    const consumption = await consume();
    await eventually(() => seen.length === 2);
    await consumption.stop();
    await publish('3');
    await publish('4');
    await publish('5');
    await consume();
    await eventually(() => seen.length === 5);
    expect(seen.map(({ appendTime }) => appendTime)).toEqual([1000, 5000, 2000, 3000, 6000]);
    expect(seen.map(({ logTime }) => logTime)).toEqual([1000, 5000, 5000, 5000, 6000]);
    await bus.close();
  });
});
