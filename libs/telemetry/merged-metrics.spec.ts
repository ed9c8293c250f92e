import { describe, expect, it } from '@jest/globals';
import { METRICS } from './metric-table.js';
import { Metrics, reading } from './metrics.js';

const PLACE = { 'messaging.destination.name': 'agent.actions', 'messaging.consumer.group.name': 'remit.audit' };

function metricsOf(thread: string): Metrics {
  const metrics = new Metrics({ service: 'remit-spec', version: '1' });
  metrics.counter(METRICS.consumedMessages).add(2, PLACE);
  metrics.histogram(METRICS.batchSize).record(3, PLACE);
  metrics.observe('the thread', () => [reading(METRICS.eventLoopUtilization, 0.5, { 'thread.name': thread })]);
  return metrics;
}

describe('metrics of a process with several threads', () => {
  it('are one exposition, in which every family stands once and counts of all threads are added up', async () => {
    const main = metricsOf('main');
    const audit = metricsOf('audit');
    // as it comes from another thread
    main.include(async () => structuredClone(await audit.collect()));
    const lines = (await main.scrape('prometheus')).split('\n');
    const starting = (start: string): string[] => lines.filter((line) => line.startsWith(start));
    expect(new Set(starting('# TYPE ')).size).toBe(starting('# TYPE ').length);
    expect(starting('messaging_client_consumed_messages_total{')).toEqual([expect.stringMatching(/ 4$/)]);
    expect(lines.filter((line) => /_count\{/.test(line))).toEqual([expect.stringMatching(/ 2$/)]);
    expect(starting('nodejs_eventloop_utilization_ratio{')).toEqual([
      'nodejs_eventloop_utilization_ratio{thread_name="main"} 0.5',
      'nodejs_eventloop_utilization_ratio{thread_name="audit"} 0.5',
    ]);
  });

  it('are those of the others where one thread does not answer', async () => {
    const main = metricsOf('main');
    main.include(() => Promise.reject(new Error('it has ended')));
    expect(await main.scrape('prometheus')).toContain('nodejs_eventloop_utilization_ratio{thread_name="main"} 0.5');
  });
});
