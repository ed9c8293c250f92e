import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { suiteTopics } from '#testing';
import { AsOfView } from './as-of-view.js';
import { MemoryBus, MemoryLog } from './memory-bus.js';
import { partitionOf } from './partition-of.js';

const topics = suiteTopics('as-of-view');
const topic = topics.in;

describe('promise 4: a view answers as of', () => {
  let now: number;
  let bus: MemoryBus;
  let view: AsOfView<string>;

  beforeEach(async () => {
    now = 1000;
    bus = new MemoryBus(new MemoryLog(() => now));
    await bus.ensureTopics([topic]);
    view = new AsOfView(bus, topic, (state = '', message) => {
      const text = message.value?.toString() ?? '';
      return text === 'forget' ? undefined : state + text;
    });
    await view.start();
  });

  afterEach(async () => {
    await bus.close();
  });

  async function happens(at: number, key: string, event: string): Promise<number> {
    now = at;
    const [receipt] = await bus.publish([{ topic: topic.name, key, value: event }]);
    return receipt?.offset ?? -1;
  }

  async function caughtUp(): Promise<boolean> {
    return view.waitUntil((await bus.ends([topic.name])).get(topic.name) ?? [], 60_000);
  }

  it('the state as of a time is made by the events of earlier milliseconds only', async () => {
    await happens(1000, 'ledger', 'a');
    await happens(2000, 'ledger', 'b');
    await happens(2000, 'ledger', 'c');
    await happens(3000, 'ledger', 'd');
    expect(await caughtUp()).toBe(true);
    expect(view.asOf('ledger', 1000)).toEqual({ position: 0, state: undefined });
    expect(view.asOf('ledger', 1001)).toEqual({ position: 1, state: 'a' });
    expect(view.asOf('ledger', 2000)).toEqual({ position: 1, state: 'a' });
    expect(view.asOf('ledger', 2001)).toEqual({ position: 3, state: 'abc' });
    expect(view.asOf('ledger', 3000)).toEqual({ position: 3, state: 'abc' });
    expect(view.asOf('ledger', Infinity)).toEqual({ position: 4, state: 'abcd' });
    expect(view.latest('ledger')).toBe('abcd');
    expect([...view.keys()]).toEqual(['ledger']);
  });

  it('the same question has the same answer after more events have come', async () => {
    await happens(1000, 'ledger', 'a');
    await caughtUp();
    const before = view.asOf('ledger', 1500);
    await happens(1500, 'ledger', 'b');
    await happens(1600, 'ledger', 'c');
    await caughtUp();
    expect(view.asOf('ledger', 1500)).toEqual(before);
  });

  it('a stamped position gives the state that the stamp was made with', async () => {
    await happens(1000, 'ledger', 'a');
    await happens(2000, 'ledger', 'b');
    await happens(3000, 'ledger', 'c');
    await caughtUp();
    for (const time of [500, 1000, 1001, 2500, 9000]) {
      const { position, state } = view.asOf('ledger', time);
      expect(view.at('ledger', position)).toBe(state);
    }
    expect([0, 1, 2, 3, 4].map((position) => view.at('ledger', position))).toEqual([
      undefined,
      'a',
      'ab',
      'abc',
      'abc',
    ]);
  });

  it('events of other agents in the same partition move the position, not the state', async () => {
    const neighbour = Array.from({ length: 50 }, (_, index) => `agent-${index}`).find(
      (key) => partitionOf(key, topic.partitions) === partitionOf('ledger', topic.partitions),
    );
    await happens(1000, 'ledger', 'a');
    await happens(2000, neighbour ?? '', 'x');
    await caughtUp();
    expect(view.asOf('ledger', 3000)).toEqual({ position: 2, state: 'a' });
    expect(view.asOf(neighbour ?? '', 3000)).toEqual({ position: 2, state: 'x' });
    expect(view.asOf(neighbour ?? '', 2000)).toEqual({ position: 1, state: undefined });
  });

  it('a clock that goes back does not reorder events', async () => {
    await happens(5000, 'ledger', 'a');
    await happens(1000, 'ledger', 'b');
    await happens(6000, 'ledger', 'c');
    await caughtUp();
    expect(view.asOf('ledger', 5000)).toEqual({ position: 0, state: undefined });
    expect(view.asOf('ledger', 5001)).toEqual({ position: 2, state: 'ab' });
  });

  it('a key can be forgotten and come back', async () => {
    await happens(1000, 'ledger', 'a');
    await happens(2000, 'ledger', 'forget');
    await happens(3000, 'ledger', 'b');
    await caughtUp();
    expect([1, 2, 3].map((position) => view.at('ledger', position))).toEqual(['a', undefined, 'b']);
  });

  it('an event in a foreign partition has no effect', async () => {
    const foreign = (partitionOf('ledger', topic.partitions) + 1) % topic.partitions;
    await bus.publish([{ topic: topic.name, key: 'ledger', value: 'smuggled', partition: foreign }]);
    await bus.publish([{ topic: topic.name, key: null, value: 'keyless' }]);
    await caughtUp();
    expect(view.latest('ledger')).toBeUndefined();
    expect(view.asOf('ledger', Infinity).state).toBeUndefined();
  });

  it('waiting ends as soon as the view has read so far, and is bounded', async () => {
    const partition = partitionOf('ledger', topic.partitions);
    const ends = new Array<number>(topic.partitions).fill(0);
    expect(await view.waitUntil(ends, 0)).toBe(true);
    ends[partition] = 1;
    expect(view.reached(partition, 1)).toBe(false);
    expect(await view.waitUntil(ends, 0)).toBe(false);
    expect(await view.waitUntil(ends, 20)).toBe(false);
    const waiting = view.waitUntil(ends, 60_000);
    await happens(1000, 'ledger', 'a');
    expect(await waiting).toBe(true);
    expect(view.reached(partition, 1)).toBe(true);
  });

  it('a view that is stopped keeps nobody waiting', async () => {
    const waiting = view.waitUntil([1, 1, 1, 1], 60_000);
    await view.stop();
    expect(await waiting).toBe(false);
  });

  it('an event that cannot be folded is not skipped: the view stays behind until it can', async () => {
    let mayFold = false;
    const picky = new AsOfView<string>(bus, topic, (state = '', message) => {
      if (message.value?.toString() === 'b' && !mayFold) throw new Error('not today');
      return state + message.value?.toString();
    });
    await bus.publish(['a', 'b', 'c'].map((value) => ({ topic: topic.name, key: 'ledger', value })));
    await picky.start();
    const ends = (await bus.ends([topic.name])).get(topic.name) ?? [];
    expect(await picky.waitUntil(ends, 100)).toBe(false);
    mayFold = true;
    expect(await picky.waitUntil(ends, 60_000)).toBe(true);
    expect(picky.latest('ledger')).toBe('abc');
  });
});
