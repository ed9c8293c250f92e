import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MemoryBus, MemoryLog } from '#bus';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import type { OutcomeReport } from '#domain';
import { eventually, readDeadLetters } from '#testing';
import { createOutcomeHandler } from './outcome-handler.js';

const REPORT: OutcomeReport = {
  intentId: '0198a5a0-1111-7abc-8def-0123456789ab',
  agentId: 'exporter',
  decisionId: 'a'.repeat(64),
  actionDigest: 'b'.repeat(64),
  status: 'executed',
  chainId: 'monthly',
};

describe('promise 9: a report of an outcome that cannot be read', () => {
  let bus: MemoryBus;

  beforeEach(async () => {
    bus = new MemoryBus(new MemoryLog(() => Date.UTC(2026, 10, 24)));
    await bus.ensureTopics(Object.values(TOPICS));
  });

  afterEach(() => bus.close());

  it('is a dead letter, as an intent would be, and those around it count', async () => {
    const reported: OutcomeReport[] = [];
    const { value, headers } = writeEvent(EVENTS.outcome, {
      id: 'o',
      source: '/test',
      subject: 'exporter',
      data: REPORT,
    });
    const publish = (key: string, what: string) =>
      bus.publish([{ topic: TOPICS.agentOutcomes.name, partition: 0, key, value: what, headers }]);
    await publish('exporter', value);
    await publish('exporter', 'it went well');
    await publish('somebody-else', value);
    await publish('exporter', value.replace('executed', 'succeeded'));
    await publish('exporter', value);
    const handler = createOutcomeHandler((report) => reported.push(report));
    const consumption = await bus.consume({ group: 'outcomes', topics: [TOPICS.agentOutcomes.name] }, handler);
    await eventually(() => consumption.positions().get(TOPICS.agentOutcomes.name)?.get(0) === 5);
    expect(reported).toEqual([REPORT, REPORT]);
    const letters = await readDeadLetters(bus, TOPICS.deadLetters.name);
    expect(letters.map(({ code, offset }) => [code, offset])).toEqual([
      ['REMIT_EVENT_NOT_JSON', 1],
      ['REMIT_OUTCOME_KEY_MISMATCH', 2],
      ['REMIT_EVENT_INVALID', 3],
    ]);
  });
});
