import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { sha256 } from '#contracts';
import { LAYERS, decisionSchema, type Finding, type Verdict } from './decision.js';
import { decide, foldVerdicts } from './fold.js';

const finding: fc.Arbitrary<Finding> = fc.record({
  rule: fc.constantFrom('a', 'b', 'c'),
  effect: fc.constantFrom('violation', 'needs-approval'),
  severity: fc.constantFrom('critical', 'non_critical'),
  reason: fc.constant('because'),
  enforced: fc.boolean(),
});
const verdicts: fc.Arbitrary<Verdict[]> = fc
  .tuple(...LAYERS.map(() => fc.array(finding, { maxLength: 3 })))
  .map((all) => LAYERS.map((layer, index) => ({ layer, findings: all[index] ?? [], passed: [], facts: {} })));

const severity = { allow: 0, hold: 1, deny: 2 } as const;

describe('the fold of all verdicts', () => {
  it('denies on any enforced violation, else holds on any enforced need, else allows', () => {
    fc.assert(
      fc.property(verdicts, (given) => {
        const enforced = given.flatMap((verdict) => verdict.findings).filter((one) => one.enforced);
        const denies = enforced.some((one) => one.effect === 'violation');
        const expected = denies ? 'deny' : enforced.length > 0 ? 'hold' : 'allow';
        expect(foldVerdicts(given).outcome).toBe(expected);
      }),
    );
  });

  it('would never be milder if every rule were enforced', () => {
    fc.assert(
      fc.property(verdicts, (given) => {
        const { outcome, wouldBe } = foldVerdicts(given);
        expect(severity[wouldBe]).toBeGreaterThanOrEqual(severity[outcome]);
      }),
    );
  });

  it('is what would be when every rule is enforced', () => {
    fc.assert(
      fc.property(verdicts, (given) => {
        const all = given.map((verdict) => ({
          ...verdict,
          findings: verdict.findings.map((one) => ({ ...one, enforced: true })),
        }));
        expect(foldVerdicts(all)).toEqual({
          outcome: foldVerdicts(given).wouldBe,
          wouldBe: foldVerdicts(given).wouldBe,
        });
      }),
    );
  });

  it('does not depend on the order of layers or findings', () => {
    fc.assert(
      fc.property(verdicts, (given) => {
        const turned = given.toReversed().map((one) => ({ ...one, findings: one.findings.toReversed() }));
        expect(foldVerdicts(turned)).toEqual(foldVerdicts(given));
      }),
    );
  });

  it('never becomes milder by another finding', () => {
    fc.assert(
      fc.property(verdicts, finding, (given, more) => {
        const extra: Verdict = { layer: 'policy', findings: [more], passed: [], facts: {} };
        const after = foldVerdicts([...given, extra]);
        expect(severity[after.outcome]).toBeGreaterThanOrEqual(severity[foldVerdicts(given).outcome]);
        expect(severity[after.wouldBe]).toBeGreaterThanOrEqual(severity[foldVerdicts(given).wouldBe]);
      }),
    );
  });
});

describe('a decision', () => {
  const digest = 'a'.repeat(64);
  const input = {
    intent: {
      intentId: '01900000-0000-7000-8000-000000000001',
      agentId: 'payer',
      action: {
        type: 'transfer',
        target: 'ledger',
        destination: null,
        parameters: { secret: 'iban' },
        integration: null,
      },
      trigger: { type: 'schedule', id: null, description: 'as Maria asked' },
      cause: null,
      onBehalfOf: null,
    },
    actionDigest: digest,
    decisionId: digest,
    stamp: {
      judgedAt: '2026-11-03T12:00:00.000Z',
      source: { topic: 'agent.actions', partition: 3, offset: 7 },
      charter: { digest: null, position: 0 },
      permissions: { position: 0 },
    },
    verdicts: [],
    engine: 'remit/0.1.0',
    sha256,
  };

  it('is valid for thirty seconds from the judged time, in stage enforce, when no charter is active', () => {
    expect(decide(input)).toMatchObject({ stage: 'enforce', validUntil: '2026-11-03T12:00:30.000Z', round: 1 });
  });

  it('is valid for as long as the charter says, in its stage', () => {
    const decision = decide({ ...input, stage: 'observe', decisionTtlMs: 500 });
    expect(decision).toMatchObject({ stage: 'observe', validUntil: '2026-11-03T12:00:00.500Z' });
  });

  it('is of the second round where an ended request for approval has led to it', () => {
    expect(decide({ ...input, secondRound: { requestId: 'hold:1' } })).toMatchObject({ round: 2, requestId: 'hold:1' });
  });

  it('carries the digest of the action and never its parameters, what triggered it and not in which words', () => {
    const decision = decide(input);
    expect(decisionSchema.parse(decision)).toEqual(decision);
    expect(decision.action).toEqual({ type: 'transfer', target: 'ledger', digest });
    expect(decision.trigger).toEqual({ type: 'schedule' });
    expect(decide({ ...input, intent: { ...input.intent, trigger: { type: 'event', id: 'e-1' } } }).trigger).toEqual({
      type: 'event',
      id: 'e-1',
    });
    expect(JSON.stringify(decision)).not.toMatch(/iban|Maria|onBehalfOf|cause/);
  });

  it('belongs to the chain of its own intent when nobody named one', () => {
    expect(decide(input).chainId).toBe(input.intent.intentId);
  });
});
