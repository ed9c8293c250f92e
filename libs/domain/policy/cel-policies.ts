import type { Severity } from '../decision/decision.js';
import type { Claim } from '../intent/claims.js';
import type { JsonValue } from '../intent/intent.js';
import { valuesAt, type ObjectedValue, type Objection, type Place } from '../matching/action-places.js';
import { boundedMemo } from '../matching/bounded-memo.js';
import { readingsOfDestination } from '../matching/receivers.js';
import { restrictingNames, restrictingVerbs } from '../matching/selection.js';
import { readingsOfVerb } from '../matching/verbs.js';
import {
  expressionReader,
  type CheckedExpression,
  type Condition,
  type ExpressionProblem,
  type ExpressionSchema,
} from './cel-expressions.js';
import { ExpressionRefusal, readEntryList, type EntryList, type WorkBudget } from './cel-patterns.js';
import type { ListNamed } from './cel-syntax.js';
import type { PolicyVariables } from './cel-variables.js';
import { choicesOf, stageOf, type ClaimReading, type ClaimSet, type Stage } from './claim-readings.js';

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
  /** When it is violated; or, by place, the values it objects to: it is violated while there is one. One of the two. */
  readonly violated_when?: string | undefined;
  readonly objects_to?: Readonly<Record<string, string>> | undefined;
  readonly effect: 'deny' | 'hold';
  readonly unless_granted?: string | undefined;
  readonly reason: string;
}

export interface PolicyProblem extends ExpressionProblem {
  readonly policy: string;
  /** Which of its expressions: a place of `objects_to`; left out: `violated_when`. */
  readonly place?: string;
}

export type PolicyCompilation =
  | { readonly ok: true; readonly programs: PolicyPrograms }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

/** Which policies speak of an action. */
export interface PolicyOccasion {
  readonly actionType: string;
  /** The target, and every system of the charter that a destination may lead to. */
  readonly systems: readonly string[];
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
   * claims it reads, and for each destination where it looks at one; the strictest answer counts. `skip` leaves out rules
   * that are switched off; `lifts` says whether a permission lifts a policy.
   */
  evaluate(
    occasion: PolicyOccasion,
    variables: PolicyVariables,
    rules?: {
      readonly claims?: readonly ClaimReading[];
      readonly skip?: (policy: string) => boolean;
      readonly lifts?: Lifting;
    },
  ): PolicyOutcome;
}

/** Whether the agent holds the permission of a policy for everything that the policy objects to. */
export type Lifting = (policy: PolicyStatement, objection: Objection) => boolean;

interface Program {
  readonly policy: PolicyStatement;
  /** Of `violated_when` … */
  readonly condition?: CheckedExpression;
  /** … or of `objects_to`. */
  readonly objections?: ReadonlyMap<Place, CheckedExpression>;
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
  return (on) => actions(on.actionType) && on.systems.some((system) => systems(system)) && agents(on.agentId);
}

const NO_OBJECTIONS: ReadonlyMap<Place, CheckedExpression> = new Map();

const separator = '\n';

/** The programs for an action, found once for each combination of action, systems and agent. */
function indexOf(programs: readonly Program[]): (occasion: PolicyOccasion) => readonly Program[] {
  const everywhere = programs.every(({ policy }) => policy.scope === undefined);
  if (everywhere) return () => programs;
  const found = boundedMemo(REMEMBERED_OCCASIONS, (key: string): readonly Program[] => {
    const [actionType = '', agentId = '', ...systems] = key.split(separator);
    return programs.filter(({ applies }) => applies({ actionType, systems, agentId }));
  });
  const byAgent = programs.some(({ policy }) => policy.scope?.agents !== undefined);
  return ({ actionType, systems, agentId }) =>
    found(actionType + separator + (byAgent ? agentId : '') + separator + systems.join(separator));
}

