import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { MessagePattern, type MicroserviceOptions } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { BatchTransport, MemoryBus, MemoryLog } from '#bus';
import { Log } from '#telemetry';
import { suiteTopics } from '#testing';
import { BatchController } from './batch-controller.js';
import { NestLogger } from './nest-logger.js';

const topics = suiteTopics('batch-controller');

@BatchController()
class RefusedController {
  @MessagePattern(topics.in.name)
  handle(): Promise<never> {
    return Promise.reject(Object.assign(new Error('PostgreSQL refused'), { code: 'REMIT_RECORD_REFUSED' }));
  }
}

describe('a batch that fails', () => {
  const lines: string[] = [];
  beforeEach(() => {
    lines.length = 0;
    const log = new Log({ service: 'remit-audit', level: 'info', destination: { write: (line) => lines.push(line) } });
    Logger.overrideLogger(new NestLogger(log));
  });
  afterEach(() => {
    Logger.overrideLogger(false);
  });

  it('is told once, with its code and what it says, not as "Internal server error"', async () => {
    const told = Promise.withResolvers<{ code: string; message: string }>();
    const bus = new MemoryBus(new MemoryLog(() => 1), { deadLetterTopic: topics.dead.name, log: told.resolve });
    await bus.ensureTopics(Object.values(topics));
    await bus.publish([{ topic: topics.in.name, key: 'a', value: 'message' }]);
    const strategy = new BatchTransport({ bus, group: 'service' });
    const module = await Test.createTestingModule({ controllers: [RefusedController] }).compile();
    const app = module.createNestMicroservice<MicroserviceOptions>({ strategy });
    try {
      await app.listen();
      expect(await told.promise).toMatchObject({
        code: 'REMIT_RECORD_REFUSED',
        message: expect.stringContaining('PostgreSQL refused') as unknown,
      });
      expect(lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
    } finally {
      await app.close();
      await bus.close();
    }
  });
});
