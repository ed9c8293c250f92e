import { describe, expect, it } from '@jest/globals';
import { chainScriptSchema, eventsOfScript } from '#testing';
import type { ChainEvent } from './chain-event.js';
import { foldChain, type ChainEvidence } from './chain.js';
import { renderChain } from './chain-rendering.js';

const CHARTER = 'c'.repeat(64);

/** Triage asks diagnosis, diagnosis asks remediation. */
const script = chainScriptSchema.parse({
  chain: 'incident',
  agents: ['triage', 'diagnosis', 'remediation'],
  events: [
    { intent: 'ask', agent: 'triage', at: 0, action: 'delegate', target: 'agent-bus' },
    { decision: 'ask', outcome: 'allow', at: 5 },
    { intent: 'unlock', agent: 'diagnosis', at: 10, action: 'unlock', target: 'vault', cause: 'ask' },
    { decision: 'unlock', outcome: 'allow', at: 15 },
    { intent: 'drop', agent: 'remediation', at: 20, action: 'drop', target: 'orders', cause: 'unlock' },
    { decision: 'drop', outcome: 'deny', at: 25 },
  ],
});

const HOLDINGS: Record<string, unknown[]> = {
  triage: [{ permission: 'delegation', by: 'standing' }],
  diagnosis: [
    { permission: 'vault_access', by: 'grant', grantId: 'g-1', mustReserve: false },
    { permission: 'second', by: 'grant', grantId: 'g-lost', mustReserve: false },
  ],
  remediation: [{ permission: 'drop_tables', by: 'nothing', considered: [{ grantId: 'g-1', why: 'no grant' }] }],
};

function withHoldings(event: ChainEvent): ChainEvent {
  if (event.kind !== 'decision') return event;
  const { decision } = event;
  const verdicts = decision.verdicts.map((verdict) =>
    verdict.layer === 'permission' ? { ...verdict, facts: { permissions: HOLDINGS[decision.agentId] } } : verdict,
  );
  return { ...event, decision: { ...decision, verdicts } };
}

const evidence: ChainEvidence = {
  charters: new Map([
    [
      CHARTER,
      {
        agents: {
          triage: { owner: 'support', purpose: 'sort', scope: { actions: ['delegate'], systems: ['agent-bus'] } },
          diagnosis: { owner: 'operations', scope: { actions: ['unlock', 'read'], systems: ['*'] } },
        },
      },
    ],
  ]),
  grants: [
    {
      event: 'PermissionGranted',
      agentId: 'diagnosis',
      version: 4,
      commandId: 'c-4',
      at: '2026-01-05T08:59:00.000Z',
      by: 'sam',
      reason: 'incident 42',
      grantId: 'g-1',
      permission: 'vault_access',
      constraints: {},
      uses: null,
      expiresAt: '2026-01-05T09:30:00.000Z',
      approvedBy: ['sam', 'olga'],
      charterDigest: CHARTER,
      requestId: 'r-1',
      breakGlass: true,
    },
  ],
  orders: [],
  erased: new Set(),
};

const tree = foldChain('incident', eventsOfScript(script).map(withHoldings), evidence);

describe('who had which authority in a chain', () => {
  it('is told of every action: the scope its charter gave the agent, the permissions its decision rested on', () => {
    expect(tree.actions.map(({ authority }) => authority)).toEqual([
      {
        scope: { owner: 'support', purpose: 'sort', actions: ['delegate'], systems: ['agent-bus'] },
        permissions: [{ permission: 'delegation', by: 'charter' }],
      },
      {
        scope: { owner: 'operations', purpose: null, actions: ['unlock', 'read'], systems: ['*'] },
        permissions: [
          {
            permission: 'vault_access',
            by: 'grant',
            grantId: 'g-1',
            erased: false,
            grant: {
              grantedBy: 'sam',
              approvedBy: ['sam', 'olga'],
              reason: 'incident 42',
              grantedAt: '2026-01-05T08:59:00.000Z',
              expiresAt: '2026-01-05T09:30:00.000Z',
              requestId: 'r-1',
              breakGlass: true,
            },
          },
          { permission: 'second', by: 'grant', grantId: 'g-lost', grant: null, erased: false },
        ],
      },
      { scope: null, permissions: [] },
    ]);
  });

  it('is told of every agent upstream of an action', () => {
    const [, , drop] = tree.actions;
    expect(drop?.upstream.authorities.map(({ agentId, permissions }) => [agentId, permissions.length])).toEqual([
      ['triage', 1],
      ['diagnosis', 2],
    ]);
  });

  it('is told to people in words, with who approved what and which grant nobody can find', () => {
    const text = renderChain(tree);
    for (const sentence of [
      'scope: delegate on agent-bus, owner support',
      'standing permission delegation, by the charter',
      'diagnosis: grant g-1 of vault_access, approved by sam, olga, PAST THE APPROVALS, until 2026-01-05T09:30:00.000Z: incident 42',
      'grant g-lost of second, which the record does not hold',
    ]) {
      expect(text).toContain(sentence);
    }
  });

  it('adds up over several actions of one agent, each permission once', () => {
    const twice = chainScriptSchema.parse({
      ...script,
      events: [
        ...script.events.slice(0, 4),
        { intent: 'again', agent: 'diagnosis', at: 16, action: 'read', target: 'vault', cause: 'unlock' },
        { decision: 'again', outcome: 'allow', at: 17 },
        { intent: 'last', agent: 'triage', at: 18, action: 'delegate', target: 'agent-bus', cause: 'again' },
      ],
    });
    const { actions } = foldChain('incident', eventsOfScript(twice).map(withHoldings), evidence);
    const last = actions.find(({ decisions }) => decisions.length === 0);
    expect(last?.upstream.agents).toEqual(['triage', 'diagnosis']);
    expect(last?.upstream.authorities.map(({ permissions }) => permissions.length)).toEqual([1, 2]);
  });
});

