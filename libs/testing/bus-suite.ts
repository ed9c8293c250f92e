import type * as Jest from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  partitionOf,
  type Batch,
  type BatchReport,
  type BatchResult,
  type Bus,
  type ConsumptionWatch,
  type ReceivedMessage,
} from '#bus';
import { EVENTS, readEvent, type TopicDeclaration } from '#contracts';
import type { DeadLetter } from '#domain';

/** A process with a bus of its own. */
export interface BusProcess {
  readonly bus: Bus;
  /** The process dies here: what it does afterwards reaches nobody. */
  crash(): void;
}

/** Brokers, and processes that share them. */
export interface BusWorld {
  /** A new process; it closes with the world. */
  connect(options: { readonly deadLetterTopic: string; readonly watch?: ConsumptionWatch }): BusProcess;
  close(): Promise<void>;
}

/** Topics of one spec: `in` and `out` with four partitions, `dead` with one. */
export type SuiteTopics = Readonly<Record<'in' | 'out' | 'dead', TopicDeclaration>>;

const KIB = 1024;

/** Declarations under names that nobody else uses. */
export function suiteTopics(suffix: string): SuiteTopics {
  const declare = (name: string, partitions: number, maxMessageBytes: number): TopicDeclaration => ({
    name: `${name}.${suffix}`,
    partitions,
    maxMessageBytes,
    maxBatchBytes: maxMessageBytes + 4 * KIB,
    retentionMs: null,
    compacted: false,
    keyedBy: 'agent id',
    writer: 'agents',
    controls: false,
    signed: false,
    carries: 'test messages',
  });
  return {
    in: declare('suite.in', 4, 64 * KIB),
    out: declare('suite.out', 4, 64 * KIB),
    dead: declare('suite.dead', 1, KIB * KIB),
  };
}

/** Waits until something holds. The test's own time limit ends it. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10);
}

/** Everything on a topic now, in partition order. */
export async function readTopic(bus: Bus, topic: string): Promise<ReceivedMessage[]> {
  const ends = (await bus.ends([topic])).get(topic) ?? [];
  const partitions = ends.map((): ReceivedMessage[] => []);
  const positions = ends.map(() => 0);
  const following = await bus.follow({ topics: [topic], from: 'start' }, (messages, { partition, nextOffset }) => {
    partitions[partition]?.push(...messages);
    positions[partition] = nextOffset;
  });
  await eventually(() => ends.every((end, partition) => (positions[partition] ?? 0) >= end));
  await following.stop();
  return partitions.flat();
}

/** What the dead letters on a topic say. */
export async function readDeadLetters(bus: Bus, topic: string): Promise<DeadLetter[]> {
  return (await readTopic(bus, topic)).map((message) => {
    const reading = readEvent(EVENTS.deadLetter, message);
    if (!reading.ok) throw new Error(`the dead letter cannot be read: ${reading.reason}`);
    return reading.event.data;
  });
}

export function textOf(message: ReceivedMessage): string {
  return message.value?.toString('utf8') ?? '';
}

const NOTHING: BatchResult = { publish: [], unreadable: [] };

