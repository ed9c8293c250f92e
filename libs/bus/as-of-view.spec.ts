import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { suiteTopics } from '#testing';
import { AsOfView, type Cut, type StateOfKey } from './as-of-view.js';
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

  it('the keys that are open are listed apart, also those of a cut, and none that is over', async () => {
    const isOpen = (state: string): boolean => !state.endsWith('z');
    const cuts = () => {
      const states = new Map([
        ['kept', { position: 0, state: 'k' }],
        ['over', { position: 0, state: 'kz' }],
      ]);
      return Promise.resolve(
        new Map(
          Array.from({ length: topic.partitions }, (_, one) => [
            one,
            { position: 0, logTime: 0, states: one === 0 ? states : new Map<string, StateOfKey<string>>() },
          ]),
        ),
      );
    };
    view = new AsOfView(bus, topic, (state = '', message) => state + String(message.value), { isOpen, cuts });
    await view.start();
    expect([...view.openKeys()]).toEqual(['kept']);
    await happens(1000, 'ledger', 'a');
    await happens(2000, 'till', 'a');
    await happens(3000, 'ledger', 'z');
    await caughtUp();
    expect([...view.openKeys()]).toEqual(['kept', 'till']);
    await happens(4000, 'ledger', 'b');
    await caughtUp();
    expect([...view.openKeys()].sort()).toEqual(['kept', 'ledger', 'till']);
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
      const { position, state } = view.asOf('ledger', time) ?? { position: -1 };
      expect(view.at('ledger', position)).toMatchObject({ state });
    }
    expect([0, 1, 2, 3, 4].map((position) => view.at('ledger', position)?.state)).toEqual([
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
    expect([1, 2, 3].map((position) => view.at('ledger', position)?.state)).toEqual(['a', undefined, 'b']);
  });

  it('an event in a foreign partition has no effect', async () => {
    const foreign = (partitionOf('ledger', topic.partitions) + 1) % topic.partitions;
    await bus.publish([{ topic: topic.name, key: 'ledger', value: 'smuggled', partition: foreign }]);
    await bus.publish([{ topic: topic.name, key: null, value: 'keyless' }]);
    await caughtUp();
    expect(view.latest('ledger')).toBeUndefined();
    expect(view.asOf('ledger', Infinity)).toMatchObject({ state: undefined });
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

const WINDOW_MS = 1000;
const KEYS = ['ann', 'bob', 'cid', 'dan', 'eve'] as const;

/** What happens to a log and to those who read it. Times may go back, as clocks do. */
const happening = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      what: fc.constant('event' as const),
      key: fc.constantFrom(...KEYS),
      forgets: fc.boolean(),
      later: fc.integer({ min: -200, max: 700 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('cut' as const), agoMs: fc.integer({ min: 0, max: 1500 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant('restart' as const), ahead: fc.subarray([...KEYS]) }),
  },
  { weight: 2, arbitrary: fc.constant({ what: 'quiet' as const, later: 2500 }) },
);

/** A log, one view that keeps everything, and one that forgets, cuts and starts again from its cuts. */
class WindowWorld {
  now = 10_000;
  /** What the clock has shown at most. */
  #newest = 10_000;
  readonly bus = new MemoryBus(new MemoryLog(() => this.now));
  readonly whole = new AsOfView(this.bus, topic, append);
  bounded = this.#view(new Map());
  readonly #cuts = new Map<number, Cut<string>>();
  /** The cut before the last one: what a writer that dies in the middle of its work leaves. */
  readonly #before = new Map<number, Cut<string>>();

  #view(cuts: ReadonlyMap<number, Cut<string>>): AsOfView<string> {
    return new AsOfView(this.bus, topic, append, { windowMs: WINDOW_MS, cuts: () => Promise.resolve(cuts) });
  }

  async open(): Promise<void> {
    await this.bus.ensureTopics([topic]);
    await Promise.all([this.whole.start(), this.bounded.start()]);
  }

  async caughtUp(): Promise<void> {
    const ends = (await this.bus.ends([topic.name])).get(topic.name) ?? [];
    await Promise.all([this.whole.waitUntil(ends, 60_000), this.bounded.waitUntil(ends, 60_000)]);
  }

  /** Never later than the window allows: the cut must be able to answer whatever may still be asked. */
  cut(agoMs: number): void {
    for (let partition = 0; partition < topic.partitions; partition += 1) {
      const cut = this.bounded.cutAt(partition, this.now - WINDOW_MS - agoMs);
      if (cut === undefined) continue;
      const last = this.#cuts.get(partition);
      if (last !== undefined && last.position > cut.position) continue;
      if (last !== undefined) this.#before.set(partition, last);
      this.#cuts.set(partition, cut);
    }
  }

  /** `ahead`: keys whose states are those of the newest cut while the cut itself is the one before it. */
  async restart(ahead: readonly string[]): Promise<void> {
    const cuts = new Map(this.#cuts);
    for (const [partition, before] of ahead.length === 0 ? [] : this.#before) {
      const states = new Map<string, StateOfKey<string>>(before.states);
      for (const key of ahead) {
        const newer = this.#cuts.get(partition)?.states.get(key);
        if (newer !== undefined) states.set(key, newer);
      }
      cuts.set(partition, { ...before, states });
    }
    await this.bounded.stop();
    this.bounded = this.#view(cuts);
    await this.bounded.start();
    await this.caughtUp();
  }

  pass(ms: number): void {
    this.now += ms;
    this.#newest = Math.max(this.#newest, this.now);
  }

  async append(key: string, value: string): Promise<void> {
    await this.bus.publish([{ topic: topic.name, key, value }]);
    await this.caughtUp();
  }

  /** Every question about the window, and about a while before it: answered exactly, or refused where it may be. */
  check(): void {
    const wrong: unknown[] = [];
    for (const key of KEYS) {
      for (let time = this.#newest - 3 * WINDOW_MS; time <= this.#newest + 500; time += 97) {
        const exact = this.whole.asOf(key, time);
        const answer = this.bounded.asOf(key, time);
        const stamped = this.bounded.at(key, exact?.position ?? -1);
        const isAsked = time >= this.#newest - WINDOW_MS;
        for (const one of [answer, stamped]) {
          if (one === undefined ? isAsked : one.state !== exact?.state)
            wrong.push({ key, time, exact, answer, stamped });
        }
        if (answer !== undefined && answer.position !== exact?.position) wrong.push({ key, time, exact, answer });
      }
      if (this.bounded.latest(key) !== this.whole.latest(key)) wrong.push({ key });
    }
    expect(wrong).toEqual([]);
  }
}

function append(state: string | undefined, { value }: { readonly value: Buffer | null }): string | undefined {
  const text = value?.toString() ?? '';
  return text === 'forget' ? undefined : `${state ?? ''}${text}`;
}

describe('a view that keeps a window', () => {
  it('says what one says that has read everything, wherever it began and whatever it has dropped', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { minLength: 5, maxLength: 40 }), async (happenings) => {
        const world = new WindowWorld();
        await world.open();
        let count = 0;
        for (const one of happenings) {
          if (one.what === 'event') {
            world.pass(one.later);
            await world.append(one.key, one.forgets && count % 3 === 0 ? 'forget' : `${(count += 1)} `);
          } else if (one.what === 'cut') world.cut(one.agoMs);
          else if (one.what === 'quiet') world.pass(one.later);
          else await world.restart(one.ahead);
          world.check();
        }
        await world.bus.close();
      }),
      { numRuns: 60 },
    );
  });

  it('does not answer about what it has dropped', async () => {
    const world = new WindowWorld();
    await world.open();
    await world.append('ann', 'a');
    world.now += WINDOW_MS;
    await world.append('ann', 'b');
    expect(world.bounded.asOf('ann', 10_001)).toEqual({ position: 1, state: 'a' });
    world.now += 1;
    await world.append('ann', 'c');
    expect(world.bounded.asOf('ann', 10_000)).toBeUndefined();
    expect(world.bounded.at('ann', 0)).toBeUndefined();
    expect(world.bounded.asOf('ann', 10_001)).toEqual({ position: 1, state: 'a' });
    expect(world.bounded.at('ann', 1)).toMatchObject({ state: 'a' });
    await world.bus.close();
  });

  it('keeps what is alive and what the window holds, however long the log is', async () => {
    const world = new WindowWorld();
    await world.open();
    for (let round = 0; round < 200; round += 1) {
      world.now += 100;
      await world.bus.publish(KEYS.map((key) => ({ topic: topic.name, key, value: 'x' })));
    }
    await world.caughtUp();
    const { read, keys, states, moments } = world.bounded.size();
    expect({ read, keys }).toEqual({ read: 1000, keys: KEYS.length });
    // the ten rounds of the window, the one at its edge, and the one before it
    expect(states).toBeLessThanOrEqual(12 * KEYS.length);
    expect(moments).toBeLessThanOrEqual(12 * KEYS.length);
    await world.bus.close();
  });

  it('reads only what came after its cuts', async () => {
    const world = new WindowWorld();
    await world.open();
    for (let round = 0; round < 200; round += 1) {
      world.now += 100;
      await world.bus.publish(KEYS.map((key) => ({ topic: topic.name, key, value: 'x' })));
    }
    await world.caughtUp();
    world.cut(0);
    await world.restart([]);
    expect(world.bounded.size().read).toBeLessThanOrEqual(11 * KEYS.length);
    expect(world.bounded.latest('ann')).toBe('x'.repeat(200));
    await world.bus.close();
  });
});
