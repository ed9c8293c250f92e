/** The stock `@nestjs/microservices` Kafka transport with the same layers: what Nest offers without ours. */
import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, KafkaContext, Payload, Transport } from '@nestjs/microservices';
import kafkajs from 'kafkajs';
import { EVENTS, readEvent, sha256, TOPICS, traceHeadersOf, writeEvent } from '#contracts';
import { actionDigestOf, checkCharter, decide, decisionIdOf, judge, LAYERS, INITIAL_AUTHORITY } from '#domain';
import { BENCH_CHARTER, BENCH_OUT, readOrder } from './order.js';

const order = readOrder();
const checked = checkCharter(readFileSync(join(import.meta.dirname, '../../../..', BENCH_CHARTER), 'utf8'), sha256);
if (!checked.ok) throw new Error('the bench charter is refused');
const { charter } = checked;
const kafka = new kafkajs.Kafka({ brokers: [...order.brokers], logLevel: kafkajs.logLevel.ERROR });
const producer = kafka.producer({ idempotent: true, createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
await producer.connect();

@Controller()
class StockController {
  @EventPattern(TOPICS.agentActions.name)
  async judge(@Payload() _value: unknown, @Ctx() received: unknown): Promise<void> {
    const context = received as KafkaContext;
    const message = context.getMessage();
    // the stock parser turns headers into text
    const headers = message.headers as unknown as Readonly<Record<string, string>>;
    const contentType = Buffer.from(headers['content-type'] ?? '');
    const reading = readEvent(EVENTS.intent, { value: message.value, headers: { 'content-type': contentType } });
    if (!reading.ok) return;
    const intent = reading.event.data;
    const judgedAt = Number(message.timestamp);
    const actionDigest = actionDigestOf(intent.action, sha256);
    const input = { intent, actionDigest, judgedAt, charter, authority: INITIAL_AUTHORITY };
    const verdicts = LAYERS.map((layer) => judge(layer, input));
    const decisionId = decisionIdOf({ ...intent, actionDigest, round: 1 }, sha256);
    const stamp = {
      judgedAt: new Date(judgedAt).toISOString(),
      source: { topic: context.getTopic(), partition: context.getPartition(), offset: Number(message.offset) },
      charter: { digest: charter.digest, position: 1 },
      permissions: { position: 0 },
    };
    const { stage, decisionTtlMs } = charter;
    const decision = decide({
      intent,
      actionDigest,
      stamp,
      verdicts,
      decisionId,
      stage,
      decisionTtlMs,
      engine: order.engine,
      sha256,
    });
    const event = writeEvent(EVENTS.decision, {
      id: decisionId,
      source: '/bench',
      subject: intent.agentId,
      data: decision,
    });
    await producer.send({
      topic: BENCH_OUT.name,
      acks: -1,
      messages: [
        {
          key: intent.agentId,
          value: event.value,
          headers: { ...traceHeadersOf(headers), ...event.headers },
        },
      ],
    });
  }
}

@Module({ controllers: [StockController] })
class StockModule {}

const app = await NestFactory.createMicroservice(StockModule, {
  logger: ['error'],
  transport: Transport.KAFKA,
  options: {
    postfixId: '',
    client: { brokers: [...order.brokers], logLevel: kafkajs.logLevel.ERROR },
    consumer: { groupId: order.group },
    subscribe: { fromBeginning: true },
    run: { partitionsConsumedConcurrently: order.concurrency },
    parser: { keepBinary: true },
  },
});
app.enableShutdownHooks();
await app.listen();
