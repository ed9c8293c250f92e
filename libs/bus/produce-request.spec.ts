import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import Encoder from 'kafkajs/src/protocol/encoder.js';
import produce, { type ProduceRequest } from 'kafkajs/src/protocol/requests/produce/index.js';
import stockRequest from 'kafkajs/src/protocol/requests/produce/v3/request.js';
import './kafkajs-repairs.js';

type TopicData = ProduceRequest['topicData'];

const text = fc.string({ unit: 'binary', maxLength: 200 });
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
const field = fc.oneof(text, bytes);
const headers = fc.dictionary(text, fc.oneof(field, fc.array(field, { maxLength: 3 })), { maxKeys: 5 });
const message = fc.record(
  { key: fc.option(field), value: fc.option(field), headers, partition: fc.nat(11) },
  { requiredKeys: ['value'] },
);
const partition = fc.record({
  partition: fc.nat(11),
  firstSequence: fc.nat(),
  messages: fc.array(message, { minLength: 1, maxLength: 100 }),
});
const topicData = fc.array(
  fc.record({ topic: fc.stringMatching(/^[a-z.]{1,20}$/), partitions: fc.array(partition, { maxLength: 3 }) }),
  { maxLength: 3 },
);

const produceOf = (data: TopicData, more: Partial<ProduceRequest> = {}): ProduceRequest => ({
  acks: -1,
  timeout: 30_000,
  producerId: '9007199254740993',
  producerEpoch: 3,
  topicData: data,
  ...more,
});

async function bytesOf(request: { encode: () => Promise<{ buffer: Buffer }> }): Promise<Buffer> {
  return (await request.encode()).buffer;
}

/** What the repaired kafkajs sends. */
async function sentBy(wanted: ProduceRequest, version = 7): Promise<Buffer> {
  return bytesOf(produce.protocol({ version })(wanted).request);
}

async function encodedByKafkajs(wanted: ProduceRequest, version = 7): Promise<boolean> {
  return (await produce.protocol({ version })(wanted).request.encode()) instanceof Encoder;
}

describe('messages on their way to the broker', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: Date.parse('2026-11-24T09:30:00.123Z'), doNotFake: ['nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('have byte for byte the form that kafkajs gives them, whatever they hold', async () => {
    await fc.assert(
      fc.asyncProperty(topicData, fc.constantFrom(3, 5, 7), async (data, version) => {
        const wanted = produceOf(data);
        expect(await encodedByKafkajs(wanted, version)).toBe(false);
        expect((await sentBy(wanted, version)).equals(await bytesOf(stockRequest(wanted)))).toBe(true);
      }),
    );
  });

  it.each([1, 63, 64, 8191, 8192, 70_000, 1_048_576])('keep it where a value is %d bytes long', async (length) => {
    const messages = [{ key: 'k', value: 'é'.repeat(length / 2) }, { value: Buffer.alloc(length, 7) }];
    const wanted = produceOf([{ topic: 't', partitions: [{ partition: 0, firstSequence: 0, messages }] }]);
    expect((await sentBy(wanted)).equals(await bytesOf(stockRequest(wanted)))).toBe(true);
  });

  it.each<[string, Partial<ProduceRequest>, object]>([
    ['a transaction', { transactionalId: 'tx' }, {}],
    ['compression', { compression: 1 }, {}],
    ['a time of its writer', {}, { timestamp: '1700000000000' }],
  ])('are left to kafkajs with %s', async (_, more, members) => {
    const messages = [{ key: 'k', value: 'v', ...members }];
    const wanted = produceOf([{ topic: 't', partitions: [{ partition: 0, firstSequence: 0, messages }] }], more);
    expect(await encodedByKafkajs(wanted)).toBe(true);
    expect((await sentBy(wanted)).equals(await bytesOf(stockRequest(wanted)))).toBe(true);
  });
});
