import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import kafkajs, { type Producer } from 'kafkajs';
import { v7 as uuidv7 } from 'uuid';
import { KafkaBus, type ReceivedMessage } from '#bus';
import { EVENTS, readEvent, TOPICS, writeEvent } from '#contracts';
import { eventually, readDeadLetters, requireKafka } from '#testing';

const AGENT = 'cost-monitor';
/** What librdkafka puts into one record batch unless told otherwise, bytes. */
const LIBRDKAFKA_BATCH_BYTES = 1_000_000;

function intentOf(parameters: Record<string, string>): { key: string; value: string; headers: Record<string, string> } {
  const intentId = uuidv7();
  const action = { type: 'read_costs', target: 'reporting', parameters };
  const data = { intentId, agentId: AGENT, action };
  const event = writeEvent(EVENTS.intent, { id: intentId, source: `/agents/${AGENT}`, subject: AGENT, data });
  return { key: AGENT, ...event };
}

describe.each([TOPICS.agentActions, TOPICS.agentOutcomes, TOPICS.permissionRequests])(
  'promise 12: $name takes what ordinary clients send at once',
  (declared) => {
    const suffix = randomUUID();
    const topic = { ...declared, name: `${declared.name}.${suffix}` };
    const dead = { ...TOPICS.deadLetters, name: `dead.${suffix}` };
    let bus: KafkaBus;
    let producer: Producer;

    beforeAll(async () => {
      bus = new KafkaBus({ brokers: requireKafka(), deadLetterTopic: dead.name });
      await bus.ensureTopics([topic, dead]);
      const stranger = new kafkajs.Kafka({ brokers: [...requireKafka()], logLevel: kafkajs.logLevel.NOTHING });
      producer = stranger.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
      await producer.connect();
    });

    afterAll(async () => {
      await producer.disconnect();
      await bus.close();
    });

    it('a record batch of a million bytes is taken, and read whole, though it is more than one read asks for', async () => {
      const [small] = [intentOf({ month: '2026-10' })];
      const count = Math.floor(LIBRDKAFKA_BATCH_BYTES / (small.value.length + 100));
      const messages = Array.from({ length: count }, () => intentOf({ month: '2026-10' }));
      // every other partition has something to read as well
      const others = Array.from({ length: topic.partitions * 3 }, (_, n) => ({ value: 'x', partition: n % 12 }));
      await producer.send({ topic: topic.name, messages: others });
      const [sent] = await producer.send({ topic: topic.name, messages });
      expect(sent?.errorCode).toBe(0);
      const read: ReceivedMessage[] = [];
      const consumption = await bus.consume({ group: `group.${suffix}`, topics: [topic.name] }, (batch) => {
        read.push(...batch.messages.filter(({ key }) => key !== null));
        return Promise.resolve({ publish: [], unreadable: [] });
      });
      await eventually(() => read.length >= count);
      await consumption.stop();
      expect(read.every((message) => readEvent(EVENTS.intent, message).ok)).toBe(true);
      expect(read.map(({ value }) => String(value))).toEqual(messages.map(({ value }) => value));
    });

    it('one message beyond the limit of messages is a dead letter, whole, and those of the same batch are read', async () => {
      const large = intentOf({ blob: 'x'.repeat(900_000) });
      const [before, after] = [intentOf({}), intentOf({})];
      await producer.send({ topic: topic.name, messages: [before, large, after] });
      const read: string[] = [];
      const consumption = await bus.consume({ group: `group.limit.${suffix}`, topics: [topic.name] }, (batch) => {
        const readings = batch.messages.map((message) => ({ message, reading: readEvent(EVENTS.intent, message) }));
        read.push(...readings.flatMap(({ message, reading }) => (reading.ok ? [String(message.value)] : [])));
        return Promise.resolve({
          publish: [],
          unreadable: readings.flatMap(({ message, reading }) =>
            reading.ok || reading.code !== 'REMIT_EVENT_TOO_LARGE' ? [] : [{ message, ...reading }],
          ),
        });
      });
      await eventually(() => read.includes(after.value));
      await consumption.stop();
      expect(read).toContain(before.value);
      expect(read).not.toContain(large.value);
      const [letter] = await readDeadLetters(bus, dead.name);
      expect(letter?.code).toBe('REMIT_EVENT_TOO_LARGE');
      expect(letter?.reason).toContain('may take 65536');
      expect(Buffer.from(letter?.value ?? '', 'base64').toString()).toBe(large.value);
    });
  },
);
