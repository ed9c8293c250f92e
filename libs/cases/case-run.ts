import { LAYERS, type Charter, type Decision } from '#domain';
import { decideCase, differencesFrom, type DecisionCases } from './decision-cases.js';

/** What came of one case. */
export interface CaseResult {
  readonly file: string;
  readonly name: string;
  readonly outcome: string;
  readonly wouldBe: string;
  /** Every rule with a finding, as `layer/rule`. */
  readonly rules: readonly string[];
  /** Empty: as the case expects. */
  readonly differences: readonly string[];
}

/** A charter's cases, played, and the rules that no case has ever broken. */
export interface CaseRun {
  readonly results: readonly CaseResult[];
  /** `layer/rule` of the charter's own rules, with the number of cases that had a finding of it. */
  readonly hits: ReadonlyMap<string, number>;
}

/** The rules a charter declares by name, as `layer/rule`: what its cases should break at least once each. */
export function rulesDeclaredBy(charter: Charter): string[] {
  const { boundaries = [], permissions, policies } = charter.document;
  return [
    ...boundaries.map(({ id }) => `boundary/${id}`),
    ...Object.entries(permissions)
      .filter(([, permission]) => permission.required_for !== undefined)
      .map(([name]) => `permission/required-permission:${name}`),
    ...policies.map(({ id }) => `policy/${id}`),
  ];
}

function rulesIn(decision: Decision): string[] {
  return LAYERS.flatMap((layer) =>
    decision.verdicts
      .filter((verdict) => verdict.layer === layer)
      .flatMap(({ findings }) => findings.map(({ rule }) => `${layer}/${rule}`)),
  );
}

/** Judges every case of one charter. */
export function runCases(charter: Charter, files: readonly DecisionCases[]): CaseRun {
  const hits = new Map(rulesDeclaredBy(charter).map((rule) => [rule, 0]));
  const results = files.flatMap(({ file, cases }) =>
    cases.map((given) => {
      const decision = decideCase(charter, given);
      const rules = rulesIn(decision);
      for (const rule of rules) {
        const before = hits.get(rule);
        if (before !== undefined) hits.set(rule, before + 1);
      }
      return {
        file,
        name: given.name,
        outcome: decision.outcome,
        wouldBe: decision.wouldBe,
        rules,
        differences: differencesFrom(given, decision),
      };
    }),
  );
  return { results, hits };
}
