import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { sha256 } from '#contracts';
import { checkCharter } from '../charter/check-charter.js';
import type { Charter } from '../charter/charter.js';
import type { Action, Intent } from '../intent/intent.js';
import { INITIAL_AUTHORITY } from '../permission/authority.js';
import { LAYERS, verdictSchema, type Verdict } from './decision.js';
import { foldVerdicts } from './fold.js';
import { judge, judgeWithoutCharter, judgeWithoutFacts, WITHOUT_FACTS } from './judging.js';

const severity = { allow: 0, hold: 1, deny: 2 } as const;

function charterNamed(name: string): Charter {
  const file = join(import.meta.dirname, '../../../charters', `${name}.yaml`);
  const checked = checkCharter(readFileSync(file, 'utf8'), sha256);
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
  return checked.charter;
}

const fintech = charterNamed('fintech-production');
const charters = [fintech, ...['marketing', 'cloud-operations', 'multi-agent'].map(charterNamed)];

function verdictsOn(charter: Charter, agentId: string, action: Action, judgedAt: number): Verdict[] {
  const intent: Intent = { intentId: '01900000-0000-7000-8000-000000000001', agentId, action };
  const input = { intent, actionDigest: 'a'.repeat(64), judgedAt, charter, authority: INITIAL_AUTHORITY };
  return LAYERS.map((layer) => judge(layer, input));
}

function rulesOf(verdicts: readonly Verdict[]): string[] {
  return verdicts.flatMap(({ layer, findings }) => findings.map(({ rule }) => `${layer}/${rule}`));
}

function factsOf(verdicts: readonly Verdict[]): Record<string, unknown> {
  return Object.assign({}, ...verdicts.map(({ facts }) => facts)) as Record<string, unknown>;
}

const charter = fc.constantFrom(...charters);
const instant = fc.integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2030, 0, 1) });

/** Agents, verbs and systems that charters know, and some that they do not. */
const occasion = charter.chain((given) => {
  const systems = [...given.systems.keys(), 'mystery'];
  return fc.record({
    charter: fc.constant(given),
    agentId: fc.constantFrom(...given.agents.keys(), 'stranger'),
    judgedAt: instant,
    action: fc.record(
      {
        type: fc.constantFrom('read', 'transfer', 'unlock_account', 'delete', 'report', 'restart', 'upload_audience'),
        target: fc.constantFrom(...systems),
        destination: fc.constantFrom(...systems, 'warehouse', 'partner.example'),
        parameters: fc.constantFrom({}, { amount: 10 }, { amount: 9999 }),
      },
      { requiredKeys: ['type', 'target'] },
    ),
  });
});

/** The mildest an agent may say: only what the charter permits comes of it. */
const noClaims = { allowOffHours: true };

const claims = fc.record(
  {
    dataClassification: fc.constantFrom('public', 'internal', 'confidential', 'restricted', 'cosmic'),
    integration: fc.constantFrom('google_ads', 'crm_api'),
    environment: fc.constantFrom('production', 'PRODUCTION', 'staging', 'test'),
    containsPii: fc.boolean(),
    allowOffHours: fc.boolean(),
  },
  { requiredKeys: [] },
);

describe('a claim can only tighten', () => {
  it('never takes a finding away and never makes the outcome milder, whatever an agent says of its own action', () => {
    fc.assert(
      fc.property(occasion, claims, ({ charter: given, agentId, action, judgedAt }, claimed) => {
        const without = verdictsOn(given, agentId, { ...action, ...noClaims }, judgedAt);
        const with_ = verdictsOn(given, agentId, { ...action, ...claimed }, judgedAt);
        expect(rulesOf(with_)).toEqual(expect.arrayContaining(rulesOf(without)));
        expect(severity[foldVerdicts(with_).outcome]).toBeGreaterThanOrEqual(severity[foldVerdicts(without).outcome]);
      }),
      { numRuns: 300 },
    );
  });

  it('never makes a fact milder', () => {
    fc.assert(
      fc.property(occasion, claims, ({ charter: given, agentId, action, judgedAt }, claimed) => {
        const without = factsOf(verdictsOn(given, agentId, { ...action, ...noClaims }, judgedAt));
        const with_ = factsOf(verdictsOn(given, agentId, { ...action, ...claimed }, judgedAt));
        const rank = (facts: Record<string, unknown>): number =>
          given.classifications.byName.get(String(facts['classification']))?.rank ?? -1;
        expect(rank(with_)).toBeGreaterThanOrEqual(rank(without));
        if (with_['environment'] !== 'production') expect(with_['environment']).toBe(without['environment']);
        if (with_['offHoursAllowed'] === true) expect(without['offHoursAllowed']).toBe(true);
        expect(with_['integrations'] ?? []).toEqual(
          expect.arrayContaining((without['integrations'] as string[]) ?? []),
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe('judging', () => {
  const anything = fc.record({
    charter,
    agentId: fc.string({ unit: 'binary' }),
    judgedAt: fc.oneof(instant, fc.double(), fc.constantFrom(NaN, Infinity, -1)),
    action: fc.record({
      type: fc.string({ unit: 'binary' }),
      target: fc.oneof(fc.string(), fc.constantFrom('ledger', '__proto__', 'constructor', 'toString')),
      destination: fc.option(fc.string()),
      parameters: fc.dictionary(fc.string(), fc.jsonValue()) as fc.Arbitrary<NonNullable<Action['parameters']>>,
      dataClassification: fc.option(fc.oneof(fc.string(), fc.constant('__proto__'))),
      integration: fc.option(fc.string()),
      environment: fc.option(fc.string()),
    }),
  });

  it('never throws and always gives a well-formed verdict', () => {
    fc.assert(
      fc.property(anything, ({ charter: given, agentId, action, judgedAt }) => {
        for (const verdict of verdictsOn(given, agentId, action, judgedAt)) {
          expect(verdictSchema.parse(verdict)).toEqual(verdict);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('gives the same verdict however often it is asked', () => {
    fc.assert(
      fc.property(occasion, ({ charter: given, agentId, action, judgedAt }) => {
        expect(verdictsOn(given, agentId, action, judgedAt)).toEqual(verdictsOn(given, agentId, action, judgedAt));
      }),
    );
  });

  it('counts an error inside a layer as a violation, and tells it without the engine’s insides', () => {
    const verdicts = verdictsOn(fintech, 'ledger-agent', null as unknown as Action, 0);
    expect(rulesOf(verdicts)).toEqual(LAYERS.map((layer) => `${layer}/layer-error`));
    expect(foldVerdicts(verdicts).outcome).toBe('deny');
    for (const { reason } of verdicts.flatMap(({ findings }) => findings)) {
      expect(reason).not.toMatch(/\n|\.ts|\.js|at .*:\d+/);
    }
  });

  it('denies once when no charter is active', () => {
    const verdicts = LAYERS.map(judgeWithoutCharter);
    expect(rulesOf(verdicts)).toEqual(['boundary/no-active-charter']);
    expect(foldVerdicts(verdicts).outcome).toBe('deny');
  });

  it.each(LAYERS)('denies when the %s layer does not know what was in force, whatever other layers said', (layer) => {
    for (const why of WITHOUT_FACTS) expect(foldVerdicts([judgeWithoutFacts(layer, why)]).outcome).toBe('deny');
  });
});
