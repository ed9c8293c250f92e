import type { Severity } from '../decision/decision.js';
import { boundedMemo } from '../matching/bounded-memo.js';
import { compileGlob, hasWildcard } from '../matching/glob.js';
import { expressionReader, type Condition, type ExpressionProblem, type ExpressionSchema } from './cel-expressions.js';
import { ROOTS, ROOT_CLASSES, type PolicyVariables } from './cel-variables.js';

/** A policy as the charter states it. */
export interface PolicyStatement {
  readonly id: string;
  readonly severity: Severity;
  readonly scope?:
    | {
        readonly actions?: readonly string[] | undefined;
        readonly systems?: readonly string[] | undefined;
        readonly agents?: readonly string[] | undefined;
      }
    | undefined;
  readonly violated_when: string;
  readonly effect: 'deny' | 'hold';
  readonly unless_granted?: string | undefined;
  readonly reason: string;
}

export interface PolicyProblem extends ExpressionProblem {
  readonly policy: string;
}

export type PolicyCompilation =
  | { readonly ok: true; readonly programs: PolicyPrograms }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

/** Which policies speak of an action. */
export interface PolicyOccasion {
  readonly actionType: string;
  readonly target: string;
  readonly agentId: string;
}

/** A policy that is violated. `failed`: its condition could not be evaluated, which counts as true; the code says why. */
export interface PolicyViolation {
  readonly policy: PolicyStatement;
  readonly failed?: string;
}

export interface PolicyOutcome {
  readonly violated: readonly PolicyViolation[];
  /** Ids of the policies that applied and were satisfied, or were lifted. */
  readonly passed: readonly string[];
  /** Policies that would be violated, but the agent holds their `unless_granted`. */
  readonly lifted: readonly PolicyViolation[];
}

/** The policies of one charter, compiled. */
export interface PolicyPrograms {
  readonly size: number;
  /**
   * Evaluates every policy that speaks of the action. Never throws and never stops at the first: all violated policies
   * are in the outcome. `skip` leaves out rules that are switched off; `holds` says whether the agent holds a permission.
   */
  evaluate(
    occasion: PolicyOccasion,
    variables: PolicyVariables,
    rules?: { readonly skip?: (policy: string) => boolean; readonly holds?: (permission: string) => boolean },
  ): PolicyOutcome;
}

interface Program {
  readonly policy: PolicyStatement;
  readonly condition: Condition;
  readonly applies: (occasion: PolicyOccasion) => boolean;
}

/** Agents choose what they call their actions, so the answers kept are bounded. */
const REMEMBERED_OCCASIONS = 1_024;

/** Remembers nothing, because the index over all policies does. */
function selects(patterns: readonly string[] | undefined): (text: string) => boolean {
  if (patterns === undefined) return () => true;
  const exact = new Set(patterns.filter((pattern) => !hasWildcard(pattern)));
  const globs = patterns.filter(hasWildcard).map(compileGlob);
  return (text) => exact.has(text) || globs.some((glob) => glob(text));
}

/** Whether a policy speaks of an action. Without a scope it speaks of all. */
function scopeOf({ scope }: PolicyStatement): (occasion: PolicyOccasion) => boolean {
  if (scope === undefined) return () => true;
  const actions = selects(scope.actions);
  const systems = selects(scope.systems);
  const agents = selects(scope.agents);
  return ({ actionType, target, agentId }) => actions(actionType) && systems(target) && agents(agentId);
}

const separator = '\n';

/** The programs for an action, found once for each combination of action, system and agent. */
function indexOf(programs: readonly Program[]): (occasion: PolicyOccasion) => readonly Program[] {
  const everywhere = programs.every(({ policy }) => policy.scope === undefined);
  if (everywhere) return () => programs;
  const found = boundedMemo(REMEMBERED_OCCASIONS, (key: string): readonly Program[] => {
    const [actionType = '', target = '', agentId = ''] = key.split(separator);
    return programs.filter(({ applies }) => applies({ actionType, target, agentId }));
  });
  const byAgent = programs.some(({ policy }) => policy.scope?.agents !== undefined);
  return ({ actionType, target, agentId }) =>
    found(actionType + separator + target + (byAgent ? separator + agentId : ''));
}

/** How the evaluation of a checked expression can fail: the library's words, and those of our own functions. */
const FAILURE_CODES: ReadonlySet<unknown> = new Set([
  'ambiguous_address',
  'bad_pattern',
  'cannot_index_type',
  'division_by_zero',
  'double_conversion_error',
  'index_out_of_bounds',
  'index_out_of_range',
  'int_conversion_error',
  'invalid_comparison_type',
  'invalid_condition_type',
  'invalid_index_type',
  'invalid_logical_operand',
  'modulo_by_zero',
  'no_matching_overload',
  'no_such_key',
  'no_such_overload',
  'not_a_finite_number',
  'numeric_overflow',
  'too_much_work',
  'unexpected_value',
  'unsupported_type',
]);

/** The code of a failure, never its message: messages of the library can quote values. */
function failureCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return FAILURE_CODES.has(code) ? String(code) : 'unexpected_error';
}

/** True: violated. A text: the condition failed, for that reason, which counts as violated. */
function isViolated(condition: Condition, variables: object): boolean | string {
  try {
    const answer = condition(variables);
    return typeof answer === 'boolean' ? answer : 'not_boolean';
  } catch (error) {
    return failureCode(error);
  }
}

/**
 * Compiles the policies of a charter, or returns every problem of every expression. What compiles does bounded work for
 * each intent; an expression that fails or would run long counts as violated.
 */
export function compilePolicies(policies: readonly PolicyStatement[], schema: ExpressionSchema): PolicyCompilation {
  const reader = expressionReader(schema);
  const problems: PolicyProblem[] = [];
  const programs: Program[] = [];
  for (const policy of policies) {
    const reading = reader.read(policy.violated_when);
    if (reading.ok) programs.push({ policy, condition: reading.condition, applies: scopeOf(policy) });
    else problems.push(...reading.problems.map((problem) => ({ ...problem, policy: policy.id })));
  }
  if (problems.length > 0) return { ok: false, problems };

  const programsFor = indexOf(programs);
  return {
    ok: true,
    programs: {
      size: programs.length,
      evaluate(occasion, variables, { skip, holds } = {}) {
        reader.budget.refill();
        const bound: Record<string, object> = {};
        for (const root of ROOTS) bound[root] = new ROOT_CLASSES[root](variables[root]);
        const violated: PolicyViolation[] = [];
        const passed: string[] = [];
        const lifted: PolicyViolation[] = [];
        for (const { policy, condition } of programsFor(occasion)) {
          if (skip?.(policy.id) === true) continue;
          const answer = isViolated(condition, bound);
          if (answer === false) {
            passed.push(policy.id);
            continue;
          }
          const violation: PolicyViolation = answer === true ? { policy } : { policy, failed: answer };
          const permission = policy.unless_granted;
          if (permission !== undefined && holds?.(permission) === true) {
            passed.push(policy.id);
            lifted.push(violation);
          } else {
            violated.push(violation);
          }
        }
        return { violated, passed, lifted };
      },
    },
  };
}