/** How the evaluation of a checked expression can fail: the library's words, and those of our own functions. */
const FAILURE_CODES: ReadonlySet<unknown> = new Set([
  'ambiguous_address',
  'ambiguous_path',
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
  'not_a_list',
  'not_scanned',
  'numeric_overflow',
  'too_much_work',
  'unexpected_type',
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

/** One destination of an intent as `action.destination`. */
interface View {
  readonly destination: string;
  /** As it is written and in every other way it may be read; undefined: in too many ways. */
  readonly readings: () => readonly string[] | undefined;
}

/** The values of one intent, as expressions see them. */
interface Sight {
  readonly type: string;
  readonly parameters: Readonly<Record<string, JsonValue>>;
  readonly destinations: readonly string[];
  /** Every destination in every way it may be read, as they are written first; undefined: in too many ways. */
  readonly destinationsAsRead: () => readonly string[] | undefined;
  readonly readings: readonly ClaimReading[];
  readonly stage: Stage;
  /** With the first destination, or with each of several. */
  readonly first: View;
  readonly each: readonly View[];
}

function readingsOf(destination: string): readonly string[] | undefined {
  if (destination === '') return [destination];
  const readings = readingsOfDestination(destination);
  return readings.size > MAX_READINGS ? undefined : [...new Set([destination, ...readings])];
}

function once<Value>(compute: () => Value): () => Value {
  let known: { readonly value: Value } | undefined;
  return () => (known ??= { value: compute() }).value;
}

function sightOf(variables: PolicyVariables, readings: readonly ClaimReading[]): Sight {
  const { type, parameters, destination, destinations } = variables.action;
  const viewOf = (one: string): View => ({ destination: one, readings: once(() => readingsOf(one)) });
  const first = viewOf(destination);
  const each = destinations.length > 1 ? [...new Set(destinations)].map(viewOf) : destinations.map(() => first);
  const destinationsAsRead = once(() => {
    const all = each.map((view) => view.readings());
    return all.every((one) => one !== undefined) ? [...new Set([...destinations, ...all.flat()])] : undefined;
  });
  return {
    type,
    parameters,
    destinations,
    destinationsAsRead,
    readings,
    stage: stageOf(variables, readings),
    first,
    each,
  };
}

/** The destinations that an expression is evaluated for: each, where it looks at one of several. */
function viewsOf({ reads }: CheckedExpression, { first, each }: Sight): readonly View[] {
  return reads.oneDestination && each.length > 1 ? each : [first];
}

/** The claims of the intent that an expression reads. */
function claimsRead({ claims }: CheckedExpression, { readings }: Sight): ClaimSet {
  let present: ClaimSet = 0;
  for (const [bit, { claim }] of readings.entries()) if (claims.has(claim)) present |= 1 << bit;
  return present;
}

/**
 * Evaluates an expression for one destination in every way in which it reads the action, as it is written first, until
 * `goOn` has enough. What an evaluation has not looked at is not varied: the answer would be the same. Says whether the
 * destination made a difference.
 */
function evaluateSpellings(
  expression: CheckedExpression,
  sight: Sight,
  view: View,
  claims: ClaimSet,
  budget: WorkBudget,
  goOn: (variables: object) => boolean,
): boolean {
  const { widely, texts, cost } = expression;
  const { type, destinations, destinationsAsRead, stage, first } = sight;
  const types = widely.has('type') ? [...new Set([type, ...readingsOfVerb(type, texts)])] : [type];
  const places = widely.has('destination') ? view.readings() : [view.destination];
  const asRead = widely.has('destinations') ? destinationsAsRead() : destinations;
  if (places === undefined || asRead === undefined) throw new ExpressionRefusal('ambiguous_address');
  const lists = asRead.length === destinations.length ? [destinations] : [destinations, asRead];
  const isWritten = types.length === 1 && places.length === 1 && lists.length === 1;
  if (isWritten && view === first && claimsRead(expression, sight) === 0) {
    budget.spend(cost);
    goOn(stage.plain());
    return false;
  }
  const { looked } = stage;
  let destinationMatters = false;
  for (const one of types) {
    let typeMatters = false;
    for (const destination of places) {
      let placeMatters = false;
      for (const list of lists) {
        budget.spend(cost);
        const goesOn = goOn(stage.set(claims, view.destination, { type: one, destination, destinations: list }));
        typeMatters ||= looked.type;
        placeMatters ||= looked.destination;
        if (!goesOn) return destinationMatters || placeMatters;
        if (!looked.destinations) break;
      }
      destinationMatters ||= placeMatters;
      if (!placeMatters) break;
    }
    if (!typeMatters) break;
  }
  return destinationMatters;
}

/** Whether a condition is violated for one destination, and whether that depends on it. */
function answerOf(
  expression: CheckedExpression,
  sight: Sight,
  view: View,
  claims: ClaimSet,
  budget: WorkBudget,
): { readonly answer: boolean | string; readonly depends: boolean } {
  let answer: boolean | string = false;
  try {
    const depends = evaluateSpellings(expression, sight, view, claims, budget, (variables) => {
      answer = isViolated(expression.condition, variables);
      return answer === false;
    });
    return { answer, depends };
  } catch (error) {
    return { answer: failureCode(error), depends: true };
  }
}

/** How a policy is violated, and what it objects to, which is worked out when somebody asks. */
interface Judged {
  readonly how: Omit<PolicyViolation, 'policy'>;
  readonly objection: () => Objection;
}

type EntriesOf = (list: ListNamed) => EntryList;

/** Nothing more is evaluated for the intent: every policy that is left counts as violated. */
const EXHAUSTED = 'too_much_work';

/** What a choice of claims comes to, for every choice that agrees with it on the claims that were looked at. */
interface Answered {
  readonly chosen: ClaimSet;
  readonly looked: ClaimSet;
}

/**
 * How a condition is violated: by the charter's word, else by the fewest claims that break it. Every choice that can make a
 * difference is evaluated, also after one has broken it: what the policies after it may cost must not depend on which claim did.
 */
function howViolated(expression: CheckedExpression, sight: Sight, budget: WorkBudget): Judged['how'] | undefined {
  if (budget.isSpent()) return { failed: EXHAUSTED };
  const views = viewsOf(expression, sight);
  const answerBy = (claims: ClaimSet): boolean | string => {
    sight.stage.looked.claims = 0;
    let answer: boolean | string = false;
    for (const view of views) {
      const one = answerOf(expression, sight, view, claims, budget);
      if (answer === false || typeof one.answer === 'string') answer = one.answer;
      if (answer === EXHAUSTED || !one.depends) break;
    }
    return answer;
  };
  const bare = answerBy(0);
  if (bare !== false) return bare === true ? {} : { failed: bare };
  const present = claimsRead(expression, sight);
  if (present === 0) return undefined;
  const answered: Answered[] = [{ chosen: 0, looked: sight.stage.looked.claims }];
  let found: { readonly chosen: ClaimSet; readonly answer: true | string } | undefined;
  for (const chosen of choicesOf(present)) {
    if (answered.some((one) => (one.chosen & one.looked) === (chosen & one.looked))) continue;
    const answer = answerBy(chosen);
    answered.push({ chosen, looked: sight.stage.looked.claims });
    if (answer === false || (found !== undefined && sizeOf(found.chosen) <= sizeOf(chosen))) continue;
    found = { chosen, answer };
    if (answer === EXHAUSTED) break;
  }
  if (found === undefined) return undefined;
  const { chosen, answer } = found;
  const claims = sight.readings.filter((_, bit) => (chosen & (1 << bit)) !== 0).map(({ claim }) => claim);
  return answer === true ? { claims } : { failed: answer, claims };
}

/** The destinations for which a condition is violated, whatever the agent is believed. */
function destinationsAgainst(expression: CheckedExpression, sight: Sight, budget: WorkBudget): readonly string[] {
  const views = viewsOf(expression, sight);
  if (views.length < 2) return sight.destinations;
  const choices = [...choicesOf(claimsRead(expression, sight))];
  return views
    .filter(
      (view) =>
        budget.isSpent() ||
        choices.some((claims) => answerOf(expression, sight, view, claims, budget).answer !== false),
    )
    .map(({ destination }) => destination);
}

function judgeCondition(
  expression: CheckedExpression,
  sight: Sight,
  entriesOf: EntriesOf,
  budget: WorkBudget,
): Judged | undefined {
  const how = howViolated(expression, sight, budget);
  if (how === undefined) return undefined;
  const objection = (): Objection => {
    const values: ObjectedValue[] = [];
    const { places } = expression.reads;
    for (const [place, tests] of places) {
      const there = place === 'destination' ? destinationsAgainst(expression, sight, budget) : valuesAt(place, sight);
      // A condition that failed has said nothing about any of them.
      const all = how.failed !== undefined || tests.some(({ objects }) => objects === 'all');
      const named = tests.flatMap((test) =>
        test.objects === 'all' ? [] : [{ ...test, entries: entriesOf(test.list) }],
      );
      for (const value of there) {
        const isObjected = named.some(({ objects, entries }) => {
          if (typeof value !== 'string') return true;
          const has = (text: string): boolean => {
            budget.spend(entries.cost(text.length));
            return entries.has(text);
          };
          if (objects === 'outside') return !has(value);
          // What restricts has read a destination in every way.
          return place === 'destination' ? (readingsOf(value)?.some(has) ?? true) : has(value);
        });
        if (all || isObjected) values.push({ place, value });
      }
    }
    return { places: [...places.keys()], values };
  };
  return { how, objection };
}

/** The values that an expression yields, as JSON: the items of a list, or one value. */
function objectedItems(answer: unknown): readonly JsonValue[] {
  return (Array.isArray(answer) ? answer : [answer]).map((item: unknown) =>
    typeof item === 'bigint' ? Number(item) : (item as JsonValue),
  );
}

/** The destinations that are meant by one reading of them. */
function destinationsReadAs(reading: JsonValue, { destinations, each }: Sight): readonly JsonValue[] {
  if (typeof reading !== 'string' || destinations.includes(reading)) return [reading];
  const meant = each.filter((view) => view.readings()?.includes(reading));
  return meant.length === 0 ? [reading] : meant.map(({ destination }) => destination);
}

/** What an expression objects to at its place. */
function objectedBy(
  expression: CheckedExpression,
  place: Place,
  sight: Sight,
  budget: WorkBudget,
): { readonly objected: ReadonlySet<JsonValue>; readonly failed?: string } {
  const objected = new Set<JsonValue>();
  let failed: string | undefined;
  const views = viewsOf(expression, sight);
  for (const claims of choicesOf(claimsRead(expression, sight))) {
    for (const view of views) {
      try {
        const depends = evaluateSpellings(expression, sight, view, claims, budget, (variables) => {
          for (const value of objectedItems(expression.condition(variables))) {
            const meant = place === 'destination' ? destinationsReadAs(value, sight) : [value];
            for (const one of meant) objected.add(one);
          }
          return true;
        });
        if (!depends) break;
      } catch (error) {
        failed ??= failureCode(error);
        for (const value of valuesAt(place, sight)) objected.add(value);
        if (budget.isSpent()) return { objected, failed };
      }
    }
  }
  return { objected, ...(failed === undefined ? {} : { failed }) };
}

function judgeObjections(
  objections: ReadonlyMap<Place, CheckedExpression>,
  sight: Sight,
  budget: WorkBudget,
): Judged | undefined {
  const values: ObjectedValue[] = [];
  let failed: string | undefined;
  for (const [place, expression] of objections) {
    // What is not there cannot be objected to.
    if (valuesAt(place, sight).length === 0) continue;
    const one = objectedBy(expression, place, sight, budget);
    failed ??= one.failed;
    for (const value of one.objected) values.push({ place, value });
  }
  if (values.length === 0) return undefined;
  const objection = { places: [...objections.keys()], values };
  return { how: failed === undefined ? {} : { failed }, objection: () => objection };
}

/** Whether a permission lifts what a policy objects to. What cannot be worked out is not lifted. */
function isLifted(policy: PolicyStatement, { objection }: Judged, lifts: Lifting): boolean {
  try {
    return lifts(policy, objection());
  } catch {
    return false;
  }
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
    const { id, violated_when: condition, objects_to: objectsTo } = policy;
    const applies = scopeOf(policy);
    if (condition !== undefined) {
      const reading = reader.read(condition);
      if (reading.ok) programs.push({ policy, condition: reading, applies });
      else problems.push(...reading.problems.map((problem) => ({ ...problem, policy: id })));
      continue;
    }
    const objections = new Map<Place, CheckedExpression>();
    for (const [place, expression] of Object.entries(objectsTo ?? {})) {
      const reading = reader.read(expression, 'list');
      if (reading.ok) objections.set(place as Place, reading);
      else problems.push(...reading.problems.map((problem) => ({ ...problem, policy: id, place })));
    }
    programs.push({ policy, objections, applies });
  }
  if (problems.length > 0) return { ok: false, problems };

  const programsFor = indexOf(programs);
  const compiledLists = new WeakMap<readonly string[], EntryList>();
  const entriesOf: EntriesOf = (list) => {
    const entries = 'name' in list ? (schema.lists[list.name] ?? []) : list.entries;
    const compiled = compiledLists.get(entries) ?? readEntryList(entries);
    compiledLists.set(entries, compiled);
    return compiled;
  };
  return {
    ok: true,
    programs: {
      size: programs.length,
      evaluate(occasion, variables, { claims: readings = NO_CLAIMS, skip, lifts } = {}) {
        reader.budget.refill();
        const sight = sightOf(variables, readings);
        const violated: PolicyViolation[] = [];
        const passed: string[] = [];
        const lifted: PolicyViolation[] = [];
        for (const { policy, condition, objections } of programsFor(occasion)) {
          if (skip?.(policy.id) === true) continue;
          const judged =
            condition === undefined
              ? judgeObjections(objections ?? NO_OBJECTIONS, sight, reader.budget)
              : judgeCondition(condition, sight, entriesOf, reader.budget);
          if (judged === undefined) {
            passed.push(policy.id);
            continue;
          }
          const violation: PolicyViolation = { policy, ...judged.how };
          if (policy.unless_granted !== undefined && lifts !== undefined && isLifted(policy, judged, lifts)) {
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
