import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { chainScriptSchema, eventsOfScript, intentIdNamed } from '#testing';
import { foldChain } from './chain.js';
import { inertText, renderChain } from './chain-rendering.js';

function rendered(script: unknown): string {
  const played = chainScriptSchema.parse(script);
  return renderChain(foldChain(played.chain, eventsOfScript(played)));
}

describe('a chain on paper', () => {
  it('counts one action as one', () => {
    const text = rendered({ chain: 'c', agents: ['payer'], events: [{ intent: 'pay', agent: 'payer', at: 0 }] });
    expect(text).toContain('chain c: 1 action, 1 agent\n');
  });

  it('names, for a denied action, the agents behind it, what started it, and the rule that stopped it', () => {
    const text = rendered({
      chain: 'incident 4711',
      agents: ['triage', 'diagnosis', 'remediation'],
      events: [
        {
          intent: 'ask',
          agent: 'triage',
          at: 0,
          action: 'delegate',
          target: 'agent-bus',
          trigger: 'checkout is slow',
          on_behalf_of: 'maria@shop.example',
        },
        { decision: 'ask', outcome: 'allow', at: 5 },
        { report: 'ask', status: 'executed', at: 9, detail: 'asked' },
        { intent: 'repair', agent: 'diagnosis', at: 20, action: 'delegate', target: 'agent-bus', cause: 'ask' },
        { decision: 'repair', outcome: 'allow', at: 23 },
        { intent: 'drop', agent: 'remediation', at: 40, action: 'drop', target: 'orders', cause: 'repair' },
        {
          decision: 'drop',
          outcome: 'deny',
          at: 47,
          findings: [{ layer: 'boundary', rule: 'action-restriction', reason: 'drop is never allowed' }],
        },
        { intent: 'look', agent: 'diagnosis', at: 50, cause: 'drop' },
      ],
    });
    expect(`\n${text}\n`).toBe(`
chain incident 4711: 4 actions, 3 agents
└─ triage: delegate on agent-bus: ALLOW
   │  intent ${intentIdNamed('ask')}
   │  on behalf of maria@shop.example
   │  triggered by user_request "checkout is slow"
   │  decided allow after 5 ms
   │  reported executed after 4 ms: asked
   └─ diagnosis: delegate on agent-bus: ALLOW
      │  intent ${intentIdNamed('repair')}
      │  caused by triage ${intentIdNamed('ask')} (proven), 20 ms before
      │  upstream: triage
      │  decided allow after 3 ms
      └─ remediation: drop on orders: DENY
         │  intent ${intentIdNamed('drop')}
         │  caused by diagnosis ${intentIdNamed('repair')} (proven), 20 ms before
         │  upstream: triage → diagnosis
         │  decided deny after 7 ms
         │    boundary / action-restriction: drop is never allowed (violation, enforced)
         └─ diagnosis: read on reporting: UNDECIDED
               intent ${intentIdNamed('look')}
               caused by remediation ${intentIdNamed('drop')} (CLAIMED: it was denied), 10 ms before
               upstream: triage → diagnosis → remediation (not every cause is proven)
`);
  });

  it('keeps branches apart', () => {
    const shape = rendered({
      agents: ['a', 'b'],
      events: [
        { intent: 'one', agent: 'a', at: 0 },
        { intent: 'two', agent: 'b', at: 1, cause: 'one' },
        { intent: 'three', agent: 'b', at: 2, cause: 'two' },
        { intent: 'four', agent: 'b', at: 3, cause: 'one' },
        { intent: 'five', agent: 'a', at: 4, cause: 'four' },
        { intent: 'six', agent: 'a', at: 5 },
      ],
    })
      .split('\n')
      .filter((line) => line.includes('UNDECIDED'))
      .map((line) => line.slice(0, line.indexOf('─')));
    expect(shape).toEqual(['├', '│  ├', '│  │  └', '│  └', '│     └', '└']);
  });

  it('says what is void, what came too late, and what was done that was not decided', () => {
    const text = rendered({
      agents: ['a', 'b'],
      events: [
        { intent: 'one', agent: 'a', at: 0, action: 'read' },
        { decision: 'one', outcome: 'allow', at: 1001, ttl: 1000 },
        { decision: 'one', outcome: 'deny', at: 900, round: 2 },
        { report: 'one', status: 'executed', at: 2000, action: 'delete' },
        { lost: 'two', agent: 'b', at: 0 },
        { decision: 'two', outcome: 'hold', at: 5 },
        { report: 'unknown', agent: 'b', status: 'failed', at: 9 },
      ],
    });
    expect(text).toContain('decided allow after 1001 ms, VOID: too late');
    expect(text).toContain('reported executed after 1100 ms, NOT WHAT WAS DECIDED');
    expect(text).toContain('the record does not hold the intent itself');
    expect(text).toContain(
      `! b reported failed for intent ${intentIdNamed('unknown')}, which this chain does not hold`,
    );
  });

  it('lets no text from an agent steer the terminal or draw a branch of its own', () => {
    const trick = '\u001b[2J\r\n\u202e\u200b\u0085\u2028\ud800└─';
    const text = rendered({
      chain: trick,
      agents: ['a'],
      events: [
        { intent: 'one', agent: 'a', at: 0, trigger: trick, on_behalf_of: trick },
        { decision: 'one', outcome: 'deny', at: 1, findings: [{ layer: 'policy', rule: trick, reason: trick }] },
        { report: 'one', status: 'failed', at: 2, detail: trick },
      ],
    });
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    expect(text.split('\n').filter((line) => /^\W*└─/.test(line))).toHaveLength(1);
    expect(text).toContain('\\u{1b}[2J\\u{d}\\u{a}\\u{202e}');
  });

  it('escapes text so that two texts never look alike', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const inert = inertText(text);
        expect(inert).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
        const read = inert.replace(/\\(?:\\|u\{([0-9a-f]+)\})/g, (_escape, code?: string) =>
          code === undefined ? '\\' : String.fromCodePoint(parseInt(code, 16)),
        );
        expect(read).toBe(text);
      }),
    );
  });

  it('stays readable in size however deep a chain is', () => {
    const length = 400;
    const text = rendered({
      agents: ['a', 'b'],
      events: Array.from({ length }, (_, i) => ({
        intent: `call ${String(i)}`,
        agent: ['a', 'b'][i % 2],
        at: i,
        cause: `call ${String(i - 1)}`,
      })),
    });
    expect(text).toContain(`(depth ${String(length - 1)}) b: read`);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(250);
  });
});