describe('who ended what an action needed', () => {
  const person = { agentId: 'remediation', commandId: 'c-1', at: '2026-01-05T08:59:00.000Z', by: 'olga@bank.example' };
  const suspension = { ...person, event: 'AgentSuspended', version: 3, reason: 'two drops in a\u001b row' } as const;
  const rejection = { ...person, event: 'PermissionRejected', version: 2, requestId: 'r-9', reason: 'a typo' } as const;
  const orders = [
    { ...suspension, version: 1, reason: 'another one' },
    { ...suspension, agentId: 'triage', reason: 'of another agent' },
    suspension,
    { ...rejection, requestId: 'r-8', reason: 'another request' },
    rejection,
  ];

  function toldOf(facts: Record<string, unknown>, known: ChainEvidence['orders'] = orders): string[] {
    const events = eventsOfScript(script).map((event) =>
      event.kind === 'decision' && event.decision.agentId === 'remediation'
        ? { ...event, decision: { ...event.decision, verdicts: [{ layer, findings: [], passed: [], facts }] } }
        : event,
    );
    return renderChain(foldChain('incident', events, { ...evidence, orders: known }))
      .split('\n')
      .filter((line) => /suspended|rejected|cancelled/.test(line))
      .map((line) => line.replace(/^[│ ]*/, ''));
  }
  const layer = 'permission' as const;

  it('is told with their words, although the decision itself names nobody', () => {
    expect(toldOf({ authorityVersion: 4, suspension: { version: 3 } })).toEqual([
      'suspended by olga@bank.example at 2026-01-05T08:59:00.000Z: two drops in a\\u{1b} row',
    ]);
    expect(toldOf({ approval: { requestId: 'r-9', ended: 'rejected' } })).toEqual([
      'rejected by olga@bank.example at 2026-01-05T08:59:00.000Z: a typo',
    ]);
    expect(
      toldOf({ approval: { requestId: 'r-9', ended: 'cancelled' } }, [
        { ...rejection, event: 'PermissionRequestCancelled', reason: 'no need' },
      ]),
    ).toEqual(['cancelled by olga@bank.example at 2026-01-05T08:59:00.000Z: no need']);
  });

  it('is told as erased, or never recorded, where events of that agent were erased', () => {
    const of = (agents: readonly string[]): string => {
      const facts = { suspension: { version: 5 } };
      const events = eventsOfScript(script)
        .map(withHoldings)
        .map((event) =>
          event.kind === 'decision' && event.decision.agentId === 'remediation'
            ? { ...event, decision: { ...event.decision, verdicts: [{ layer, findings: [], passed: [], facts }] } }
            : event,
        );
      return renderChain(foldChain('incident', events, { ...evidence, grants: [], erased: new Set(agents) }));
    };
    expect(of(['diagnosis', 'remediation'])).toContain(
      'grant g-1 of vault_access, which was erased, or never recorded',
    );
    expect(of(['diagnosis', 'remediation'])).toContain('suspended by an order that was erased, or never recorded');
    expect(of(['triage'])).not.toContain('erased');
  });

  it('is told as unknown when the record no longer tells, and not at all when nobody did it', () => {
    expect(toldOf({ suspension: { version: 5 } })).toEqual(['suspended by an order that the record does not hold']);
    expect(toldOf({ authorityVersion: 4, approval: { requestId: 'r-9', ended: 'expired' } })).toEqual([]);
  });
});

describe('an id that is used again', () => {
  const once = eventsOfScript(
    chainScriptSchema.parse({ agents: ['clerk'], events: [{ intent: 'read', agent: 'clerk', at: 0 }] }),
  );
  const [first] = once as [Extract<ChainEvent, { kind: 'intent' }>];
  const sentAgain = (more: object): ChainEvent => ({ ...first, offset: 1, intent: { ...first.intent, ...more } });

  it.each([
    ['on behalf of someone else', { onBehalfOf: 'maria' }],
    ['with another cause', { cause: { agentId: 'triage', intentId: first.intent.intentId } }],
    ['with another trigger', { trigger: { type: 'schedule' } }],
    ['in another chain', { chainId: 'another' }],
  ])('%s is flagged', (_, more) => {
    const [action] = foldChain('the chain', [first, sentAgain(more)]).actions;
    expect(action?.idReused).toBe(true);
  });

  it('with the very same content is a repeat, and no reuse', () => {
    const [action] = foldChain('the chain', [first, sentAgain({})]).actions;
    expect(action?.idReused).toBe(false);
  });
});
