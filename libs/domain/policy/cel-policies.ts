import type { Severity } from '../decision/decision.js';
import type { Claim } from '../intent/claims.js';
import { boundedMemo } from '../matching/bounded-memo.js';
import { readingsOfDestination } from '../matching/receivers.js';
import { restrictingNames, restrictingVerbs } from '../matching/selection.js';
import { readingsOfVerb } from '../matching/verbs.js';
import {
  expressionReader,
  type Condition,
  type ConditionReads,
  type ExpressionProblem,
  type ExpressionSchema,
} from './cel-expressions.js';
import type { PolicyVariables } from './cel-variables.js';
import { choicesOf, claimedVariables, type ClaimReading, type ClaimSet, type Spelling } from './claim-readings.js';

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

/**
 * A policy that is violated. `failed`: its condition could not be evaluated, which counts as true; the code says why.
 * `claims`: it is violated only when these claims of the agent are taken at their word; left out: by the charter's word.
 */
export interface PolicyViolation {
  readonly policy: PolicyStatement;
  readonly failed?: string;
  readonly claims?: readonly Claim[];
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
   * are in the outcome. `variables` are the charter's word; each policy is evaluated by them and by every choice of the
   * claims it reads, and the strictest answer counts. `skip` leaves out rules that are switched off; `holds` says whether
   * the agent holds a permission.
   */
  evaluate(
    occasion: PolicyOccasion,
    variables: PolicyVariables,
    rules?: {
      readonly claims?: readonly ClaimReading[];
      readonly skip?: (policy: string) => boolean;
      readonly holds?: (permission: string) => boolean;
    },
  ): PolicyOutcome;
}

interface Program extends ConditionReads {
  readonly policy: PolicyStatement;
  readonly condition: Condition;
  readonly applies: (occasion: PolicyOccasion) => boolean;
}

/** Agents choose what they call their actions, so the answers kept are bounded. */
const REMEMBERED_OCCASIONS = 1_024;

/** Whether a policy speaks of an action. Without a scope it speaks of all. */
function scopeOf({ scope }: PolicyStatement): (occasion: PolicyOccasion) => boolean {
  if (scope === undefined) return () => true;
  const actions = restrictingVerbs(scope.actions);
  const systems = restrictingNames(scope.systems);
  const agents = restrictingNames(scope.agents);
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

function sizeOf(claims: ClaimSet): number {
  let size = 0;
  for (let rest = claims; rest !== 0; rest &= rest - 1) size += 1;
  return size;
}

/** More ways of reading one destination than this, and nobody can say where it leads. */
const MAX_READINGS = 32;

/** How a condition reads the verb and the destination of an action; as they are written comes first. */
function spellingsFor({ widely, texts }: Program, action: PolicyVariables['action']): readonly Spelling[] | 'too many' {
  const written: Spelling = { type: action.type, destination: action.destination };
  if (widely.size === 0) return [written];
  const types = widely.has('type') ? [...new Set([action.type, ...readingsOfVerb(action.type, texts)])] : [action.type];
  let destinations = [action.destination];
  if (widely.has('destination') && action.destination !== '') {
    const readings = readingsOfDestination(action.destination);
    if (readings.size > MAX_READINGS) return 'too many';
    destinations = [...new Set([action.destination, ...readings])];
  }
  if (types.length === 1 && destinations.length === 1) return [written];
  return types.flatMap((type) => destinations.map((destination) => ({ type, destination })));
}

/**
 * How a policy is violated: by the charter's word, else by the fewest claims that break it. Every choice is evaluated, also
 * after one has broken it: what the policies after it may cost must not depend on which claim did.
 */
function violationOf(
  program: Program,
  { action }: PolicyVariables,
  variables: ReturnType<typeof claimedVariables>,
  readings: readonly ClaimReading[],
): PolicyViolation | undefined {
  const { policy, condition, claims: read } = program;
  const spellings = spellingsFor(program, action);
  if (spellings === 'too many') return { policy, failed: 'ambiguous_address' };
  const answerTo = (claims: ClaimSet): boolean | string => {
    for (const spelling of spellings) {
      const answer = isViolated(condition, variables(claims, spelling));
      if (answer !== false) return answer;
    }
    return false;
  };
  const bare = answerTo(0);
  if (bare !== false) return bare === true ? { policy } : { policy, failed: bare };
  let present: ClaimSet = 0;
  for (const [bit, { claim }] of readings.entries()) if (read.has(claim)) present |= 1 << bit;
  if (present === 0) return undefined;
  let found: { readonly chosen: ClaimSet; readonly answer: true | string } | undefined;
  for (const chosen of choicesOf(present)) {
    const answer = chosen !== 0 && answerTo(chosen);
    if (answer === false || (found !== undefined && sizeOf(found.chosen) <= sizeOf(chosen))) continue;
    found = { chosen, answer };
  }
  if (found === undefined) return undefined;
  const { chosen, answer } = found;
  const claims = readings.filter((_, bit) => (chosen & (1 << bit)) !== 0).map(({ claim }) => claim);
  return answer === true ? { policy, claims } : { policy, failed: answer, claims };
}

const NO_CLAIMS: readonly ClaimReading[] = [];

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
    if (reading.ok) {
      const { condition, claims, widely, texts } = reading;
      programs.push({ policy, condition, claims, widely, texts, applies: scopeOf(policy) });
    } else problems.push(...reading.problems.map((problem) => ({ ...problem, policy: policy.id })));
  }
  if (problems.length > 0) return { ok: false, problems };

  const programsFor = indexOf(programs);
  return {
    ok: true,
    programs: {
      size: programs.length,
      evaluate(occasion, variables, { claims: readings = NO_CLAIMS, skip, holds } = {}) {
        reader.budget.refill();
        const bound = claimedVariables(variables, readings);
        const violated: PolicyViolation[] = [];
        const passed: string[] = [];
        const lifted: PolicyViolation[] = [];
        for (const program of programsFor(occasion)) {
          const { policy } = program;
          if (skip?.(policy.id) === true) continue;
          const violation = violationOf(program, variables, bound, readings);
          if (violation === undefined) {
            passed.push(policy.id);
            continue;
          }
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