/** Behaviour of every bus. Run it inside a spec, with Jest's globals in place. */
export function describeBus(name: string, makeWorld: () => Promise<BusWorld>): void {
  const { describe, it, expect, beforeEach, afterEach } = globalThis as unknown as typeof Jest;

  describe(`promise 2: ${name} loses nothing`, () => {
    let world: BusWorld;
    let topics: SuiteTopics;
    let first: BusProcess;
    let bus: Bus;
    const group = (): string => `group.${topics.in.name}`;

    beforeEach(async () => {
      world = await makeWorld();
      topics = suiteTopics(randomUUID());
      first = world.connect({ deadLetterTopic: topics.dead.name });
      bus = first.bus;
      await bus.ensureTopics(Object.values(topics));
    });

    afterEach(async () => {
      await world.close();
    });

    function another(): BusProcess {
      return world.connect({ deadLetterTopic: topics.dead.name });
    }

    async function publishNumbered(keys: readonly string[], count: number, from = 0): Promise<void> {
      const messages = Array.from({ length: count }, (_, index) => ({
        topic: topics.in.name,
        key: keys[index % keys.length] ?? null,
        value: String(from + index),
      }));
      await bus.publish(messages);
    }

    function echo(batch: Batch): BatchResult {
      const publish = batch.messages.map((source) => ({
        topic: topics.out.name,
        key: source.key,
        value: source.value,
        source,
      }));
      return { publish, unreadable: [] };
    }

    async function echoed(count: number): Promise<void> {
      await eventually(async () => {
        const ends = (await bus.ends([topics.out.name])).get(topics.out.name) ?? [];
        return ends.reduce((sum, end) => sum + end, 0) >= count;
      });
    }

    it('messages of one agent stay in order on the way through a service', async () => {
      const agents = ['ledger-1', 'ledger-2', 'cost-monitor', 'marketing', 'é'];
      await bus.consume({ group: group(), topics: [topics.in.name] }, (batch) => Promise.resolve(echo(batch)));
      await Promise.all([publishNumbered(agents, 300), publishNumbered(agents, 300, 300)]);
      await echoed(600);
      const results = await readTopic(bus, topics.out.name);
      for (const agent of agents) {
        const before = (await readTopic(bus, topics.in.name)).filter((message) => message.key?.toString() === agent);
        const after = results.filter((message) => message.key?.toString() === agent);
        // a batch whose commit failed is passed on again
        expect([...new Set(after.map(textOf))]).toEqual(before.map(textOf));
        expect(new Set(after.map(({ partition }) => partition))).toEqual(new Set([partitionOf(agent, 4)]));
      }
    });

    it('a published message is where the receipt says, at the time the receipt says', async () => {
      const receipts = await bus.publish([
        { topic: topics.in.name, key: 'a', value: 'first', headers: { traceparent: '00-1' } },
        { topic: topics.in.name, key: 'a', value: 'second', partition: 3 },
        { topic: topics.in.name, key: 'a', value: null },
      ]);
      const messages = await readTopic(bus, topics.in.name);
      const found = receipts.map((receipt) =>
        messages.find(({ partition, offset }) => partition === receipt.partition && offset === receipt.offset),
      );
      expect(found.map((message) => message?.value?.toString())).toEqual(['first', 'second', undefined]);
      expect(found.map((message) => message?.appendTime)).toEqual(receipts.map(({ appendTime }) => appendTime));
      expect(found[0]?.headers['traceparent']).toEqual(Buffer.from('00-1'));
      expect(receipts.map(({ partition }) => partition)).toEqual([partitionOf('a', 4), 3, partitionOf('a', 4)]);
    });

    it('a service that dies after its result was acknowledged, but before its commit, leaves the message to the next', async () => {
      const dying = another();
      await dying.bus.consume({ group: group(), topics: [topics.in.name] }, async (batch) => {
        const { publish } = echo(batch);
        await dying.bus.publish(publish);
        dying.crash();
        return NOTHING;
      });
      await bus.publish([{ topic: topics.in.name, key: 'a', value: 'once' }]);
      await echoed(1);
      await bus.consume({ group: group(), topics: [topics.in.name] }, (batch) => Promise.resolve(echo(batch)));
      await echoed(2);
      expect((await readTopic(bus, topics.out.name)).map(textOf)).toEqual(['once', 'once']);
    });

    it('a message whose result was never acknowledged is not committed', async () => {
      const dying = another();
      let handled = false;
      await dying.bus.consume({ group: group(), topics: [topics.in.name] }, (batch) => {
        dying.crash();
        handled = true;
        return Promise.resolve(echo(batch));
      });
      await bus.publish([{ topic: topics.in.name, key: 'a', value: 'never lost' }]);
      await eventually(() => handled);
      await bus.consume({ group: group(), topics: [topics.in.name] }, (batch) => Promise.resolve(echo(batch)));
      await echoed(1);
      expect((await readTopic(bus, topics.out.name)).map(textOf)).toEqual(['never lost']);
    });

    it('a service that stops in order leaves nothing to do twice, and time does not go back for the next', async () => {
      const seen: ReceivedMessage[] = [];
      const keep = (batch: Batch): Promise<BatchResult> => {
        seen.push(...batch.messages);
        return Promise.resolve(NOTHING);
      };
      const consumption = await bus.consume({ group: group(), topics: [topics.in.name] }, keep);
      await publishNumbered(['a'], 20);
      await eventually(() => seen.length > 0);
      await consumption.stop();
      expect(consumption.settled()).toBe(false);
      await publishNumbered(['a'], 20);
      await another().bus.consume({ group: group(), topics: [topics.in.name] }, keep);
      await eventually(() => seen.length >= 40);
      expect(seen.map(({ offset }) => offset)).toEqual(Array.from({ length: 40 }, (_, offset) => offset));
      const times = seen.map(({ logTime }) => logTime);
      expect(times).toEqual([...times].sort((one, other) => one - other));
      expect(seen.every(({ logTime, appendTime }) => logTime >= appendTime)).toBe(true);
    });

    it('promise 9: a message nobody can read becomes a dead letter, whole, and the partition moves on', async () => {
      const headers = { traceparent: Buffer.from('00-ab-cd-01'), twice: [Buffer.from([0, 255]), Buffer.from('x')] };
      const poison = Buffer.from([0xff, 0x00, 0xfe]);
      await bus.publish([
        { topic: topics.in.name, key: 'a', value: 'before' },
        { topic: topics.in.name, key: Buffer.from('a'), value: poison, headers },
        { topic: topics.in.name, key: 'a', value: 'after' },
      ]);
      await bus.consume({ group: group(), topics: [topics.in.name] }, (batch) => {
        const { publish } = echo(batch);
        return Promise.resolve({
          publish: publish.filter(({ source }) => source.value?.[0] !== 0xff),
          unreadable: batch.messages
            .filter(({ value }) => value?.[0] === 0xff)
            .map((message) => ({ message, code: 'REMIT_EVENT_NOT_JSON', reason: 'not JSON' })),
        });
      });
      await echoed(2);
      await eventually(async () => (await bus.ends([topics.dead.name])).get(topics.dead.name)?.[0] === 1);
      expect((await readTopic(bus, topics.out.name)).map(textOf)).toEqual(['before', 'after']);
      const [letter] = await readDeadLetters(bus, topics.dead.name);
      expect(letter).toMatchObject({
        code: 'REMIT_EVENT_NOT_JSON',
        topic: topics.in.name,
        partition: partitionOf('a', 4),
        offset: 1,
        key: Buffer.from('a').toString('base64'),
        value: poison.toString('base64'),
        headers: [
          ['traceparent', headers.traceparent.toString('base64')],
          ['twice', Buffer.from([0, 255]).toString('base64')],
          ['twice', Buffer.from('x').toString('base64')],
        ],
      });
      const [onLog] = await readTopic(bus, topics.dead.name);
      expect(onLog?.headers['traceparent']).toEqual(headers.traceparent);
    });

    it('a handler that fails gets the same messages again, and the other partitions go on meanwhile', async () => {
      const failing = partitionOf('a', 4);
      const other = ['b', 'c', 'd', 'e', 'f'].find((key) => partitionOf(key, 4) !== failing) ?? 'b';
      let mayPass = false;
      let failures = 0;
      await bus.consume({ group: group(), topics: [topics.in.name] }, (batch) => {
        if (batch.partition === failing && !mayPass) {
          failures += 1;
          return Promise.reject(new Error('not today'));
        }
        return Promise.resolve(echo(batch));
      });
      await bus.publish([{ topic: topics.in.name, key: 'a', value: 'waits' }]);
      await eventually(() => failures > 1);
      await bus.publish([{ topic: topics.in.name, key: other, value: 'passes' }]);
      await echoed(1);
      expect((await readTopic(bus, topics.out.name)).map(textOf)).toEqual(['passes']);
      mayPass = true;
      await echoed(2);
    });

    it('promise 9: a message that can never be worked off becomes a dead letter, and all others of its batch are, in order', async () => {
      const reports: BatchReport[] = [];
      const watch: ConsumptionWatch = {
        joined: () => undefined,
        worked: (report) => reports.push(report),
        renewed: () => undefined,
      };
      const watched = world.connect({ deadLetterTopic: topics.dead.name, watch });
      await publishNumbered(['a'], 20);
      await watched.bus.consume({ group: group(), topics: [topics.in.name] }, (batch) => {
        const poison = batch.messages.find((message) => ['7', '13'].includes(textOf(message)));
        if (poison === undefined) return Promise.resolve(echo(batch));
        const error = new Error(`${textOf(poison)} does not fit`);
        return Promise.reject(Object.assign(error, { code: 'REMIT_EVENT_STORE_INVALID_EVENT' }));
      });
      await echoed(18);
      const numbers = Array.from({ length: 20 }, (_, number) => String(number));
      expect((await readTopic(bus, topics.out.name)).map(textOf)).toEqual(
        numbers.filter((number) => number !== '7' && number !== '13'),
      );
      await eventually(() => reports.flatMap(({ parked }) => parked).length === 2);
      expect(reports.flatMap(({ parked }) => parked)).toMatchObject([
        { code: 'REMIT_EVENT_STORE_INVALID_EVENT', message: { offset: 7 }, givenUp: true },
        { code: 'REMIT_EVENT_STORE_INVALID_EVENT', message: { offset: 13 }, givenUp: true },
      ]);
      const [letter] = await readDeadLetters(bus, topics.dead.name);
      expect(letter?.reason).toBe(`${group()} cannot work it off, and trying again does not help: 7 does not fit`);
      expect(Buffer.from(letter?.value ?? '', 'base64').toString()).toBe('7');
    });

    it('two replicas share the partitions, and all of them go to the one that stays', async () => {
      const handledBy = new Map<string, string>();
      const consume = (who: Bus, replica: string) =>
        who.consume({ group: group(), topics: [topics.in.name] }, (batch) => {
          for (const message of batch.messages) handledBy.set(textOf(message), replica);
          return Promise.resolve(NOTHING);
        });
      const partitionsOf = (consumption: Awaited<ReturnType<Bus['consume']>>): readonly number[] =>
        consumption.assigned().get(topics.in.name) ?? [];
      const one = await consume(bus, 'one');
      const two = await consume(another().bus, 'two');
      await eventually(() => partitionsOf(one).length === 2 && partitionsOf(two).length === 2);
      expect([...partitionsOf(one), ...partitionsOf(two)].sort()).toEqual([0, 1, 2, 3]);
      for (const partition of [0, 1, 2, 3]) {
        await bus.publish([{ topic: topics.in.name, key: null, value: `to ${partition}`, partition }]);
      }
      await eventually(() => handledBy.size === 4);
      expect([...handledBy.values()].sort()).toEqual(['one', 'one', 'two', 'two']);
      await one.stop();
      await eventually(() => partitionsOf(two).length === 4);
      await publishNumbered(['a', 'b', 'c', 'd', 'e', 'f'], 12);
      await eventually(() => handledBy.size === 16);
      for (let index = 0; index < 12; index += 1) expect(handledBy.get(String(index))).toBe('two');
    });

    it('who watches a group hears what became of every batch, and sees it stand still while a handler is stuck', async () => {
      const reports: BatchReport[] = [];
      const joined: string[] = [];
      const watch: ConsumptionWatch = {
        joined: ({ group: name }) => joined.push(name),
        renewed: () => undefined,
        worked: (report) => reports.push(report),
      };
      const watched = world.connect({ deadLetterTopic: topics.dead.name, watch });
      const stuck = Promise.withResolvers<undefined>();
      let isFirst = true;
      const consumption = await watched.bus.consume({ group: group(), topics: [topics.in.name] }, async (batch) => {
        if (isFirst) {
          isFirst = false;
          throw new Error('not at first');
        }
        if (batch.messages.some((message) => textOf(message) === 'stuck')) await stuck.promise;
        const [message] = batch.messages;
        const unreadable = message && [{ message, code: 'REMIT_EVENT_NOT_JSON', reason: 'no' }];
        return { publish: [], unreadable: unreadable ?? [] };
      });
      const position = () => consumption.positions().get(topics.in.name)?.get(partitionOf('a', 4));
      await bus.publish([{ topic: topics.in.name, key: 'a', value: 'one' }]);
      await eventually(() => position() === 1);
      await bus.publish([{ topic: topics.in.name, key: 'a', value: 'stuck' }]);
      const end = async () => (await bus.ends([topics.in.name])).get(topics.in.name)?.[partitionOf('a', 4)];
      await eventually(async () => (await end()) === 2);
      expect(position()).toBe(1);
      stuck.resolve(undefined);
      await eventually(() => position() === 2);
      await eventually(() => reports.length >= 3);
      expect(joined).toEqual([group()]);
      const heard = reports.map(({ topic, messages, failed, parked }) => {
        return [topic, messages, failed, parked.map(({ code, message: { offset } }) => `${code} ${String(offset)}`)];
      });
      expect(heard).toEqual([
        [topics.in.name, 1, 'REMIT_BUS_HANDLER_FAILED', []],
        [topics.in.name, 1, undefined, ['REMIT_EVENT_NOT_JSON 0']],
        [topics.in.name, 1, undefined, ['REMIT_EVENT_NOT_JSON 1']],
      ]);
      expect(reports.every(({ ms, group: name }) => ms >= 0 && name === group())).toBe(true);
      await consumption.stop();
      const resumed = await another().bus.consume({ group: group(), topics: [topics.in.name] }, (batch) => {
        return Promise.resolve(echo(batch));
      });
      await eventually(() => resumed.positions().get(topics.in.name)?.get(partitionOf('a', 4)) === 2);
    });

    it('a follower from the start sees everything, one from the end only what comes, each once', async () => {
      await publishNumbered(['a', 'b', 'c'], 30);
      const fromStart: string[] = [];
      const fromEnd: string[] = [];
      await bus.follow({ topics: [topics.in.name], from: 'start' }, (messages) =>
        fromStart.push(...messages.map(textOf)),
      );
      await bus.follow({ topics: [topics.in.name], from: 'end' }, (messages) => fromEnd.push(...messages.map(textOf)));
      await bus.publish([{ topic: topics.in.name, key: 'a', value: 'new' }]);
      await eventually(() => fromStart.length >= 31 && fromEnd.length >= 1);
      expect(fromStart.sort()).toEqual([...Array.from({ length: 30 }, (_, index) => String(index)), 'new'].sort());
      expect(fromEnd).toEqual(['new']);
    });

    it('a follower of some partitions sees no other', async () => {
      const wanted = partitionOf('a', 4);
      const seen: ReceivedMessage[] = [];
      await bus.follow({ topics: [topics.in.name], from: 'end', partitions: [wanted] }, (messages) =>
        seen.push(...messages),
      );
      for (const partition of [0, 1, 2, 3]) {
        await bus.publish([{ topic: topics.in.name, key: null, value: `to ${partition}`, partition }]);
      }
      await bus.publish([{ topic: topics.in.name, key: 'a', value: 'last' }]);
      await eventually(() => seen.some((message) => textOf(message) === 'last'));
      expect(seen.map(textOf)).toEqual([`to ${wanted}`, 'last']);
    });

    it('a follower that fails gets the same messages again', async () => {
      let attempts = 0;
      const seen: string[] = [];
      await bus.follow({ topics: [topics.in.name], from: 'start' }, (messages) => {
        if (messages.length === 0) return;
        attempts += 1;
        if (attempts === 1) throw new Error('not today');
        seen.push(...messages.map(textOf));
      });
      await bus.publish([{ topic: topics.in.name, key: 'a', value: 'again' }]);
      await eventually(() => seen.length > 0);
      expect([attempts, seen]).toEqual([2, ['again']]);
    });

    it('the ends of a log include everything that has been acknowledged', async () => {
      expect((await bus.ends([topics.in.name, topics.dead.name])).get(topics.in.name)).toEqual([0, 0, 0, 0]);
      const receipts = await bus.publish([
        { topic: topics.in.name, key: null, value: 'x', partition: 2 },
        { topic: topics.in.name, key: null, value: 'y', partition: 2 },
      ]);
      const [one, other] = await Promise.all([bus.ends([topics.in.name]), bus.ends([topics.in.name])]);
      expect(one.get(topics.in.name)).toEqual([0, 0, (receipts[1]?.offset ?? 0) + 1, 0]);
      expect(other).toEqual(one);
    });

    it('a message is read back, whole, from the position its receipt says, and nothing where nothing lies', async () => {
      await publishNumbered(['a', 'b', 'c', 'd', 'e'], 10);
      const [receipt] = await bus.publish([{ topic: topics.in.name, key: 'b', value: 'the one', headers: { h: 'x' } }]);
      if (receipt === undefined) throw new Error('no receipt');
      const { topic, partition, offset, appendTime } = receipt;
      const message = await bus.readAt(topic, partition, offset);
      expect(message).toMatchObject({ topic, partition, offset, appendTime, logTime: appendTime });
      expect([String(message?.key), String(message?.value), String(message?.headers['h'])]).toEqual([
        'b',
        'the one',
        'x',
      ]);
      expect(await bus.readAt(topic, partition, offset + 1)).toBeUndefined();
    });

    it('a message larger than its topic allows is refused before anything is sent', async () => {
      const tooLarge = bus.publish([
        { topic: topics.in.name, key: 'a', value: 'small' },
        { topic: topics.in.name, key: 'a', value: 'x'.repeat(80 * KIB) },
      ]);
      await expect(tooLarge).rejects.toMatchObject({ code: 'REMIT_BUS_MESSAGE_TOO_LARGE' });
      expect(await readTopic(bus, topics.in.name)).toEqual([]);
      await bus.publish([{ topic: topics.in.name, key: 'a', value: 'x'.repeat(64 * KIB) }]);
    });

    it('promise 9: a result larger than its topic allows makes a dead letter of its source, not an endless loop', async () => {
      const source = 'x'.repeat(60 * KIB);
      await bus.publish([
        { topic: topics.in.name, key: 'a', value: source },
        { topic: topics.in.name, key: 'a', value: 'small' },
      ]);
      await bus.consume({ group: group(), topics: [topics.in.name] }, (batch) => {
        const { publish } = echo(batch);
        const grown = publish.map((message) => ({
          ...message,
          value: `${message.value?.toString()}${'v'.repeat(10 * KIB)}`,
        }));
        return Promise.resolve({ publish: grown, unreadable: [] });
      });
      await eventually(async () => (await bus.ends([topics.dead.name])).get(topics.dead.name)?.[0] === 1);
      await echoed(1);
      const [letter] = await readDeadLetters(bus, topics.dead.name);
      expect(letter?.code).toBe('REMIT_BUS_MESSAGE_TOO_LARGE');
      expect(Buffer.from(letter?.value ?? '', 'base64').toString()).toBe(source);
      expect((await readTopic(bus, topics.out.name)).map((message) => textOf(message).slice(0, 5))).toEqual(['small']);
    });

    it('results of one batch that are more than one send may be are split, in order', async () => {
      const part = 'x'.repeat(15 * KIB);
      await bus.publish([{ topic: topics.in.name, key: 'a', value: 'one' }]);
      await bus.consume({ group: group(), topics: [topics.in.name] }, (batch) => {
        const publish = batch.messages.flatMap((source) =>
          Array.from({ length: 40 }, (_, index) => ({
            topic: topics.out.name,
            key: source.key,
            value: `${index} ${part}`,
            source,
          })),
        );
        return Promise.resolve({ publish, unreadable: [] });
      });
      await echoed(40);
      const numbers = (await readTopic(bus, topics.out.name)).map((message) => Number.parseInt(textOf(message), 10));
      expect(numbers).toEqual(Array.from({ length: 40 }, (_, index) => index));
    });

    it('an existing topic with other settings is refused with every difference', async () => {
      const other = { ...topics.in, maxBatchBytes: 128 * KIB };
      const refused = bus.ensureTopics([{ ...topics.out, compacted: true }, other]);
      await expect(refused).rejects.toMatchObject({ code: 'REMIT_BUS_TOPIC_DIFFERS' });
      await expect(refused).rejects.toThrow(topics.in.name);
      await expect(refused).rejects.toThrow(topics.out.name);
    });

    it('a topic that does not exist is named', async () => {
      const missing = `missing.${topics.in.name}`;
      const publishing = bus.publish([{ topic: missing, key: 'a', value: 'x' }]);
      await expect(publishing).rejects.toMatchObject({ code: 'REMIT_BUS_TOPIC_MISSING' });
      await expect(publishing).rejects.toThrow(missing);
      const consuming = bus.consume({ group: group(), topics: [missing] }, () => Promise.resolve(NOTHING));
      await expect(consuming).rejects.toMatchObject({ code: 'REMIT_BUS_TOPIC_MISSING' });
      await expect(bus.ends([missing])).rejects.toMatchObject({ code: 'REMIT_BUS_TOPIC_MISSING' });
      await expect(bus.follow({ topics: [missing], from: 'end' }, () => undefined)).rejects.toMatchObject({
        code: 'REMIT_BUS_TOPIC_MISSING',
      });
    });

    it('a closed bus says so', async () => {
      await bus.close();
      await expect(bus.publish([{ topic: topics.in.name, key: 'a', value: 'x' }])).rejects.toMatchObject({
        code: 'REMIT_BUS_CLOSED',
      });
      await expect(bus.ends([topics.in.name])).rejects.toMatchObject({ code: 'REMIT_BUS_CLOSED' });
    });
  });
}
