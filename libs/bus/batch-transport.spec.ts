import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, type INestMicroservice, type Type } from '@nestjs/common';
import { MessagePattern, type MicroserviceOptions, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { of, type Observable } from 'rxjs';
import { eventually, readDeadLetters, readTopic, suiteTopics, textOf } from '#testing';
import type { Batch, BatchResult } from './bus.js';
import { BatchTransport } from './batch-transport.js';
import { MemoryBus, MemoryLog } from './memory-bus.js';

const topics = suiteTopics('batch-transport');

function echo(batch: Batch, prefix: string): BatchResult {
  const publish = batch.messages.map((source) => ({
    topic: topics.out.name,
    key: source.key,
    value: `${prefix} ${textOf(source)}`,
    source,
  }));
  return { publish, unreadable: [] };
}

@Controller()
class PromiseController {
  @MessagePattern(topics.in.name)
  handle(@Payload() batch: Batch): Promise<BatchResult> {
    return Promise.resolve(echo(batch, 'promised'));
  }
}

@Controller()
class ObservableController {
  @MessagePattern(topics.in.name)
  handle(@Payload() batch: Batch): Observable<BatchResult> {
    return of(echo(batch, 'observed'));
  }
}

@Controller()
class UnreadableController {
  @MessagePattern(topics.in.name)
  handle(@Payload() batch: Batch): BatchResult {
    const unreadable = batch.messages.map((message) => ({ message, code: 'REMIT_EVENT_INVALID', reason: 'no' }));
    return { publish: [], unreadable };
  }
}

let failures = 0;

@Controller()
class FailingOnceController {
  @MessagePattern(topics.in.name)
  handle(@Payload() batch: Batch): BatchResult {
    failures += 1;
    if (failures === 1) throw new Error('not today');
    return echo(batch, 'at last');
  }
}

describe('a Nest service on the bus', () => {
  let bus: MemoryBus;
  let app: INestMicroservice | undefined;
  let transport: BatchTransport;
  let now = 0;
  const reports: string[] = [];

  beforeEach(async () => {
    reports.length = 0;
    bus = new MemoryBus(new MemoryLog(() => (now += 1)), {
      deadLetterTopic: topics.dead.name,
      log: ({ code }) => reports.push(code),
    });
    await bus.ensureTopics(Object.values(topics));
    await bus.publish([{ topic: topics.in.name, key: 'a', value: 'message' }]);
  });

  afterEach(async () => {
    await app?.close();
    app = undefined;
    await bus.close();
  });

  async function serve(...controllers: Type[]): Promise<void> {
    transport = new BatchTransport({ bus, group: 'service' });
    const module = await Test.createTestingModule({ controllers }).compile();
    app = module.createNestMicroservice<MicroserviceOptions>({ strategy: transport, logger: false });
    await app.listen();
  }

  async function results(): Promise<string[]> {
    await eventually(async () =>
      ((await bus.ends([topics.out.name])).get(topics.out.name) ?? []).some((end) => end > 0),
    );
    return (await readTopic(bus, topics.out.name)).map(textOf);
  }

  it('what a handler promises is published', async () => {
    await serve(PromiseController);
    expect(await results()).toEqual(['promised message']);
    expect(transport.settled()).toBe(true);
    expect(transport.assigned().get(topics.in.name)).toEqual([0, 1, 2, 3]);
  });

  it('what a handler returns as an Observable is published', async () => {
    await serve(ObservableController);
    expect(await results()).toEqual(['observed message']);
  });

  it('what a handler cannot read becomes a dead letter', async () => {
    await serve(UnreadableController);
    await eventually(async () => (await bus.ends([topics.dead.name])).get(topics.dead.name)?.[0] === 1);
    expect(await readDeadLetters(bus, topics.dead.name)).toMatchObject([{ code: 'REMIT_EVENT_INVALID', offset: 0 }]);
  });

  it('a handler that throws gets the messages again', async () => {
    failures = 0;
    await serve(FailingOnceController);
    expect(await results()).toEqual(['at last message']);
    expect(reports).toEqual(['REMIT_BUS_HANDLER_FAILED']);
  });

  it('two handlers for one topic are refused', async () => {
    await expect(serve(PromiseController, UnreadableController)).rejects.toMatchObject({
      code: 'REMIT_BUS_HANDLER_TWICE',
    });
  });

  it('a service that has left the group has no partitions', async () => {
    await serve(PromiseController);
    await app?.close();
    expect(transport.settled()).toBe(false);
    expect(transport.assigned().size).toBe(0);
  });
});
