import { describe, expect, it } from '@jest/globals';
import { readExposition, type ExposedSample } from '#testing';
import { METRICS } from './metric-table.js';
import { Metrics, reading } from './metrics.js';
import { observeProcess } from './metrics-process.js';

function metricsThatTell(told: string[]): Metrics {
  return new Metrics({ service: 'remit-spec', version: '1', sourceMs: 20, onTrouble: (message) => told.push(message) });
}

async function samplesOf(metrics: Metrics, family: string): Promise<readonly ExposedSample[]> {
  const families = readExposition(await metrics.scrape('openmetrics'), 'openmetrics');
  return families.find(({ name }) => name === family)?.samples ?? [];
}

describe('a scrape', () => {
  it('leaves out what cannot be told, says so once, and shows the rest', async () => {
    const told: string[] = [];
    const metrics = metricsThatTell(told);
    let isBroken = true;
    metrics.observe('holds', () => {
      if (isBroken) throw new Error('not today');
      return [reading(METRICS.holdsOpen, 1, {})];
    });
    metrics.observe('grants', () => [reading(METRICS.grantsActive, 7, {})]);
    for (let n = 0; n < 3; n += 1) {
      expect(await samplesOf(metrics, 'remit_holds_open')).toEqual([]);
      expect(await samplesOf(metrics, 'remit_grants_active')).toMatchObject([{ value: 7 }]);
    }
    expect(told).toEqual(['REMIT_METRICS_SOURCE: the metrics of holds are left out: not today']);
    isBroken = false;
    expect(await samplesOf(metrics, 'remit_holds_open')).toMatchObject([{ value: 1 }]);
    isBroken = true;
    expect(await samplesOf(metrics, 'remit_holds_open')).toEqual([]);
    expect(told).toHaveLength(2);
  });

  it('does not wait for a broker that never answers, and asks it no second time meanwhile', async () => {
    const told: string[] = [];
    const metrics = metricsThatTell(told);
    let asked = 0;
    const never = Promise.withResolvers<[]>();
    metrics.observe('consumer lag', () => {
      asked += 1;
      return never.promise;
    });
    metrics.observe('grants', () => [reading(METRICS.grantsActive, 7, {})]);
    for (let n = 0; n < 3; n += 1) {
      expect(await samplesOf(metrics, 'remit_grants_active')).toMatchObject([{ value: 7 }]);
    }
    expect([asked, told.length]).toEqual([1, 1]);
    never.resolve([]);
  });

  it('uses a fresh answer again: who scrapes often asks the brokers no more often', async () => {
    const metrics = metricsThatTell([]);
    let asked = 0;
    const ask = () => [reading(METRICS.holdsOpen, (asked += 1), {})];
    metrics.observe('holds', ask, 60_000);
    await metrics.scrape('openmetrics');
    expect(await samplesOf(metrics, 'remit_holds_open')).toMatchObject([{ value: 1 }]);
  });

  it('forgets a gauge that nobody tells any more', async () => {
    const metrics = metricsThatTell([]);
    let isHeld = true;
    metrics.observe('holds', () => (isHeld ? [reading(METRICS.holdsAge, 5, {})] : []));
    expect(await samplesOf(metrics, 'remit_holds_age_seconds')).toHaveLength(1);
    isHeld = false;
    expect(await samplesOf(metrics, 'remit_holds_age_seconds')).toHaveLength(0);
  });

  it('at the same time as another one gets the same answer', async () => {
    const metrics = metricsThatTell([]);
    let asked = 0;
    metrics.observe('holds', () => [reading(METRICS.holdsOpen, (asked += 1), {})]);
    const [one, other] = await Promise.all([metrics.scrape('openmetrics'), metrics.scrape('openmetrics')]);
    expect(other).toBe(one);
    expect(asked).toBe(1);
  });

  it('shows how the process itself is', async () => {
    const metrics = metricsThatTell([]);
    observeProcess(metrics, 'main');
    await metrics.scrape('openmetrics');
    for (const family of ['nodejs_eventloop_delay_p99_seconds', 'nodejs_eventloop_utilization_ratio']) {
      const [sample] = await samplesOf(metrics, family);
      expect(sample?.value).toBeGreaterThanOrEqual(0);
      expect(sample?.value).toBeLessThan(60);
    }
    const heap = await samplesOf(metrics, 'v8js_memory_heap_used_bytes');
    expect(heap.reduce((sum, { value }) => sum + value, 0)).toBeGreaterThan(1_000_000);
  });
});

describe('a tally', () => {
  it('loses no count, however much differs', async () => {
    const metrics = metricsThatTell([]);
    const tally = metrics.tally(METRICS.findings);
    for (let n = 0; n < 6000; n += 1) {
      const rule = `rule-${String(n % 3000)}`;
      tally.count(rule, () => ({ 'remit.rule': rule }));
    }
    const samples = await samplesOf(metrics, 'remit_findings');
    expect(samples).toHaveLength(3000);
    expect(samples.every(({ value }) => value === 2)).toBe(true);
  });

  it('of more series than a metric may have counts the rest together', async () => {
    const metrics = metricsThatTell([]);
    const counter = metrics.counter(METRICS.findings);
    for (let n = 0; n < 6000; n += 1) counter.add(1, { 'remit.rule': `rule-${String(n)}` });
    const samples = await samplesOf(metrics, 'remit_findings');
    expect(samples).toHaveLength(5000);
    expect(samples.find(({ labels }) => labels['otel_metric_overflow'] === 'true')?.value).toBe(1001);
  });
});
