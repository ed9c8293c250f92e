import { afterEach, describe, expect, it } from '@jest/globals';
import { foldChain, type ChainTree } from '#domain';
import {
  chainScriptSchema,
  erasedIn,
  eventsOfScript,
  intentIdNamed,
  orphansOf,
  OtlpReceiver,
  rootsOf,
  SCRIPT_START,
  treeOf,
} from '#testing';
import { recordedTrace, sendRecordedTrace } from './recorded-trace.js';

function chain(events: readonly unknown[], erased: readonly string[] = []): ChainTree {
  const script = chainScriptSchema.parse({ chain: 'incident', agents: ['triage', 'diagnosis', 'remediation'], events });
  return foldChain(script.chain, erasedIn(eventsOfScript(script), erased.map(intentIdNamed)));
}

const incident = chain([
  { intent: 'ask', agent: 'triage', at: 0, action: 'delegate', on_behalf_of: 'maria@shop.example' },
  { decision: 'ask', outcome: 'allow', at: 5 },
  { report: 'ask', status: 'executed', at: 9 },
  { intent: 'repair', agent: 'diagnosis', at: 20, action: 'delegate', cause: 'ask' },
  { decision: 'repair', outcome: 'allow', at: 23 },
  { intent: 'drop', agent: 'remediation', at: 40, action: 'drop', cause: 'repair' },
  {
    decision: 'drop',
    outcome: 'deny',
    at: 47,
    findings: [{ layer: 'boundary', rule: 'action-restriction', reason: 'drop is never allowed' }],
  },
]);

describe('a chain told from the record', () => {
  let collector: OtlpReceiver | undefined;

  afterEach(async () => {
    await collector?.stop();
    collector = undefined;
  });

  it('is one trace with the original times, by the names of the live one', async () => {
    collector = await OtlpReceiver.start();
    const trace = recordedTrace(incident);
    await sendRecordedTrace(trace, collector.endpoint);
    const { spans } = collector;
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([trace.traceId]));
    expect(orphansOf(spans)).toEqual([]);
    expect(treeOf(spans)).toEqual([
      'triage: invoke_agent triage',
      '  triage: send agent.actions',
      '    remit: process agent.actions',
      '      remit: send agent.decisions',
      '  triage: execute_tool delegate',
      '    triage: send agent.outcomes',
      '    diagnosis: invoke_agent diagnosis',
      '      diagnosis: send agent.actions',
      '        remit: process agent.actions',
      '          remit: send agent.decisions',
      '      remediation: invoke_agent remediation',
      '        remediation: send agent.actions',
      '          remit: process agent.actions',
      '            remit: send agent.decisions',
    ]);
    const [root] = rootsOf(spans);
    expect([root?.began, root?.ended]).toEqual([SCRIPT_START, SCRIPT_START + 9]);
    const denied = spans.find(
      ({ attributes, name }) => name.startsWith('send') && attributes['remit.outcome'] === 'deny',
    );
    expect(denied?.error).toBe('boundary/action-restriction: drop is never allowed');
    expect(denied?.attributes).toMatchObject({
      'agent.id': 'remediation',
      'remit.chain.id': 'incident',
      'remit.rule': 'action-restriction',
      'remit.intent.id': intentIdNamed('drop'),
      'remit.from_record': true,
    });
    const allowed = spans.find(
      ({ name, attributes }) => name === 'send agent.decisions' && attributes['agent.id'] === 'triage',
    );
    const executed = spans.find(({ name }) => name === 'execute_tool delegate');
    expect(executed?.links).toEqual([{ traceId: trace.traceId, spanId: allowed?.spanId }]);
    expect(JSON.stringify(spans)).not.toContain('maria@shop.example');
  });

  it('says that an action failed, and leaves in the record what its agent says of that', () => {
    const { spans } = recordedTrace(
      chain([
        { intent: 'pay', agent: 'triage', at: 0, action: 'pay' },
        { decision: 'pay', outcome: 'allow', at: 5 },
        { report: 'pay', status: 'failed', detail: 'no account DE-secret of maria@shop.example', at: 9 },
      ]),
    );
    expect(spans.find(({ name }) => name === 'execute_tool pay')?.status).toEqual({ code: 2, message: 'failed' });
    expect(JSON.stringify(spans)).not.toMatch(/DE-secret|maria/);
  });

  it('after an erasure has the same spans, each saying that its content is gone', () => {
    const events = [
      { intent: 'pay', agent: 'triage', at: 0, action: 'pay', on_behalf_of: 'maria@shop.example' },
      { decision: 'pay', outcome: 'allow', at: 5 },
      { report: 'pay', status: 'failed', detail: 'no account', at: 9 },
      { intent: 'unjudged', agent: 'triage', at: 20, action: 'pay' },
    ];
    const [before, after] = [chain(events), chain(events, ['pay', 'unjudged'])].map(recordedTrace);
    expect(after?.traceId).toBe(before?.traceId);
    expect(after?.spans.map(({ name, began, ended, status }) => ({ name, began, ended, status }))).toEqual(
      before?.spans.map(({ name, began, ended, status }) => ({ name, began, ended, status })),
    );
    expect(after?.spans.map(({ attributes }) => attributes['remit.content_erased'])).toEqual(
      after?.spans.map(() => true),
    );
    expect(JSON.stringify(before?.spans)).not.toContain('remit.content_erased');
    const [report] = after?.spans.filter(({ name }) => name === 'send agent.outcomes') ?? [];
    expect(report?.attributes).toMatchObject({ 'remit.outcome.status': 'failed' });
    expect(report?.attributes['remit.decision.id']).toBeUndefined();
  });

  it('sent again is the same trace, span for span', () => {
    expect(recordedTrace(incident)).toEqual(recordedTrace(incident));
  });

  it('has no orphan where the record lacks an intent, and no circle where agents name each other as cause', () => {
    for (const tree of [
      chain([
        { lost: 'gone', agent: 'triage', at: 0 },
        { decision: 'gone', outcome: 'allow', at: 3 },
        { intent: 'next', agent: 'diagnosis', at: 5, cause: 'gone' },
      ]),
      chain([
        { intent: 'a', agent: 'triage', at: 0, cause: 'b' },
        { intent: 'b', agent: 'diagnosis', at: 5, cause: 'a' },
      ]),
    ]) {
      const { spans } = recordedTrace(tree);
      const ids = new Set(spans.map(({ spanId }) => spanId));
      expect(ids.size).toBe(spans.length);
      expect(spans.filter(({ parentId }) => parentId !== undefined && !ids.has(parentId))).toEqual([]);
      expect(spans.filter(({ parentId }) => parentId === undefined).length).toBeGreaterThan(0);
    }
  });

  it('is refused with a code where nobody takes it', async () => {
    await expect(sendRecordedTrace(recordedTrace(incident), 'http://127.0.0.1:1')).rejects.toMatchObject({
      code: 'REMIT_TRACE_NOT_DELIVERED',
    });
  });
});
