import { describe, expect, it } from '@jest/globals';
import { readExposition } from '#testing';
import { METRICS, prometheusNameOf, type MetricDeclaration } from './metric-table.js';
import { Metrics, reading } from './metrics.js';
import { formatFor, type ExpositionFormat } from './open-metrics.js';

const FORMATS: readonly ExpositionFormat[] = ['openmetrics', 'prometheus'];
const TRACE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 };

function someMetrics(service = 'remit-spec'): Metrics {
  const metrics = new Metrics({ service, version: '1.2.3' });
  metrics.counter(METRICS.failClosed).add(3, { 'remit.reason': 'not-kept' });
  for (const seconds of [0.001, 0.004, 0.004, 60]) {
    metrics.histogram(METRICS.decisionDuration).record(seconds, { 'remit.outcome': 'allow' });
  }
  metrics.observe('holds', () => [reading(METRICS.holdsOpen, 2, {}), reading(METRICS.holdsAge, 90.5, {})]);
  metrics.observe('loop', () => [reading(METRICS.eventLoopUtilization, 0.25, {})]);
  return metrics;
}

describe('what Prometheus scrapes', () => {
  it.each(FORMATS)('keeps to the letter of its format: %s', async (format) => {
    const families = readExposition(await someMetrics().scrape(format), format);
    const counter = format === 'openmetrics' ? 'remit_fail_closed' : 'remit_fail_closed_total';
    expect(families.map(({ name, type }) => [name, type])).toEqual([
      format === 'openmetrics' ? ['target', 'info'] : ['target_info', 'gauge'],
      [counter, 'counter'],
      ['remit_decision_duration_seconds', 'histogram'],
      ['remit_holds_open', 'gauge'],
      ['remit_holds_age_seconds', 'gauge'],
      ['nodejs_eventloop_utilization_ratio', 'gauge'],
    ]);
  });

  it('is written in OpenMetrics as Prometheus names things, with units and an end', async () => {
    const text = await someMetrics().scrape('openmetrics');
    const lines = text.split('\n');
    expect(lines[2]).toBe('target_info{service_name="remit-spec",service_version="1.2.3"} 1');
    expect(lines).toContain('# TYPE remit_fail_closed counter');
    expect(lines).toContain('remit_fail_closed_total{remit_reason="not-kept"} 3');
    expect(lines).toContain('# UNIT remit_decision_duration_seconds seconds');
    expect(lines).toContain('remit_decision_duration_seconds_bucket{remit_outcome="allow",le="0.002"} 1');
    expect(lines).toContain('remit_decision_duration_seconds_bucket{remit_outcome="allow",le="1.0"} 3');
    expect(lines).toContain('remit_decision_duration_seconds_bucket{remit_outcome="allow",le="+Inf"} 4');
    expect(lines).toContain('remit_decision_duration_seconds_count{remit_outcome="allow"} 4');
    expect(lines).toContain('remit_holds_open 2');
    expect(text.endsWith('\n# EOF\n')).toBe(true);
  });

  it('escapes what would break a line, so that no name of a service can add a series', async () => {
    const service = 'a"b\\c\nevil_total 1';
    for (const format of FORMATS) {
      const [target] = readExposition(await someMetrics(service).scrape(format), format);
      expect(target?.samples[0]?.labels['service_name']).toBe(service);
    }
  });

  it('leads from a bucket to the trace of one observation in it, where that was traced', async () => {
    const metrics = new Metrics({ service: 'remit-spec', version: '1' });
    const duration = metrics.histogram(METRICS.decisionDuration);
    duration.record(0.004, { 'remit.outcome': 'allow' }, { ...TRACE, traceFlags: 0 });
    duration.record(0.004, { 'remit.outcome': 'deny' }, TRACE);
    duration.record(3600, { 'remit.outcome': 'deny' }, { ...TRACE, traceId: 'f'.repeat(32) });
    const exposed = readExposition(await metrics.scrape('openmetrics'), 'openmetrics');
    const traced = exposed.flatMap(({ samples }) => samples).filter(({ exemplar }) => exemplar !== undefined);
    expect(traced.map(({ labels, exemplar }) => [labels['remit_outcome'], labels['le'], exemplar])).toEqual([
      ['deny', '0.005', { labels: { trace_id: TRACE.traceId, span_id: TRACE.spanId }, value: 0.004 }],
      ['deny', '+Inf', { labels: { trace_id: 'f'.repeat(32), span_id: TRACE.spanId }, value: 3600 }],
    ]);
    expect(await metrics.scrape('prometheus')).not.toContain(' # {');
  });

  it.each([
    [undefined, 'prometheus'],
    ['*/*', 'prometheus'],
    ['text/plain', 'prometheus'],
    ['application/openmetrics-text', 'openmetrics'],
    [
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1',
      'openmetrics',
    ],
    ['application/openmetrics-text;q=0.1, text/plain;q=0.9', 'prometheus'],
    ['application/openmetrics-text;q=0', 'prometheus'],
    ['APPLICATION/OpenMetrics-Text; version=1.0.0', 'openmetrics'],
    [';;q=,,', 'prometheus'],
  ] as const)('comes in the format that is asked for: %s', (accept, format) => {
    expect(formatFor(accept)).toBe(format);
  });
});

describe('the table of metrics', () => {
  const metrics = Object.values<MetricDeclaration>(METRICS);

  it('gives every metric a Prometheus name of its own, and every attribute too', () => {
    const families = metrics.map((metric) => prometheusNameOf(metric).family);
    expect(new Set(families).size).toBe(families.length);
    for (const family of families) expect(family).toMatch(/^[a-z][a-z0-9_]*$/);
    for (const { attributes } of metrics) {
      expect(new Set(attributes.map(({ name }) => name)).size).toBe(attributes.length);
    }
  });

  it('has buckets in order for histograms, and for nothing else', () => {
    for (const { instrument, buckets } of metrics) {
      expect(buckets !== undefined).toBe(instrument === 'histogram');
      expect(buckets ?? []).toEqual([...(buckets ?? [])].sort((one, other) => one - other));
    }
  });
});
