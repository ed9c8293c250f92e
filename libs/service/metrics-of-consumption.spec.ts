import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MemoryBus, MemoryLog, partitionOf, type BatchResult } from '#bus';
import { Metrics } from '#telemetry';
import { eventually, readExposition, suiteTopics, type ExposedSample } from '#testing';
import { ConsumptionMetrics } from './metrics-of-consumption.js';

const NOTHING: BatchResult = { publish: [], unreadable: [] };
const topics = suiteTopics('metrics');

describe('the metrics of consumption', () => {
  let metrics: Metrics;
  let bus: MemoryBus;

  beforeEach(async () => {
    metrics = new Metrics({ service: 'spec', version: '1' });
    const watch = new ConsumptionMetrics(metrics);
    let now = 0;
    bus = new MemoryBus(new MemoryLog(() => (now += 1)), { deadLetterTopic: topics.dead.name, watch });
    await bus.ensureTopics(Object.values(topics));
    watch.observeLag(bus);
  });

  afterEach(() => bus.close());

  async function publish(...values: readonly string[]): Promise<void> {
    await bus.publish(values.map((value) => ({ topic: topics.in.name, key: 'a', value })));
  }

  async function samples(family: string): Promise<readonly ExposedSample[]> {
    const families = readExposition(await metrics.scrape('openmetrics'), 'openmetrics');
    return families.find(({ name }) => name === family)?.samples ?? [];
  }

  async function ofPartition(family: string): Promise<number | undefined> {
    const partition = String(partitionOf('a', 4));
    const own = ({ labels }: ExposedSample): boolean => labels['messaging_destination_partition_id'] === partition;
    return (await samples(family)).find(own)?.value;
  }

  const lag = () => ofPartition('remit_consumer_lag');
  const offset = () => ofPartition('remit_consumer_offset');

  it('show how far a group is behind, also while its handler is stuck', async () => {
    const stuck = Promise.withResolvers<undefined>();
    await publish('1', '2', '3');
    await bus.consume({ group: 'g', topics: [topics.in.name] }, async () => {
      await stuck.promise;
      return NOTHING;
    });
    expect(await lag()).toBe(3);
    await publish('4');
    await eventually(async () => (await lag()) === 4);
    stuck.resolve(undefined);
    await eventually(async () => (await lag()) === 0);
  });

  it('show for how long each reader has stood still, the longest of a name, and how often one was made anew', async () => {
    const watch = new ConsumptionMetrics(metrics);
    const view = (ms: number) => ({ reader: { group: 'view', topics: [topics.in.name] }, ms });
    const group = { reader: { group: 'g', topics: [topics.in.name] }, ms: 0 };
    watch.observeStandstill({ standstills: () => [view(0), view(31_000), view(2000), group] });
    watch.renewed(view(0).reader);
    watch.renewed(view(0).reader);
    const byReader = async (family: string): Promise<Record<string, number>> =>
      Object.fromEntries((await samples(family)).map(({ labels, value }) => [String(labels['remit_reader']), value]));
    expect(await byReader('remit_reader_standstill_seconds')).toEqual({ view: 31, g: 0 });
    expect(await byReader('remit_readers_renewed')).toEqual({ view: 2 });
  });

  it('show that a group gets on, and that it does not, whatever waits', async () => {
    const stuck = Promise.withResolvers<undefined>();
    await bus.consume({ group: 'g', topics: [topics.in.name] }, async () => {
      await stuck.promise;
      return NOTHING;
    });
    await publish('1', '2');
    await eventually(async () => (await lag()) === 2);
    expect(await offset()).toBe(0);
    await publish('3', '4', '5');
    await eventually(async () => (await lag()) === 5);
    expect(await offset()).toBe(0);
    stuck.resolve(undefined);
    await eventually(async () => (await offset()) === 5);
  });

  it('count messages, batches and dead letters, and name an error only when its code is ours', async () => {
    let attempt = 0;
    await bus.consume({ group: 'g', topics: [topics.in.name] }, ({ messages }) => {
      attempt += 1;
      if (attempt === 1) return Promise.reject(Object.assign(new Error('no'), { code: 'password=hunter2' }));
      const unreadable = messages.map((message) => ({ message, code: 'REMIT_EVENT_NOT_JSON', reason: 'no' }));
      return Promise.resolve({ publish: [], unreadable });
    });
    await publish('1', '2');
    await eventually(async () => (await samples('remit_dead_letters')).length > 0);
    const place = { messaging_destination_name: topics.in.name, messaging_consumer_group_name: 'g' };
    const work = { ...place, messaging_system: 'kafka', messaging_operation_name: 'process' };
    expect(await samples('messaging_client_consumed_messages')).toMatchObject([
      { labels: { ...work, error_type: '_OTHER' }, value: 2 },
      { labels: work, value: 2 },
    ]);
    expect(await samples('remit_dead_letters')).toMatchObject([
      { labels: { error_type: 'REMIT_EVENT_NOT_JSON', messaging_destination_name: topics.in.name }, value: 2 },
    ]);
    const sizes = (await samples('remit_batch_size')).filter(({ name }) => name === 'remit_batch_size_sum');
    expect(sizes).toMatchObject([{ labels: place, value: 4 }]);
  });
});
