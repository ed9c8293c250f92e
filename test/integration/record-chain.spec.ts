import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { KafkaBus } from '#bus';
import { TOPICS } from '#contracts';
import { chainScriptSchema, eventsOfScript, intentIdNamed, messageOfChainEvent, requireKafka } from '#testing';
import { KeptRecord } from './kept-record.js';

const MOST = 10_000;
const PERSON = 'maria@shop.example';

function messagesOf(script: unknown, offsetsFrom = 0) {
  const events = eventsOfScript(chainScriptSchema.parse(script)).map(messageOfChainEvent);
  return events.map((message) => ({ ...message, offset: message.offset + offsetsFrom }));
}

const incident = messagesOf({
  chain: 'incident-42',
  agents: ['triage', 'repair'],
  events: [
    { intent: 'ask', agent: 'triage', at: 0, action: 'delegate', target: 'agent-bus', on_behalf_of: PERSON },
    { decision: 'ask', outcome: 'allow', at: 5 },
    { report: 'ask', status: 'executed', detail: 'told her', at: 9 },
    { intent: 'drop', agent: 'repair', at: 20, action: 'drop', target: 'orders', cause: 'ask' },
    { decision: 'drop', outcome: 'deny', at: 25 },
  ],
});

/** More than is shown. */
const endless = messagesOf(
  {
    chain: 'endless',
    agents: ['triage', 'repair'],
    events: Array.from({ length: MOST + 3 }, (_, at) => ({
      decision: `step ${String(at)}`,
      agent: 'triage',
      outcome: 'allow',
      at: 100 + at,
    })),
  },
  100,
);

describe('remit chain', () => {
  let record: KeptRecord;

  beforeAll(async () => {
    const bus = new KafkaBus({ brokers: requireKafka(), topics: Object.values(TOPICS) });
    await bus.ensureTopics(Object.values(TOPICS));
    await bus.close();
    record = await KeptRecord.holding([...incident, ...endless]);
  });

  afterAll(() => record.drop());

  it('says after an erasure what is still known of everyone, and of what is gone that it was erased', async () => {
    const before = await record.remit('chain', 'incident-42');
    expect(before.out).toContain('(proven), 20 ms before');
    expect(before.out).toContain('reported executed after 4 ms: told her');
    expect(await record.remit('audit', 'erase', '--person', PERSON, '--reason', 'request 4711')).toMatchObject({
      code: 0,
    });
    const { code, out } = await record.remit('chain', 'incident-42');
    expect(code).toBe(0);
    expect(out).toContain('chain incident-42: 2 actions, 2 agents');
    expect(out).toContain('content erased: this is what its decision says of it');
    expect(out).toContain('reported executed after 4 ms (content erased)');
    expect(out).toContain(`caused by triage ${intentIdNamed('ask')} (proven), 20 ms before`);
    expect(out).not.toMatch(/told her|CLAIMED|does not hold/);
    const json = await record.remit('chain', 'incident-42', '--json');
    expect(JSON.parse(json.out)).toMatchObject({
      leftOut: 0,
      actions: [
        { agentId: 'triage', erased: true, outcome: 'allow', reports: [{ status: 'executed', erased: true }] },
        { agentId: 'repair', erased: false, cause: { standing: 'proven' }, upstream: { agents: ['triage'] } },
      ],
    });
  });

  it('shows of a chain without end its first ten thousand events, and says how many it leaves out', async () => {
    const { code, out } = await record.remit('chain', 'endless');
    expect(code).toBe(0);
    expect(out).toContain('chain endless: 10000 actions, 1 agent\n');
    expect(out).toContain('NOT ALL OF IT: 3 more events are left out, because a chain is read up to 10,000');
    const json = await record.remit('chain', 'endless', '--json');
    expect(json.code).toBe(0);
    const { actions, leftOut } = JSON.parse(json.out) as { actions: unknown[]; leftOut: number };
    expect([actions.length, leftOut]).toEqual([MOST, 3]);
  });
});
