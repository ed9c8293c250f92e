import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { KafkaBus } from '#bus';
import { eventually, readTopic, suiteTopics, textOf } from '#testing';
import { startOwnBroker, type OwnBroker } from './own-broker.js';

describe('promise 2: a broker that fails and comes back', () => {
  let broker: OwnBroker;

  beforeAll(async () => {
    broker = await startOwnBroker();
  });

  afterAll(async () => {
    await broker.remove();
  });

  it('in the middle of the stream costs no acknowledged message, and nobody has to be restarted', async () => {
    const topics = suiteTopics('restart');
    const newBus = () => new KafkaBus({ brokers: [broker.address], deadLetterTopic: topics.dead.name });
    const [agent, service, viewer] = [newBus(), newBus(), newBus()];
    await service.ensureTopics(Object.values(topics));

    const viewed: string[] = [];
    await viewer.follow({ topics: [topics.out.name], from: 'start' }, (messages) =>
      viewed.push(...messages.map(textOf)),
    );
    const consumption = await service.consume({ group: 'restart', topics: [topics.in.name] }, (batch) => {
      const publish = batch.messages.map((source) => ({
        topic: topics.out.name,
        key: source.key,
        value: source.value,
        source,
      }));
      return Promise.resolve({ publish, unreadable: [] });
    });

    const acknowledged: string[] = [];
    let agentGoesOn = true;
    const sending = (async () => {
      for (let number = 0; agentGoesOn; number += 1) {
        const value = String(number);
        await agent.publish([{ topic: topics.in.name, key: `agent-${number % 7}`, value }]).then(
          () => acknowledged.push(value),
          () => undefined,
        );
      }
    })();

    await eventually(() => viewed.length > 20);
    await broker.kill();
    await broker.start();
    const before = acknowledged.length;
    await eventually(() => acknowledged.length > before + 20);
    agentGoesOn = false;
    await sending;
    await eventually(() => acknowledged.every((value) => viewed.includes(value)));

    // what was passed on and not committed is passed on again: once nobody writes any more, the log is what it is
    await consumption.stop();
    const onLog = (await readTopic(service, topics.out.name)).map(textOf).sort();
    // the view has each message of the log once, whatever the log holds twice
    await eventually(() => viewed.length >= onLog.length);
    expect([...viewed].sort()).toEqual(onLog);
    await Promise.all([agent.close(), service.close(), viewer.close()]);
  });
});
