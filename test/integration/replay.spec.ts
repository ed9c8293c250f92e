import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TOPICS } from '#contracts';
import type { Decision } from '#domain';
import type { RecordedMessage } from '#record';
import {
  chainScriptSchema,
  eventsOfScript,
  HISTORY_READING_PROMISES,
  intentIdNamed,
  messageOfChainEvent,
} from '#testing';
import { readHistory } from '../histories/history-file.js';
import { KeptRecord } from './kept-record.js';

const ROOT = join(import.meta.dirname, '../..');
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const stories = readHistory(join(ROOT, 'test/histories/stories.jsonl'));
const decisions = stories.filter(({ topic }) => topic === TOPICS.agentDecisions.name);

function dataOf({ value }: RecordedMessage): Record<string, unknown> {
  return (JSON.parse(String(value)) as { data: Record<string, unknown> }).data;
}

describe('bulk reading of history in PostgreSQL', () => {
  it.each(HISTORY_READING_PROMISES)('$promise', async ({ keptBy }) => {
    const record = await KeptRecord.holding([]);
    try {
      await keptBy(record.history);
    } finally {
      await record.drop();
    }
  });
});

describe('the record, asked from the command line', () => {
  let record: KeptRecord;
  /** An incident in one trace, with an outcome that nothing had allowed. */
  const incident = eventsOfScript(
    chainScriptSchema.parse({
      chain: 'incident-42',
      agents: ['triage', 'repair'],
      events: [
        { intent: 'ask', agent: 'triage', at: 0, action: 'delegate', target: 'agent-bus' },
        { decision: 'ask', outcome: 'allow', at: 5 },
        { report: 'ask', status: 'executed', at: 6 },
        { intent: 'drop', agent: 'repair', at: 10, action: 'drop', target: 'orders', cause: 'ask' },
        { decision: 'drop', outcome: 'deny', at: 15 },
        { report: 'drop', status: 'executed', at: 20 },
      ],
    }),
  ).map((event) => {
    const message = messageOfChainEvent(event);
    const headers = { ...message.headers, traceparent: Buffer.from(`00-${TRACE_ID}-00f067aa0ba902b7-01`) };
    // Behind everything that the stories have put there.
    return { ...message, headers, offset: message.offset + 1000 };
  });

  beforeAll(async () => {
    record = await KeptRecord.holding(stories);
  });

  afterAll(() => record.drop());

  it('replays identically, and says so with its exit code', async () => {
    const { code, out, err } = await record.remit('replay', '--json');
    expect(JSON.parse(out)).toMatchObject({ decisions: decisions.length, identical: decisions.length, differing: 0 });
    expect(err).toContain(`replayed ${String(decisions.length)} decisions`);
    expect(code).toBe(0);
  });

  it('replays one agent, or one stretch of time, alone', async () => {
    const agentId = 'customer-service';
    const mine = decisions.filter((message) => dataOf(message)['agentId'] === agentId);
    const { out } = await record.remit('replay', '--agent', agentId, '--json');
    expect(JSON.parse(out)).toMatchObject({ decisions: mine.length, identical: mine.length });
    const to = new Date(Math.max(...mine.map(({ appendTime }) => appendTime))).toISOString();
    const before = await record.remit('replay', '--agent', agentId, '--to', to, '--json');
    expect(JSON.parse(before.out)).toMatchObject({ decisions: mine.length - 1 });
  });

  it('shows what a candidate would change, DENY→ALLOW first, and fails when told to', async () => {
    const candidate = record.file('candidate.yaml');
    const text = readFileSync(join(ROOT, 'charters/fintech-production.yaml'), 'utf8');
    writeFileSync(candidate, text.replace('stage: enforce', 'stage: observe'));
    const { code, out } = await record.remit('replay', '--charter', candidate);
    expect(out).toMatch(/^DENY→ALLOW: \d+ decisions\n/);
    expect(code).toBe(0);
    const failing = await record.remit('replay', '--charter', candidate, '--json', '--fail-on', 'deny-to-allow');
    const report = JSON.parse(failing.out) as { changes: { change: string; rules: unknown[]; agents: unknown[] }[] };
    expect(report.changes[0]).toMatchObject({ change: 'deny-to-allow' });
    expect(failing.code).toBe(1);
    expect(failing.err).toContain('deny-to-allow');
  });

  it('as a gate, fails where nothing was compared; else it says so', async () => {
    for (const asked of [
      ['--agent', 'customer-servise'],
      ['--from', '2001-01-01', '--to', '2001-01-02'],
    ]) {
      const gate = await record.remit('replay', ...asked, '--fail-on', 'deny-to-allow');
      expect([gate.code, gate.err]).toEqual([1, expect.stringContaining('REMIT_REPLAY_NOTHING_COMPARED')]);
      expect(gate.err).toContain(asked.join(' '));
      const look = await record.remit('replay', ...asked);
      expect([look.code, look.err]).toEqual([0, expect.stringContaining('Nothing was compared')]);
    }
    const passing = await record.remit('replay', '--fail-on', 'deny-to-allow');
    expect([passing.code, passing.err]).toEqual([0, expect.not.stringContaining('othing was compared')]);
  });

  it('as a gate, fails where of all that was decided nothing can be replayed', async () => {
    const alone = await KeptRecord.holding(
      decisions.slice(0, 3).map((message, offset) => ({ ...message, partition: 0, offset })),
    );
    try {
      const { code, err } = await alone.remit('replay', '--fail-on', 'deny-to-allow');
      expect([code, err]).toEqual([1, expect.stringMatching(/REMIT_REPLAY_NOTHING_COMPARED: of 3 .* none can be/)]);
    } finally {
      await alone.drop();
    }
  });

  it('refuses a candidate that is no charter, and a time that is none', async () => {
    const refused = record.file('refused.yaml');
    writeFileSync(refused, 'charter: [');
    expect(await record.remit('replay', '--charter', refused)).toMatchObject({ code: 1, out: '' });
    const { code, err } = await record.remit('replay', '--from', 'yesterday');
    expect([code, err]).toEqual([1, expect.stringContaining('REMIT_CLI_TIME')]);
  });

  it('goes on from where an interrupted replay had come, and with no other question', async () => {
    const cursor = record.file('cursor.json');
    const whole = await record.remit('replay', '--json', '--cursor', cursor);
    const kept = JSON.parse(readFileSync(cursor, 'utf8')) as { after: { offset: number } };
    expect(kept.after.offset).toBeGreaterThanOrEqual(0);
    const again = await record.remit('replay', '--json', '--cursor', cursor);
    expect(JSON.parse(again.out)).toEqual(JSON.parse(whole.out));
    expect(again.err).toContain(' 0/s');
    const other = await record.remit('replay', '--agent', 'customer-service', '--cursor', cursor);
    expect(other).toMatchObject({ code: 1, err: expect.stringContaining('REMIT_REPLAY_CURSOR') as unknown });
  });

  it('tells who suspended an agent or rejected its action, and why, though no decision says it', async () => {
    const told = decisions.map((message) => JSON.stringify(dataOf(message)));
    const chainOf = async (reason: string) => {
      const decision = decisions.find((message) => JSON.stringify(dataOf(message)).includes(reason));
      const { chainId, intentId } = decision === undefined ? {} : dataOf(decision);
      return (await record.remit('chain', String(chainId ?? intentId))).out;
    };
    expect(await chainOf('customer-service is suspended')).toMatch(
      /suspended by sam at [\d:.TZ-]+: two requests for one account\n/,
    );
    expect(await chainOf('its approval was rejected')).toMatch(
      /rejected by olga at [\d:.TZ-]+: that is a typing error\n/,
    );
    expect(told.filter((text) => /sam|olga|two requests|typing error/.test(text))).toEqual([]);
  });

  it('tells what was in force at a time, and which event put it there', async () => {
    const suspension = stories.find((message) => dataOf(message)['event'] === 'AgentSuspended');
    if (suspension === undefined) throw new Error('no story suspends anybody');
    const during = new Date(suspension.appendTime + 1).toISOString();
    const before = new Date(suspension.appendTime).toISOString();
    const agentsAt = async (time: string) => {
      const { out } = await record.remit('at', time, 'agents', '--json');
      return (JSON.parse(out) as { agentId: string; standing: string; putBy: object }[]).find(
        ({ agentId }) => agentId === 'customer-service',
      );
    };
    expect(await agentsAt(before)).toMatchObject({ standing: 'active' });
    expect(await agentsAt(during)).toMatchObject({
      standing: 'suspended',
      putBy: { event: 'AgentSuspended', by: 'sam', partition: suspension.partition, offset: suspension.offset },
    });
    const grant = stories.find((message) => dataOf(message)['permission'] === 'admin_access');
    const permissions = await record.remit('at', new Date((grant?.appendTime ?? 0) + 1).toISOString(), 'permissions');
    expect(permissions.out).toMatch(/customer-service.*admin_access.*sam.*PermissionGranted by sam/);
    const charter = await record.remit('at', during, 'charter');
    expect(charter.out).toContain('CharterActivated by ann');
    const rollout = await record.remit('at', during, 'rollout');
    expect(rollout.out).toMatch(/data-privacy\s.*enforce.*100 %.*rollout: critical.*CharterActivated by ann/);
    const nothing = await record.remit('at', '2000-01-01', 'charter');
    expect(nothing.out).toContain('everything was denied');
  });

  it('is not called untouched while nothing is proven', async () => {
    const { code, out } = await record.remit('audit', 'verify');
    expect(out).toContain(`${stories.length.toLocaleString('en')} entries are not yet proven`);
    expect(out).toContain('NOTHING IS PROVEN YET: there is no checkpoint');
    expect(out).not.toContain('Nobody has touched');
    expect(code).toBe(0);
  });

  it('finds what does not add up', async () => {
    await record.history.append(incident);
    const { code, out } = await record.remit('audit', 'gaps', '--agent', 'repair');
    expect(out).toContain('1 outcomes that nothing had allowed');
    expect(code).toBe(1);
    const lines = (await record.remit('audit', 'gaps', '--json')).out.trimEnd().split('\n');
    const gaps = lines.map((line) => JSON.parse(line) as { kind: string; intentId: string });
    expect(gaps.filter(({ kind }) => kind === 'outcome-without-allow')).toMatchObject([
      { intentId: intentIdNamed('drop'), agentId: 'repair', action: null },
    ]);
    expect(await record.remit('audit', 'gaps', '--agent', 'nobody')).toMatchObject({
      code: 0,
      out: 'Everything adds up.\n',
    });
  });

  it('shows a chain by its id or by a trace that ran through it, with the authority each agent had', async () => {
    await record.history.append(incident);
    const byChain = await record.remit('chain', 'incident-42');
    const byTrace = await record.remit('chain', TRACE_ID);
    expect(byTrace).toEqual(byChain);
    expect(byChain.out).toContain('upstream: triage');
    expect(byChain.out).toContain(`trace ${TRACE_ID}`);
    expect(byChain.err).toContain('REMIT_JAEGER_URL');
    const jaeger = { REMIT_JAEGER_URL: 'http://127.0.0.1:16686' };
    const linked = await record.remitWith(jaeger, 'chain', 'incident-42');
    expect(linked.out).toContain(`Jaeger: http://127.0.0.1:16686/trace/${TRACE_ID}  (`);
    const json = await record.remitWith(jaeger, 'chain', 'incident-42', '--json');
    expect((JSON.parse(json.out) as { traces: object[] }).traces).toEqual([
      {
        traceId: TRACE_ID,
        url: `http://127.0.0.1:16686/trace/${TRACE_ID}`,
        from: new Date(Math.min(...incident.map(({ appendTime }) => appendTime))).toISOString(),
        to: new Date(Math.max(...incident.map(({ appendTime }) => appendTime))).toISOString(),
      },
    ]);
    expect(await record.remit('chain', 'f'.repeat(32))).toMatchObject({
      code: 1,
      err: expect.stringContaining('REMIT_CHAIN_UNKNOWN') as unknown,
    });
    const approved = decisions
      .map((message) => dataOf(message) as unknown as Decision)
      .find(({ round, outcome }) => round === 2 && outcome === 'allow');
    const { out } = await record.remit('chain', approved?.chainId ?? '');
    expect(out).toMatch(/grant hold:\w+#1 of \w+, approved by \w+, \w+, until/);
    expect(out).toContain('scope: ');
  });
});

describe('a record in which a decision was forged', () => {
  it('does not replay: the forgery is named, and the command fails', async () => {
    const forged = stories.map((message) => {
      if (message.topic !== TOPICS.agentDecisions.name || dataOf(message)['outcome'] !== 'deny') return message;
      const value = String(message.value).replace('"outcome":"deny"', '"outcome":"allow"');
      return { ...message, value: Buffer.from(value) };
    });
    const record = await KeptRecord.holding(forged);
    try {
      const { code, out } = await record.remit('replay');
      expect(out).toContain('DIFFERENT, though judged by the same engine');
      expect(out).toContain('outcome');
      expect(code).toBe(1);
    } finally {
      await record.drop();
    }
  });
});
