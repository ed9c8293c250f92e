import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { KafkaBus } from '#bus';
import { eventually, requireKafka, suiteTopics, textOf } from '#testing';

/** The shortest that brokers accept. */
const SESSION_MS = 6000;

describe('promise 12: a handler that waits for a slow database', () => {
  const [broker = ''] = requireKafka();
  const topics = suiteTopics('slow-handler');
  const options = { brokers: [broker], deadLetterTopic: topics.dead.name, sessionMs: SESSION_MS };
  const open: KafkaBus[] = [];

  function service(more: { readonly handlerPatienceMs?: number } = {}): KafkaBus {
    const bus = new KafkaBus({ ...options, ...more });
    open.push(bus);
    return bus;
  }

  beforeAll(() => service().ensureTopics(Object.values(topics)));
  afterAll(async () => {
    for (const bus of open) await bus.close();
  });

  it('longer than its session stays in its group, and is not given the same batch again and again', async () => {
    const handled: string[] = [];
    const bus = service();
    const consumption = await bus.consume({ group: 'slow-handler.waits', topics: [topics.in.name] }, async (batch) => {
      handled.push(...batch.messages.map(textOf));
      if (handled.length === 1) await sleep(SESSION_MS + 3000);
      return { publish: [], unreadable: [] };
    });
    await eventually(() => consumption.settled());
    await bus.publish([{ topic: topics.in.name, key: 'agent', value: 'slow' }]);
    await eventually(() => handled.includes('slow'));
    await bus.publish([{ topic: topics.in.name, key: 'agent', value: 'next' }]);
    await eventually(() => handled.includes('next'));
    expect(handled).toEqual(['slow', 'next']);
  });

  it('for ever loses its partition to another member', async () => {
    const begun: string[] = [];
    const handled: string[] = [];
    const end = new AbortController();
    const hangs = await service({ handlerPatienceMs: 500 }).consume(
      { group: 'slow-handler.hangs', topics: [topics.out.name] },
      async (batch) => {
        begun.push(...batch.messages.map(textOf));
        await sleep(600_000, undefined, { signal: end.signal }).catch(() => undefined);
        return { publish: [], unreadable: [] };
      },
    );
    await eventually(() => hangs.settled());
    const agent = service();
    await agent.publish([{ topic: topics.out.name, key: 'agent', value: 'stuck' }]);
    await eventually(() => begun.includes('stuck'));
    await service().consume({ group: 'slow-handler.hangs', topics: [topics.out.name] }, (batch) => {
      handled.push(...batch.messages.map(textOf));
      return Promise.resolve({ publish: [], unreadable: [] });
    });
    await eventually(() => handled.includes('stuck'));
    end.abort();
  });
});
