import { describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decideCase, differencesFrom, loadDecisionCases, type DecisionCases } from './decision-cases.js';

const charter = `
charter:
  charter: cases
  stage: enforce
  systems: { desk: { classification: internal } }
  boundaries: [{ id: verbs, never: [delete] }]
  agents: { clerk: { scope: { actions: ['*'], systems: [desk] } } }
`;

function load(text: string): DecisionCases {
  const folder = mkdtempSync(join(tmpdir(), 'remit-cases-'));
  try {
    const file = join(folder, 'some.cases.yaml');
    writeFileSync(file, text);
    return loadDecisionCases(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function differencesOf(expected: string): string[] {
  const { charter: loaded, cases } = load(
    `${charter}cases:\n  - name: a clerk deletes\n    intent: { agent: clerk, action: { type: delete, target: desk } }\n    expect: ${expected}\n`,
  );
  return cases.flatMap((given) => differencesFrom(given, decideCase(loaded, given)));
}

describe('a decision case', () => {
  it('is met when outcome, rules, reasons and facts are as expected', () => {
    const expected =
      '{ outcome: deny, rules: [boundary/verbs], reason: restricted, passed: [verification/intended-scope] }';
    expect(differencesOf(expected)).toEqual([]);
  });

  it.each([
    ['another outcome', '{ outcome: allow, rules: [boundary/verbs] }', 'outcome: expected allow, got deny'],
    ['a missing rule', '{ outcome: deny, rules: [] }', 'rules: expected no rule, got boundary/verbs'],
    [
      'a rule too many',
      '{ outcome: deny, rules: [boundary/verbs, policy/x] }',
      'rules: expected boundary/verbs, policy/x, got boundary/verbs',
    ],
    ['another reason', '{ outcome: deny, rules: [boundary/verbs], reason: holiday }', 'reason: expected "holiday"'],
    [
      'a rule that did not pass',
      '{ outcome: deny, rules: [boundary/verbs], passed: [boundary/verbs] }',
      'passed: expected',
    ],
    [
      'another reason for not enforcing',
      '{ outcome: deny, rules: [boundary/verbs], notEnforced: { boundary/verbs: shadow } }',
      'notEnforced of boundary/verbs: expected shadow, got enforced',
    ],
    [
      'another fact',
      '{ outcome: deny, rules: [boundary/verbs], facts: { boundary: { classification: public } } }',
      'fact boundary/classification: expected "public", got "internal"',
    ],
  ])('tells %s from what was expected', (_, expected, difference) => {
    expect(differencesOf(expected)).toContainEqual(expect.stringContaining(difference));
  });

  it('says nothing of the rules when it names none, and that there are none by an empty list', () => {
    expect(differencesOf('{ outcome: deny }')).toEqual([]);
    expect(differencesOf('{ outcome: deny, rules: [] }')).toHaveLength(1);
  });

  it('is refused with a field that means nothing, so that no expectation is silently ignored', () => {
    expect(() => differencesOf('{ outcome: deny, rule: [boundary/verbs] }')).toThrow('REMIT_CASES_INVALID');
  });

  it('is refused with a charter that is refused', () => {
    expect(() =>
      load(
        `${charter.replace('enforce', 'enforced')}cases: [{ name: a, intent: { agent: a, action: { type: a, target: a } }, expect: { outcome: deny } }]`,
      ),
    ).toThrow(/REMIT_CASES_INVALID.*stage/s);
  });
});
