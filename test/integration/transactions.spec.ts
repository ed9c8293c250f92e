import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import kafkajs, { type Producer } from 'kafkajs';
import { AsOfView, KafkaBus, type ReceivedMessage } from '#bus';
import { TOPICS } from '#contracts';
import { MemoryHistory } from '#record';
import { eventually, readTopic } from '#testing';
import { GapWatch } from '../../apps/audit/gap-watch.js';
import { startOwnBroker, type OwnBroker } from './own-broker.js';

/** How an agent may end a transaction: what it has written is on the log either way. */
const ENDS = ['commit', 'abort'] as const;

describe('an agent that uses transactions', () => {
  const topic = TOPICS.agentActions.name;
  let broker: OwnBroker;
  let bus: KafkaBus;
  let producer: Producer;

  beforeAll(async () => {
    broker = await startOwnBroker();
    bus = new KafkaBus({ brokers: [broker.address], topics: Object.values(TOPICS) });
    await bus.ensureTopics(Object.values(TOPICS));
    const stranger = new kafkajs.Kafka({
      brokers: [broker.address],
      logLevel: kafkajs.logLevel.NOTHING,
      // the first transaction of a broker waits for a topic that it has yet to make
      retry: { initialRetryTime: 100, maxRetryTime: 2000, retries: 60 },
    });
    producer = stranger.producer({ transactionalId: 'agent', idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
  });

  afterAll(async () => {
    await producer.disconnect();
    await bus.close();
    await broker.remove();
  });

  async function transaction(end: (typeof ENDS)[number], partition: number, values: readonly string[]): Promise<void> {
    const open = await producer.transaction();
    await open.send({ topic, messages: values.map((value) => ({ key: 'a', value, partition })) });
    await open[end]();
  }

  const endOf = async (partition: number): Promise<number> => (await bus.ends([topic])).get(topic)?.[partition] ?? 0;

  it.each(ENDS)(
    '%s: every reader gets what it wrote, and stands at the end when the marker is the last thing',
    async (end) => {
      const partition = ENDS.indexOf(end);
      const read: ReceivedMessage[] = [];
      const consumption = await bus.consume({ group: `g.${end}`, topics: [topic] }, (batch) => {
        if (batch.partition === partition) read.push(...batch.messages);
        return Promise.resolve({ publish: [], unreadable: [] });
      });
      const view = new AsOfView<number>(bus, TOPICS.agentActions, (count = 0) => count + 1);
      await view.start();
      await transaction(end, partition, ['1', '2']);
      // its marker comes in an answer of its own, or in that of the messages before it
      await eventually(async () => (await endOf(partition)) === 3);
      await eventually(() => read.length === 2);
      expect(await view.waitUntil([...Array.from({ length: partition }, () => 0), 3], 60_000)).toBe(true);
      await eventually(() => consumption.positions().get(topic)?.get(partition) === 3);
      await consumption.stop();
      await view.stop();
      expect(await bus.firstBetween(topic, partition, 2, 3)).toBeUndefined();
      expect(await bus.firstBetween(topic, partition, 0, 3)).toBe(0);
      expect(await bus.firstBetween(topic, partition, 1, 3)).toBe(1);
      expect(await bus.readAt(topic, partition, 2)).toBeUndefined();
    },
  );

  it('does not leave the watch for discrepancies blind: an audit log with every message is complete', async () => {
    const history = new MemoryHistory();
    const watch = new GapWatch(bus, history, { now: Date.now, catchUpMs: 500 });
    await transaction('commit', 4, ['1']);
    expect(await watch.look()).toBe('behind');
    for (const { name } of [TOPICS.agentActions, TOPICS.agentDecisions, TOPICS.agentOutcomes]) {
      await history.append(await readTopic(bus, name));
    }
    expect(await watch.look()).toBe('whole');
    await transaction('abort', 4, ['2']);
    expect(await watch.look()).toBe('behind');
    await history.append(await readTopic(bus, topic));
    expect(await watch.look()).toBe('whole');
  });
});
