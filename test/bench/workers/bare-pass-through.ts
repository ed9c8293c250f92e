/**
 * The baseline: kafkajs alone, `eachBatch` to one `send`. It parses and stringifies as we do and
 * writes as many bytes, headers and acknowledgements as a decision has.
 */
import kafkajs from 'kafkajs';
import { AGENT_PARTITIONS } from '#contracts';
import { BENCH_OUT, readOrder } from './order.js';

const order = readOrder();
const kafka = new kafkajs.Kafka({ brokers: [...order.brokers], logLevel: kafkajs.logLevel.ERROR });
const producer = kafka.producer({ idempotent: true, createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
const consumer = kafka.consumer({
  groupId: order.group,
  readUncommitted: true,
  minBytes: 1,
  maxWaitTimeInMs: 100,
  maxBytesPerPartition: 262_144,
});

/** A decision of ours on the same intent is this much longer than the intent. */
const FILL = 'x'.repeat(Number(process.argv[3] ?? 900));

await producer.connect();
await consumer.connect();
await consumer.subscribe({ topics: ['agent.actions'], fromBeginning: true });
await consumer.run({
  autoCommit: false,
  eachBatchAutoResolve: false,
  partitionsConsumedConcurrently: AGENT_PARTITIONS,
  eachBatch: async (payload) => {
    const { batch } = payload;
    const messages = batch.messages.map((message) => {
      const parsed = JSON.parse(message.value?.toString('utf8') ?? '{}') as Record<string, unknown>;
      const { traceparent, tracestate, baggage } = message.headers ?? {};
      return {
        key: message.key,
        value: JSON.stringify({ ...parsed, fill: FILL }),
        headers: { 'content-type': 'application/cloudevents+json', traceparent, tracestate, baggage },
      };
    });
    await producer.send({ topic: BENCH_OUT.name, acks: -1, messages });
    payload.resolveOffset(batch.lastOffset());
    await consumer.commitOffsets([
      { topic: batch.topic, partition: batch.partition, offset: (BigInt(batch.lastOffset()) + 1n).toString() },
    ]);
    await payload.heartbeat();
  },
});

process.once('SIGTERM', () => {
  void Promise.all([consumer.disconnect(), producer.disconnect()]).finally(() => process.exit(0));
});
