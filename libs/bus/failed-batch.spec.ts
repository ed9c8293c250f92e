import { expect, it } from '@jest/globals';
import { Log } from '#telemetry';
import { eventually, suiteTopics } from '#testing';
import { MemoryBus, MemoryLog } from './memory-bus.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';

it('the log leads from a batch that fails to its trace, and to its place on the log', async () => {
  const topics = suiteTopics('failed-batch');
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) };
  const log = new Log({ service: 'spec', level: 'info', destination });
  const bus = new MemoryBus(new MemoryLog(() => 1), {
    deadLetterTopic: topics.dead.name,
    log: ({ level, ...entry }) => log.write(level, entry),
  });
  await bus.ensureTopics(Object.values(topics));
  const headers = { traceparent: `00-${TRACE}-b7ad6b7169203331-01` };
  await bus.publish([{ topic: topics.in.name, key: 'a', value: '1', headers }]);
  await bus.consume({ group: 'judges', topics: [topics.in.name] }, () => Promise.reject(new Error('views are behind')));
  await eventually(() => lines.length > 0);
  await bus.close();
  expect(lines[0]).toMatchObject({
    level: 'error',
    code: 'REMIT_BUS_HANDLER_FAILED',
    trace_id: TRACE,
    'messaging.consumer.group.name': 'judges',
    'messaging.kafka.offset': 0,
  });
});
