import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import kafkajs, { type Admin, type Producer } from 'kafkajs';
import { KafkaBus, type Batch, type BatchResult, type BusReport, type ReceivedMessage } from '#bus';
import type { TopicDeclaration } from '#contracts';
import { eventually, readDeadLetters, readTopic, requireKafka, suiteTopics, textOf, type SuiteTopics } from '#testing';
import { network, type Network } from './bus-world.js';

const KIB = 1024;
const { CompressionTypes, CompressionCodecs } = kafkajs;
const NOTHING: BatchResult = { publish: [], unreadable: [] };

describe('the bus on Apache Kafka', () => {
  let topics: SuiteTopics;
  let wide: TopicDeclaration;
  let group: string;
  let bus: KafkaBus;
  let cable: Network;
  let reports: BusReport[];
  let admin: Admin;
  /** A client as an agent might have it: not ours. */
  const stranger = new kafkajs.Kafka({
    brokers: [...requireKafka()],
    clientId: 'stranger',
    logLevel: kafkajs.logLevel.NOTHING,
    // the first transaction and the first group of a broker wait for topics that it has yet to make
    retry: { initialRetryTime: 100, maxRetryTime: 2000, retries: 60 },
  });
  const producers: Producer[] = [];

  beforeEach(async () => {
    const suffix = randomUUID();
    topics = suiteTopics(suffix);
    wide = { ...topics.out, name: `suite.wide.${suffix}`, maxBatchBytes: KIB * KIB };
    group = `group.${suffix}`;
    reports = [];
    cable = network();
    bus = new KafkaBus({
      brokers: requireKafka(),
      deadLetterTopic: topics.dead.name,
      connection: { socketFactory: cable.socketFactory },
      log: (report) => reports.push(report),
    });
    await bus.ensureTopics([...Object.values(topics), wide]);
    admin = stranger.admin();
    await admin.connect();
  });

  afterEach(async () => {
    await Promise.all(producers.splice(0).map((producer) => producer.disconnect()));
    await admin.disconnect();
    await bus.close();
  });

  async function strangersProducer(options: Parameters<typeof stranger.producer>[0] = {}): Promise<Producer> {
    const producer = stranger.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner, ...options });
    await producer.connect();
    producers.push(producer);
    return producer;
  }

  function transactionalProducer(): Promise<Producer> {
    return strangersProducer({
      transactionalId: randomUUID(),
      idempotent: true,
      maxInFlightRequests: 1,
      // none is ended by the broker for having been open for long
      transactionTimeout: 600_000,
    });
  }

  function collector(): { seen: ReceivedMessage[]; handle: (batch: Batch) => Promise<BatchResult> } {
    const seen: ReceivedMessage[] = [];
    return {
      seen,
      handle: (batch) => {
        seen.push(...batch.messages);
        return Promise.resolve(NOTHING);
      },
    };
  }

  it('promise 9: a batch packed with zstd is read like any other', async () => {
    const ours = CompressionCodecs[CompressionTypes.ZSTD];
    CompressionCodecs[CompressionTypes.ZSTD] = () => ({
      compress: ({ buffer }: { buffer: Buffer }) => Promise.resolve(zstdCompressSync(buffer)),
      decompress: (buffer: Buffer) => Promise.resolve(zstdDecompressSync(buffer)),
    });
    try {
      const producer = await strangersProducer();
      await producer.send({
        topic: topics.in.name,
        compression: CompressionTypes.ZSTD,
        messages: [1, 2, 3].map((number) => ({ key: 'a', value: `packed ${number}` })),
      });
    } finally {
      CompressionCodecs[CompressionTypes.ZSTD] = ours;
    }
    const { seen, handle } = collector();
    await bus.consume({ group, topics: [topics.in.name] }, handle);
    await eventually(() => seen.length === 3);
    expect(seen.map(textOf)).toEqual(['packed 1', 'packed 2', 'packed 3']);
  });

  it('promise 9: an open transaction stops nobody, and the ends of the log lie behind it', async () => {
    const transaction = await (await transactionalProducer()).transaction();
    await transaction.send({ topic: topics.in.name, messages: [{ key: 'a', value: 'left open' }] });
    const [receipt] = await bus.publish([{ topic: topics.in.name, key: 'a', value: 'ordinary' }]);
    const { seen, handle } = collector();
    await bus.consume({ group, topics: [topics.in.name] }, handle);
    await eventually(() => seen.length === 2);
    expect(seen.map(textOf)).toEqual(['left open', 'ordinary']);
    const ends = (await bus.ends([topics.in.name])).get(topics.in.name);
    expect(ends?.[receipt?.partition ?? -1]).toBe((receipt?.offset ?? 0) + 1);
    await transaction.abort();
  });

  it('promise 4: a follower reaches the end of a log that ends with a transaction marker', async () => {
    const positions = new Map<number, number>();
    await bus.follow({ topics: [topics.in.name], from: 'start' }, (_, { partition, nextOffset }) => {
      positions.set(partition, nextOffset);
    });
    for (const value of ['first', 'second']) {
      // of its own: the same producer could come again before the broker is done with its first transaction
      const transaction = await (await transactionalProducer()).transaction();
      await transaction.send({ topic: topics.in.name, messages: [{ value, partition: 0 }] });
      await eventually(() => (positions.get(0) ?? 0) % 2 === 1);
      await transaction.commit();
      await eventually(() => (positions.get(0) ?? 0) % 2 === 0);
    }
    const ends = (await bus.ends([topics.in.name])).get(topics.in.name);
    expect(ends).toEqual([4, 0, 0, 0]);
    expect(positions.get(0)).toBe(4);
  });

  it('promise 9: a message with 10,000 headers is read, and its dead letter holds them all', async () => {
    const headers = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [index.toString(36), 'x']));
    const producer = await strangersProducer();
    await producer.send({ topic: topics.in.name, messages: [{ key: 'a', value: 'many', headers }] });
    await bus.consume({ group, topics: [topics.in.name] }, (batch) => {
      const unreadable = batch.messages.map((message) => ({ message, code: 'REMIT_EVENT_INVALID', reason: 'no' }));
      return Promise.resolve({ publish: [], unreadable });
    });
    await eventually(async () => (await bus.ends([topics.dead.name])).get(topics.dead.name)?.[0] === 1);
    const [letter] = await readDeadLetters(bus, topics.dead.name);
    expect(letter?.headers).toHaveLength(10_000);
    expect(new Map(letter?.headers).get('7pr')).toBe(Buffer.from('x').toString('base64'));
  });

  it('a message of the largest size passes, also when its result grows', async () => {
    const largest = 'x'.repeat(64 * KIB);
    const producer = await strangersProducer();
    await producer.send({
      topic: topics.in.name,
      messages: [{ key: 'a'.repeat(128), value: largest, headers: { baggage: 'b'.repeat(2 * KIB) } }],
    });
    await bus.consume({ group, topics: [topics.in.name] }, (batch) => {
      const publish = batch.messages.map((source) => ({
        topic: wide.name,
        key: source.key,
        value: `${textOf(source)}${'v'.repeat(100 * KIB)}`,
        source,
      }));
      return Promise.resolve({ publish, unreadable: [] });
    });
    await eventually(async () => ((await bus.ends([wide.name])).get(wide.name) ?? []).some((end) => end === 1));
    const [grown] = await readTopic(bus, wide.name);
    expect(grown?.value?.length).toBe(164 * KIB);
  });

  it('what we refuse as too large is what the broker refuses, to within the bound we state', async () => {
    const space = 64 * KIB + 4 * KIB - 61;
    const bound = 36 + 1;
    const fits = { topic: topics.in.name, key: 'a', value: 'x'.repeat(space - bound) };
    await bus.publish([fits]);
    await expect(bus.publish([{ ...fits, value: `${fits.value}x` }])).rejects.toMatchObject({
      code: 'REMIT_BUS_MESSAGE_TOO_LARGE',
    });
    const producer = await strangersProducer({ retry: { retries: 0 } });
    const beyond = producer.send({ topic: topics.in.name, messages: [{ key: 'a', value: 'x'.repeat(space) }] });
    await expect(beyond).rejects.toMatchObject({ type: 'MESSAGE_TOO_LARGE' });
  });

  it('a batch that is larger than one send may be is passed on whole and in order', async () => {
    const size = 20 * KIB;
    const inputs = Array.from({ length: 60 }, (_, index) => ({
      topic: topics.in.name,
      key: 'a',
      value: `${index} `.padEnd(size, 'x'),
    }));
    await bus.publish(inputs);
    const batchSizes: number[] = [];
    await bus.consume({ group, topics: [topics.in.name] }, (batch) => {
      batchSizes.push(batch.messages.length);
      const publish = batch.messages.map((source) => ({
        topic: topics.out.name,
        key: source.key,
        value: `${textOf(source)}${'v'.repeat(size)}`,
        source,
      }));
      return Promise.resolve({ publish, unreadable: [] });
    });
    await eventually(async () =>
      ((await bus.ends([topics.out.name])).get(topics.out.name) ?? []).some((end) => end >= 60),
    );
    const numbers = (await readTopic(bus, topics.out.name)).map((message) => Number.parseInt(textOf(message), 10));
    expect(numbers).toEqual(inputs.map((_, index) => index));
    expect(Math.max(...batchSizes) * 2 * size).toBeGreaterThan(68 * KIB);
  });

  it('a topic whose limit was lowered behind our back makes a dead letter, not an endless loop', async () => {
    await admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: topics.out.name,
          configEntries: [
            { name: 'max.message.bytes', value: '2000' },
            { name: 'message.timestamp.type', value: 'LogAppendTime' },
          ],
        },
      ],
    });
    // the broker learns of a changed topic a little later than whoever changed it
    const producer = await strangersProducer();
    let accepted = 0;
    await eventually(() =>
      producer.send({ topic: topics.out.name, messages: [{ key: 'a', value: 'x'.repeat(3000) }] }).then(
        () => {
          accepted += 1;
          return false;
        },
        (error: unknown) => (error as { readonly type?: unknown }).type === 'MESSAGE_TOO_LARGE',
      ),
    );
    await bus.publish(['x'.repeat(3000), 'small'].map((value) => ({ topic: topics.in.name, key: 'a', value })));
    await bus.consume({ group, topics: [topics.in.name] }, (batch) => {
      const publish = batch.messages.map((source) => ({
        topic: topics.out.name,
        key: source.key,
        value: source.value,
        source,
      }));
      return Promise.resolve({ publish, unreadable: [] });
    });
    await eventually(async () =>
      ((await bus.ends([topics.out.name])).get(topics.out.name) ?? []).some((end) => end > accepted),
    );
    expect((await readTopic(bus, topics.out.name)).map(textOf).slice(accepted)).toEqual(['small']);
    expect(await readDeadLetters(bus, topics.dead.name)).toMatchObject([
      { code: 'REMIT_BUS_MESSAGE_TOO_LARGE', offset: 0 },
    ]);
    const publishing = bus.publish([{ topic: topics.out.name, key: 'a', value: 'x'.repeat(3000) }]);
    await expect(publishing).rejects.toMatchObject({ code: 'REMIT_BUS_MESSAGE_TOO_LARGE' });
  });

  it('topics are created as declared, and one with other settings is refused with every difference and its remedy', async () => {
    const name = `suite.foreign.${randomUUID()}`;
    await admin.createTopics({
      waitForLeaders: false,
      topics: [
        {
          topic: name,
          numPartitions: 3,
          replicationFactor: 1,
          configEntries: [{ name: 'retention.ms', value: '1000' }],
        },
      ],
    });
    await eventually(async () => (await admin.listTopics()).includes(name));
    const refused = bus.ensureTopics([topics.in, { ...topics.in, name }]);
    await expect(refused).rejects.toMatchObject({ code: 'REMIT_BUS_TOPIC_DIFFERS' });
    const { message } = (await refused.catch((error: unknown) => error)) as Error;
    for (const difference of [
      'has 3 partitions and must have 4',
      'has message.timestamp.type=CreateTime and must have message.timestamp.type=LogAppendTime',
      'has compression.type=producer and must have compression.type=uncompressed',
      'must have max.message.bytes=69632',
      'has retention.ms=1000 and must have retention.ms=-1',
      `--entity-name ${name} --add-config retention.ms=-1`,
    ]) {
      expect(message).toContain(difference);
    }
    expect(message).not.toContain(topics.in.name);
  });

  it('a cluster with fewer brokers than there are to be copies is named as the reason, not its address', async () => {
    const copied = new KafkaBus({ brokers: requireKafka(), replicationFactor: 3 });
    const refused = copied.ensureTopics(Object.values(suiteTopics('copies')));
    await expect(refused).rejects.toMatchObject({
      code: 'REMIT_BUS_TOO_FEW_BROKERS',
      message:
        'each topic is to have 3 copies (REMIT_REPLICATION_FACTOR), and the cluster has 1 broker: ' +
        'start the others, or ask for fewer copies',
    });
    await copied.close();
  });

  it('processes that start at the same moment create the topics together', async () => {
    const declarations = Array.from({ length: 12 }, (_, index) => ({
      ...topics.in,
      name: `suite.together.${index}.${randomUUID()}`,
      partitions: 12,
    }));
    const others = Array.from({ length: 5 }, () => new KafkaBus({ brokers: requireKafka() }));
    await Promise.all(others.map((other) => other.ensureTopics(declarations)));
    const ends = await bus.ends(declarations.map(({ name }) => name));
    expect([...ends.values()].flat()).toEqual(new Array(144).fill(0));
    await Promise.all(others.map((other) => other.close()));
    await admin.deleteTopics({ topics: declarations.map(({ name }) => name) });
  });

  it('a topic with its writers’ own times is neither read nor written', async () => {
    const name = `suite.create-time.${randomUUID()}`;
    await admin.createTopics({
      waitForLeaders: false,
      topics: [{ topic: name, numPartitions: 1, replicationFactor: 1 }],
    });
    await eventually(async () => (await admin.listTopics()).includes(name));
    const code = 'REMIT_BUS_NOT_APPEND_TIME';
    await expect(bus.consume({ group, topics: [name] }, collector().handle)).rejects.toMatchObject({ code });
    await expect(bus.publish([{ topic: name, key: 'a', value: 'x' }])).rejects.toMatchObject({ code });
  });

  it('promise 4: a message whose time is its writer’s own is a dead letter', async () => {
    const setTimeType = (value: string) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            type: kafkajs.ConfigResourceTypes.TOPIC,
            name: topics.in.name,
            configEntries: [{ name: 'message.timestamp.type', value }],
          },
        ],
      });
    const producer = await strangersProducer();
    const offsets: Record<'own' | 'brokers', number[]> = { own: [], brokers: [] };
    // here too the broker learns of it a little later
    const sendUntilTimeIs = (whose: keyof typeof offsets) =>
      eventually(async () => {
        const message = { key: 'a', value: 'x', partition: 0, timestamp: '1' };
        const [stored] = await producer.send({ topic: topics.in.name, messages: [message] });
        const is = stored?.logAppendTime === '-1' ? 'own' : 'brokers';
        offsets[is].push(Number(stored?.baseOffset));
        return is === whose;
      });
    await setTimeType('CreateTime');
    await sendUntilTimeIs('own');
    await setTimeType('LogAppendTime');
    await sendUntilTimeIs('brokers');
    const { seen, handle } = collector();
    await bus.consume({ group, topics: [topics.in.name] }, handle);
    await eventually(() => seen.length >= offsets.brokers.length);
    expect(seen.map(({ offset }) => offset)).toEqual(offsets.brokers);
    const letters = async () => (await bus.ends([topics.dead.name])).get(topics.dead.name)?.[0] ?? 0;
    await eventually(async () => (await letters()) >= offsets.own.length);
    expect(await readDeadLetters(bus, topics.dead.name)).toMatchObject(
      offsets.own.map((offset) => ({ code: 'REMIT_BUS_NOT_APPEND_TIME', offset })),
    );
  });

  it('promise 4: the running maximum of time is committed with the offset and taken up again', async () => {
    const committed = async () => {
      const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topics.in.name] });
      return offsets?.partitions.find(({ partition }) => partition === 0);
    };
    const { seen, handle } = collector();
    await bus.publish([{ topic: topics.in.name, key: null, value: 'one', partition: 0 }]);
    const first = await bus.consume({ group, topics: [topics.in.name] }, handle);
    await eventually(() => seen.length === 1);
    await first.stop();
    expect(await committed()).toMatchObject({
      offset: '1',
      metadata: JSON.stringify({ logTime: seen[0]?.appendTime }),
    });

    const future = Date.now() + 3_600_000;
    const setter = stranger.consumer({ groupId: group });
    await setter.connect();
    await setter.subscribe({ topics: [topics.in.name] });
    await setter.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: () => Promise.resolve() });
    const metadata = JSON.stringify({ logTime: future });
    await eventually(async () => {
      await setter
        .commitOffsets([{ topic: topics.in.name, partition: 0, offset: '1', metadata }])
        .catch(() => undefined);
      return (await committed())?.metadata === metadata;
    });
    await setter.disconnect();

    await bus.publish([{ topic: topics.in.name, key: null, value: 'two', partition: 0 }]);
    const second = await bus.consume({ group, topics: [topics.in.name] }, handle);
    await eventually(() => seen.length === 2);
    await second.stop();
    expect(seen[1]?.logTime).toBe(future);
    expect(seen[1]?.appendTime).toBeLessThan(future);
    expect(await committed()).toMatchObject({ offset: '2', metadata });
  });

  it('promise 2: while the brokers are out of reach everything waits, and nothing is lost or skipped', async () => {
    let wasCut = false;
    const followed: string[] = [];
    await bus.follow({ topics: [topics.out.name], from: 'end' }, (messages) => followed.push(...messages.map(textOf)));
    const consumption = await bus.consume({ group, topics: [topics.in.name] }, (batch) => {
      if (!wasCut && batch.messages.some((message) => textOf(message) === '10')) {
        wasCut = true;
        cable.cut();
      }
      const publish = batch.messages.map((source) => ({
        topic: topics.out.name,
        key: source.key,
        value: source.value,
        source,
      }));
      return Promise.resolve({ publish, unreadable: [] });
    });
    const agent = await strangersProducer();
    for (let number = 0; number < 40; number += 1) {
      await agent.send({ topic: topics.in.name, messages: [{ key: 'a', value: String(number) }] });
    }
    await eventually(() => reports.some(({ code }) => code === 'REMIT_BUS_PUBLISH_FAILED'));
    await expect(bus.ends([topics.in.name])).rejects.toMatchObject({ code: 'REMIT_BUS_UNREACHABLE' });
    cable.mend();
    await eventually(() => followed.includes('39'));
    expect([...new Set(followed)]).toEqual(Array.from({ length: 40 }, (_, number) => String(number)));
    // what was passed on and not committed is passed on again: once nobody writes any more, the log is what it is
    await consumption.stop();
    const onLog = (await readTopic(bus, topics.out.name)).map(textOf);
    await eventually(() => followed.length >= onLog.length);
    expect(followed).toEqual(onLog);
  });

  it('promise 2: a message whose acknowledgement got lost is sent again and is on the log once', async () => {
    const witness = new KafkaBus({ brokers: requireKafka() });
    const end = async () => (await witness.ends([topics.in.name])).get(topics.in.name)?.[0];
    await bus.publish([{ topic: topics.in.name, key: null, value: 'before', partition: 0 }]);
    cable.deafen();
    const publishing = bus.publish([{ topic: topics.in.name, key: null, value: 'once', partition: 0 }]);
    await eventually(async () => (await end()) === 2);
    cable.cut();
    cable.mend();
    const [receipt] = await publishing;
    await bus.publish([{ topic: topics.in.name, key: null, value: 'after', partition: 0 }]);
    expect((await readTopic(witness, topics.in.name)).map(textOf)).toEqual(['before', 'once', 'after']);
    expect(receipt?.offset).toBe(1);
    await witness.close();
  });

  it('a bus that is closed while the brokers are out of reach does not hang', async () => {
    await bus.follow({ topics: [topics.out.name], from: 'end' }, () => undefined);
    await bus.consume({ group, topics: [topics.in.name] }, collector().handle);
    cable.cut();
    await eventually(() => reports.length > 0);
    await bus.close();
    expect(reports.every(({ level }) => level === 'warn')).toBe(true);
  });

  it('nothing is reported while all is well', async () => {
    reports.length = 0;
    const warnings: string[] = [];
    const onWarning = ({ name }: Error): number => warnings.push(name);
    process.on('warning', onWarning);
    const { seen, handle } = collector();
    await bus.consume({ group, topics: [topics.in.name] }, handle);
    await bus.publish([{ topic: topics.in.name, key: 'a', value: 'x' }]);
    await eventually(() => seen.length === 1);
    await bus.close();
    process.off('warning', onWarning);
    expect(reports).toEqual([]);
    expect(warnings.filter((name) => name === 'TimeoutNegativeWarning')).toEqual([]);
  });
});
