import { Environment, type ASTNode, type ParseResult } from '@marcbachmann/cel-js';
import type { Claim } from '../intent/claims.js';
import { nearestName } from '../matching/near-names.js';
import { policyFunctions, type PatternStore, type PolicyFunction } from './cel-functions.js';
import { inexactNumber, isExactNumber } from '../record/exact-number.js';
import { guardEvaluation } from './cel-guards.js';
import { WORK_PER_STEP, workBudget, type WorkBudget } from './cel-patterns.js';
import { readsOf, type ExpressionReads } from './cel-places.js';
import { childrenOf, selectionOf } from './cel-syntax.js';
import { claimBehind, claimsBehind } from './claim-readings.js';
import {
  FIELDS,
  READ_WIDELY,
  ROOTS,
  ROOT_CLASSES,
  VARIABLES,
  listsClass,
  type ReadWidely,
  type VariableRoot,
} from './cel-variables.js';
import { settledConditions } from './cel-truth.js';
import { numbersOfVariable, strangeComparisons, textsOfVariable, type KnownValues } from './known-values.js';

/** What is wrong with an expression. */
export const EXPRESSION_PROBLEM_CODES = [
  'REMIT_CHARTER_EXPRESSION_EMPTY',
  'REMIT_CHARTER_EXPRESSION_TOO_LARGE',
  'REMIT_CHARTER_EXPRESSION_SYNTAX',
  'REMIT_CHARTER_EXPRESSION_UNKNOWN_NAME',
  'REMIT_CHARTER_EXPRESSION_UNKNOWN_FUNCTION',
  'REMIT_CHARTER_EXPRESSION_REFUSED',
  'REMIT_CHARTER_EXPRESSION_TYPE',
  'REMIT_CHARTER_EXPRESSION_NOT_BOOLEAN',
  'REMIT_CHARTER_EXPRESSION_NO_LIST',
  'REMIT_CHARTER_EXPRESSION_PATTERN',
  'REMIT_CHARTER_EXPRESSION_NEVER',
  'REMIT_CHARTER_EXPRESSION_NUMBER',
  'REMIT_CHARTER_EXPRESSION_VALUE',
] as const;
export type ExpressionProblemCode = (typeof EXPRESSION_PROBLEM_CODES)[number];

export interface ExpressionProblem {
  readonly code: ExpressionProblemCode;
  readonly message: string;
  /** Where in the expression, in characters from 0. */
  readonly offset: number;
  readonly hint?: string;
}

/** What the charter declares for its expressions. */
export interface ExpressionSchema {
  /** By name. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
  /** What its own names let variables be; left out: it is not compared with what expressions say. */
  readonly known?: KnownValues;
}

/** Warnings about expressions. */
export const EXPRESSION_DOUBT_CODES = [
  'REMIT_CHARTER_UNKNOWN_VALUE',
  'REMIT_CHARTER_NEVER_TRUE',
  'REMIT_CHARTER_ALWAYS_TRUE',
] as const;

/** Something in an expression that is most likely not what its author meant. */
export interface ExpressionDoubt {
  readonly code: (typeof EXPRESSION_DOUBT_CODES)[number];
  readonly message: string;
  /** Where in the expression, in characters from 0. */
  readonly offset: number;
  readonly hint?: string;
}

/** A checked condition. Throws when it cannot be evaluated; whoever calls it counts that as true. */
export type Condition = (variables: object) => unknown;

/** What a condition looks at besides the charter's word. */
export interface ConditionReads {
  readonly claims: ReadonlySet<Claim>;
  /** What it reads in every way there is, because it restricts. */
  readonly widely: ReadonlySet<ReadWidely>;
  /** The texts written in it. */
  readonly texts: readonly string[];
  /** The places whose values a grant may name. */
  readonly reads: ExpressionReads;
}

/** An expression of a policy, with what it looks at. */
export interface CheckedExpression extends ConditionReads {
  readonly condition: Condition;
  /** Work of one evaluation, besides what depends on the values. */
  readonly cost: number;
}

export type ExpressionReading =
  | ({ readonly ok: true; readonly doubts: readonly ExpressionDoubt[] } & CheckedExpression)
  | { readonly ok: false; readonly problems: readonly ExpressionProblem[] };

/** Longest expression, in characters. */
export const LONGEST_EXPRESSION = 2_000;

/** Claims that one expression may read: it is evaluated for every choice of them, 64 times at most. */
export const MAX_CLAIMS_READ = 6;

/** Nodes, nesting and literals: with no loops in the language, these bound the work of one evaluation. */
const LIMITS = { maxAstNodes: 250, maxDepth: 32, maxListElements: 64, maxMapEntries: 16, maxCallArguments: 4 };

/** Functions and methods of CEL that are kept: each takes time linear in its arguments, the clock plays no part. */
const KEPT_FUNCTIONS = new Map([
  ['size', 'size(value)'],
  ['has', 'has(action.parameters.name)'],
  ['int', 'int(value)'],
  ['double', 'double(value)'],
  ['string', 'string(value)'],
]);
const KEPT_METHODS = new Set(['contains', 'startsWith', 'endsWith', 'lowerAscii', 'upperAscii', 'trim', 'size']);

const LOOPS = new Set(['all', 'exists', 'exists_one', 'map', 'filter', 'bind']);

const ARITHMETIC: Readonly<Record<string, (left: number, right: number) => number>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => left / right,
  '%': (left, right) => left % right,
};

/** Numbers of expressions are doubles, as in JSON; what counts, such as `size`, is an int and mixes with them. */
function registerNumbers(environment: Environment): void {
  for (const [operator, apply] of Object.entries(ARITHMETIC)) {
    const mixed = (left: number | bigint, right: number | bigint): number => apply(Number(left), Number(right));
    environment.registerOperator(`double ${operator} int: double`, mixed);
    environment.registerOperator(`int ${operator} double: double`, mixed);
    if (operator === '%') environment.registerOperator('double % double: double', mixed);
  }
  environment.registerOperator('double == int: bool', (left: number, right: bigint) => left === Number(right));
}

function environmentOf(schema: ExpressionSchema, functions: readonly PolicyFunction[]): Environment {
  const environment = new Environment({ limits: LIMITS });
  for (const root of ROOTS) {
    const type = `Remit.${root}`;
    environment.registerType(type, { ctor: ROOT_CLASSES[root], fields: FIELDS[root] });
    environment.registerVariable(root, type);
  }
  const names = Object.keys(schema.lists);
  const Lists = listsClass(names);
  const fields = Object.fromEntries(names.map((name) => [name, 'list<string>']));
  environment.registerType('Remit.lists', { ctor: Lists, fields });
  environment.registerConstant('lists', 'Remit.lists', new Lists(schema.lists));
  registerNumbers(environment);
  for (const { signature, run } of functions) environment.registerFunction(signature, run, { async: false });
  return environment;
}

interface Walk {
  readonly expression: string;
  readonly fieldsOf: ReadonlyMap<string, readonly string[]>;
  readonly functions: ReadonlyMap<string, PolicyFunction>;
  readonly patterns: PatternStore;
  readonly problems: ExpressionProblem[];
  readonly claims: Set<Claim>;
  readonly widely: Set<ReadWidely>;
  readonly texts: string[];
  /** What `has` asks for. */
  readonly presence: Set<ASTNode>;
  /** What is compared for equality, so that a text may stand there in place of a number. */
  readonly equated: Set<ASTNode>;
  usesVariables: boolean;
}

function complain(walk: Walk, node: ASTNode, code: ExpressionProblemCode, message: string, hint?: string): void {
  walk.problems.push({ code, message, offset: node.pos, ...(hint === undefined ? {} : { hint }) });
}

function didYouMean(name: string, known: readonly string[], prefix = ''): string | undefined {
  const near = nearestName(name, known);
  if (near !== undefined) return `did you mean \`${prefix}${near}\`?`;
  return known.length === 0 ? undefined : `there is ${known.map((one) => `\`${prefix}${one}\``).join(', ')}`;
}

/** Takes down the claims behind a field, or behind all fields of a root that is looked at whole. */
function readClaims(walk: Walk, root: string, field?: string): void {
  const claims = field === undefined ? claimsBehind(root) : [claimBehind(root, field)];
  for (const claim of claims) if (claim !== undefined) walk.claims.add(claim);
}

function checkVariable(walk: Walk, node: ASTNode, name: string): void {
  walk.usesVariables = true;
  if (walk.fieldsOf.has(name)) return;
  const roots = [...walk.fieldsOf.keys()];
  const owner = roots.find((root) => walk.fieldsOf.get(root)?.includes(name));
  const nearField = roots
    .map((root) => ({ root, field: nearestName(name, walk.fieldsOf.get(root) ?? []) }))
    .find(({ field }) => field !== undefined);
  let hint = didYouMean(name, roots);
  if (owner !== undefined) hint = `did you mean \`${owner}.${name}\`?`;
  else if (nearestName(name, roots) === undefined && nearField !== undefined) {
    hint = `did you mean \`${nearField.root}.${nearField.field ?? ''}\`?`;
  }
  complain(walk, node, 'REMIT_CHARTER_EXPRESSION_UNKNOWN_NAME', `there is no \`${name}\``, hint);
}

function checkField(walk: Walk, node: ASTNode, root: string, field: string): void {
  const fields = walk.fieldsOf.get(root);
  if (fields === undefined || fields.includes(field)) return;
  const what = root === 'lists' ? `this charter declares no list \`${field}\`` : `\`${root}\` has no \`${field}\``;
  const hint = fields.length === 0 ? 'declare it under `lists`' : didYouMean(field, fields);
  complain(walk, node, 'REMIT_CHARTER_EXPRESSION_UNKNOWN_NAME', what, hint);
}

function checkFunction(walk: Walk, node: ASTNode, name: string, given: readonly ASTNode[]): void {
  const own = walk.functions.get(name);
  if (own === undefined && !KEPT_FUNCTIONS.has(name)) {
    const known = [...walk.functions.keys(), ...KEPT_FUNCTIONS.keys()];
    const code = 'REMIT_CHARTER_EXPRESSION_UNKNOWN_FUNCTION';
    complain(walk, node, code, `there is no function \`${name}\``, didYouMean(name, known));
    return;
  }
  const pattern = own?.pattern && given[own.pattern.argument];
  if (own?.pattern === undefined || pattern?.op !== 'value' || typeof pattern.args !== 'string') return;
  const reading = walk.patterns.declare(own.pattern.kind, pattern.args);
  if (reading.ok) return;
  complain(walk, pattern, 'REMIT_CHARTER_EXPRESSION_PATTERN', `the ${own.pattern.kind} ${reading.message}`);
}

function checkMethod(walk: Walk, node: ASTNode, name: string): void {
  if (KEPT_METHODS.has(name)) return;
  const own = walk.functions.get(name);
  if (own !== undefined) {
    const message = `\`${name}\` is no method here`;
    complain(walk, node, 'REMIT_CHARTER_EXPRESSION_REFUSED', message, `write \`${own.usage}\``);
  } else if (LOOPS.has(name)) {
    const message = `\`${name}\` is refused, because what loops can run long`;
    const hint = 'use `inList`, `anyInList`, `anyNotInList`, `itemsNotInList` or `anyParameter`';
    complain(walk, node, 'REMIT_CHARTER_EXPRESSION_REFUSED', message, hint);
  } else {
    const known = [...KEPT_METHODS, ...walk.functions.keys()];
    const code = 'REMIT_CHARTER_EXPRESSION_UNKNOWN_FUNCTION';
    complain(walk, node, code, `there is no method \`${name}\``, didYouMean(name, known));
  }
}

/** A number as it is written, at the start of a text. */
const WRITTEN_NUMBER = /^(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/;

/** A literal that is read as another number would stand for its neighbours too. */
function checkNumber(walk: Walk, node: ASTNode): void {
  if (node.op !== 'value') return;
  const [written] = WRITTEN_NUMBER.exec(walk.expression.slice(node.pos)) ?? [];
  const number = typeof node.args === 'bigint' ? String(node.args) : written;
  if ((typeof node.args !== 'bigint' && typeof node.args !== 'number') || number === undefined) return;
  if (isExactNumber(number)) return;
  const hint = walk.equated.has(node)
    ? 'compare it as a text, which the action then has to give'
    : 'write a number of at most 15 digits';
  complain(walk, node, 'REMIT_CHARTER_EXPRESSION_NUMBER', inexactNumber(number), hint);
}

/** A text that reads like a number, perhaps with signs that people put between digits. */
const NUMBER_IN_QUOTES = /^\s*[-+]?[\d.][\d.,_' ]*(?:[eE][-+]?\d+)?\s*$/;

/** Texts are ordered letter by letter: `"111111111"` comes before `"2500"`. */
function checkOrdered(walk: Walk, node: ASTNode): void {
  if (node.op !== 'value' || typeof node.args !== 'string' || !NUMBER_IN_QUOTES.test(node.args)) return;
  const message = `\`${JSON.stringify(node.args)}\` is a text, and texts are ordered letter by letter: "111111111" comes before "2500"`;
  const plain = node.args.replace(/[^\d.eE+-]/g, '');
  const hint = `write ${plain} without quotes`;
  complain(walk, node, 'REMIT_CHARTER_EXPRESSION_NUMBER', message, hint);
}

/** Literals lose their second kind of number: `9` becomes a double like every other, except where it is an index. */
function makeDouble(node: ASTNode): void {
  if (node.op === 'value' && typeof node.args === 'bigint') (node as { args: unknown }).args = Number(node.args);
}

/** What a part of a condition does when it is true: it breaks the policy, or keeps it, or that cannot be told. */
type Role = 'restricts' | 'allows' | 'either';

function opposite(role: Role): Role {
  if (role === 'either') return role;
  return role === 'restricts' ? 'allows' : 'restricts';
}

const TRUTHS = new Set(['!_', '&&', '||', '==', '!=', '<', '<=', '>', '>=', 'in', '?:']);
const TRUE_OR_FALSE = new Set(['inList', 'anyInList', 'anyNotInList', 'glob', 'matches', 'anyParameter', 'has']);

function isTruth(node: ASTNode): boolean {
  if (node.op === 'value') return typeof node.args === 'boolean';
  if (node.op === 'call') return TRUE_OR_FALSE.has(node.args[0]);
  if (node.op === 'rcall') return ['contains', 'startsWith', 'endsWith'].includes(node.args[0]);
  return TRUTHS.has(node.op);
}

/** Where a condition does not allow by it, a verb or a destination is read in every way there is. */
function readWidely(walk: Walk, node: ASTNode, root: string, field: string, role: Role): void {
  if (root !== 'action' || role === 'allows' || (field !== 'type' && field !== 'destination')) return;
  walk.widely.add(field);
  const [object] = node.args as [ASTNode, unknown];
  (node as { args: unknown }).args = [object, READ_WIDELY[field]];
}

/** Calls that look for the items of a list in another. */
const LOOKS_FOR_ITEMS = new Set(['anyInList', 'itemsInList']);

/** Where an item of `action.destinations` is looked for by a part that does not allow by it, each is read in every way. */
function readListWidely(walk: Walk, node: ASTNode | undefined, role: Role): void {
  if (role === 'allows' || node === undefined || selectionOf(node)?.join('.') !== 'action.destinations') return;
  walk.widely.add('destinations');
  if (node.op === '.') (node as { args: unknown }).args = [node.args[0], READ_WIDELY.destinations];
  else if (node.op === '[]') (node.args[1] as { args: unknown }).args = READ_WIDELY.destinations;
}

/** No list has a member, but a mapping that an agent sends in place of one may have a `length`. */
function checkLength(walk: Walk, node: ASTNode, object: ASTNode): void {
  if (walk.presence.has(node) || selectionOf(object)?.join('.') === 'action.parameters') return;
  const message = '`length` is no number of items';
  const hint = 'write `size(…)`; for a member of that name, `…["length"]`';
  complain(walk, node, 'REMIT_CHARTER_EXPRESSION_REFUSED', message, hint);
}

/** Reports every unknown name and everything refused in an expression, and compiles its constant patterns. */
function visit(walk: Walk, node: ASTNode, role: Role): void {
  switch (node.op) {
    case 'value':
      checkNumber(walk, node);
      makeDouble(node);
      if (typeof node.args === 'string') walk.texts.push(node.args);
      if (node.args instanceof Uint8Array) {
        complain(walk, node, 'REMIT_CHARTER_EXPRESSION_REFUSED', 'bytes are of no use here', 'write a text');
      }
      return;
    case 'id':
      readClaims(walk, node.args);
      checkVariable(walk, node, node.args);
      return;
    case '.': {
      const [object, field] = node.args;
      if (object.op !== 'id') {
        if (field === 'length') checkLength(walk, node, object);
        visit(walk, object, role);
        return;
      }
      checkField(walk, node, object.args, field);
      readClaims(walk, object.args, field);
      checkVariable(walk, object, object.args);
      readWidely(walk, node, object.args, field, role);
      return;
    }
    case '[]': {
      const [object, key] = node.args;
      if (object.op === 'id' && key.op === 'value' && typeof key.args === 'string') {
        checkField(walk, key, object.args, key.args);
        readClaims(walk, object.args, key.args);
        checkVariable(walk, object, object.args);
        if (object.args === 'action' && (key.args === 'type' || key.args === 'destination') && role !== 'allows') {
          walk.widely.add(key.args);
          (key as { args: unknown }).args = READ_WIDELY[key.args];
        }
        return;
      }
      visit(walk, object, role);
      if (key.op !== 'value') visit(walk, key, 'either');
      return;
    }
    case 'call': {
      const [name, given] = node.args;
      checkFunction(walk, node, name, given);
      if (name === 'has') for (const one of given) walk.presence.add(one);
      let inner = role;
      if (name === 'anyNotInList' || name === 'itemsNotInList') inner = opposite(role);
      else if (name === 'size') inner = 'either';
      for (const one of given) visit(walk, one, inner);
      if (LOOKS_FOR_ITEMS.has(name)) readListWidely(walk, given[0], inner);
      return;
    }
    case 'rcall': {
      const [name, receiver, given] = node.args;
      checkMethod(walk, node, name);
      if (!KEPT_METHODS.has(name)) return;
      const inner = name === 'size' ? 'either' : role;
      visit(walk, receiver, inner);
      for (const one of given) visit(walk, one, inner);
      return;
    }
    case '?:': {
      const [condition, ...answers] = node.args;
      visit(walk, condition, 'either');
      for (const answer of answers) visit(walk, answer, role);
      return;
    }
    case '==':
    case '!=': {
      const same = node.op === '==' ? role : opposite(role);
      for (const inner of node.args) walk.equated.add(inner.op === '-_' ? inner.args : inner);
      for (const inner of node.args) visit(walk, inner, node.args.some(isTruth) ? 'either' : same);
      return;
    }
    case 'list':
      for (const inner of node.args) {
        walk.equated.add(inner);
        visit(walk, inner, role);
      }
      return;
    case '||':
    case '&&':
      for (const inner of node.args) visit(walk, inner, role);
      return;
    case 'in':
      for (const inner of node.args) visit(walk, inner, role);
      readListWidely(walk, node.args[1], role);
      return;
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      for (const inner of node.args) visit(walk, inner, 'either');
      return;
    case '<':
    case '<=':
    case '>':
    case '>=':
      for (const inner of node.args) checkOrdered(walk, inner);
      for (const inner of node.args) visit(walk, inner, 'either');
      return;
    case '!_':
      visit(walk, node.args, opposite(role));
      return;
    case '-_':
      visit(walk, node.args, 'either');
      return;
    case 'map':
    case '.?':
    case '[?]':
      complain(walk, node, 'REMIT_CHARTER_EXPRESSION_REFUSED', 'mappings and optional values are of no use here');
      return;
    default:
      node satisfies never;
  }
}

function nodesOf(node: ASTNode): number {
  return childrenOf(node).reduce((sum, inner) => sum + nodesOf(inner), 1);
}

function mentionsNull(node: ASTNode): boolean {
  return (node.op === 'value' && node.args === null) || childrenOf(node).some(mentionsNull);
}

interface LibraryProblem {
  readonly code?: string;
  readonly summary?: string;
  readonly range?: { readonly start: number };
}

/** Words and signs of other languages, and what they are here. */
const OTHER_LANGUAGES: readonly (readonly [RegExp, string])[] = [
  [/\band\b/i, '`&&` in place of `and`'],
  [/\bor\b/i, '`||` in place of `or`'],
  [/\bnot\b/i, '`!` in place of `not`'],
  [/<>/, '`!=` in place of `<>`'],
  [/[=!]==/, '`==` and `!=`, with two signs'],
  [/(?<![=!<>])=(?!=)/, '`==` in place of `=`'],
  [/(?<!&)&(?!&)/, '`&&` in place of `&`'],
  [/(?<!\|)\|(?!\|)/, '`||` in place of `|`'],
];

function hintOfSyntax(expression: string): string | undefined {
  const bare = expression.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""');
  const meant = OTHER_LANGUAGES.filter(([sign]) => sign.test(bare)).map(([, instead]) => instead);
  return meant.length === 0 ? undefined : `write ${meant.join(', ')}`;
}

function syntaxProblem(error: unknown, expression: string): ExpressionProblem {
  const { code, summary, range } = error as LibraryProblem;
  const offset = range?.start ?? 0;
  if (code === 'limit_exceeded' || error instanceof RangeError) {
    const message = `is too large: ${summary ?? 'it nests too deeply'}`;
    return { code: 'REMIT_CHARTER_EXPRESSION_TOO_LARGE', message, offset, hint: 'split it into two policies' };
  }
  const hint = hintOfSyntax(expression);
  const message = `cannot be read: ${summary ?? String(error)}`;
  return { code: 'REMIT_CHARTER_EXPRESSION_SYNTAX', message, offset, ...(hint === undefined ? {} : { hint }) };
}

/** The library's words for a type that does not fit, and what to write instead where we can tell. */
function typeProblem(error: unknown, ast: ASTNode, usages: ReadonlyMap<string, string>): ExpressionProblem {
  const { code, summary = 'the types do not fit', range } = error as LibraryProblem;
  const called = code === 'no_matching_overload' ? /'(?:[^']*\.)?(\w+)\(/.exec(summary)?.[1] : undefined;
  const usage = called === undefined ? undefined : usages.get(called);
  let hint = usage === undefined ? undefined : `write \`${usage}\``;
  if (hint === undefined && mentionsNull(ast)) hint = 'a text that is missing is `""`, not null';
  const offset = range?.start ?? 0;
  return {
    code: 'REMIT_CHARTER_EXPRESSION_TYPE',
    message: `has types that do not fit: ${summary}`,
    offset,
    ...(hint === undefined ? {} : { hint }),
  };
}

const NOTHING_KNOWN: KnownValues = { texts: {}, numbers: {} };

/** Reads the expressions of one charter. */
export interface ExpressionReader {
  /** `list`: of the values that a policy objects to; else a condition, true or false. */
  read(expression: string, yields?: 'bool' | 'list'): ExpressionReading;
  /** What evaluations may still cost; refilled for each intent. */
  readonly budget: WorkBudget;
}

/**
 * A reader of expressions over the declared variables and the charter's lists. It refuses, with every problem, names
 * that nobody declared, types that do not fit, a result that is not true or false, loops, patterns that do not compile
 * and whatever is too large; what it accepts does bounded work.
 */
export function expressionReader(schema: ExpressionSchema): ExpressionReader {
  const budget = workBudget();
  const { functions, patterns } = policyFunctions(budget);
  /** Made when the first expression comes: a charter without policies does not pay for it. */
  let environment: Environment | undefined;
  const fieldsOf = new Map<string, readonly string[]>([
    ...ROOTS.map((root): [VariableRoot, readonly string[]] => [root, Object.keys(VARIABLES[root])]),
    ['lists', Object.keys(schema.lists)],
  ]);
  const byName = new Map(functions.map((one) => [one.name, one]));
  const usages = new Map([...KEPT_FUNCTIONS, ...functions.map((one): [string, string] => [one.name, one.usage])]);

  const read: ExpressionReader['read'] = (expression, yields = 'bool') => {
    const refused = (...problems: readonly ExpressionProblem[]): ExpressionReading => ({ ok: false, problems });
    const code = 'REMIT_CHARTER_EXPRESSION_EMPTY';
    if (expression.trim() === '')
      return refused({ code, message: 'is empty; say when the policy is violated', offset: 0 });
    if (expression.length > LONGEST_EXPRESSION) {
      const message = `is longer than ${LONGEST_EXPRESSION} characters`;
      return refused({
        code: 'REMIT_CHARTER_EXPRESSION_TOO_LARGE',
        message,
        offset: LONGEST_EXPRESSION,
        hint: 'split it into two policies',
      });
    }
    let parsed: ParseResult;
    try {
      environment ??= environmentOf(schema, functions);
      parsed = environment.parse(expression);
    } catch (error) {
      return refused(syntaxProblem(error, expression));
    }
    const walk: Walk = {
      expression,
      fieldsOf,
      functions: byName,
      patterns,
      problems: [],
      claims: new Set(),
      widely: new Set(),
      texts: [],
      presence: new Set(),
      equated: new Set(),
      usesVariables: false,
    };
    visit(walk, parsed.ast, 'restricts');
    if (walk.claims.size > MAX_CLAIMS_READ) {
      const message = `reads ${walk.claims.size} things that agents claim, and at most ${MAX_CLAIMS_READ} may be read together`;
      const hint = 'split it into two policies, or name the fields it is about';
      walk.problems.push({ code: 'REMIT_CHARTER_EXPRESSION_TOO_LARGE', message, offset: 0, hint });
    }
    if (walk.problems.length > 0) return refused(...walk.problems);
    const checked = parsed.check();
    if (!checked.valid) return refused(typeProblem(checked.error, parsed.ast, usages));
    if (yields === 'list' && checked.type !== 'dyn' && !(checked.type ?? '').startsWith('list')) {
      const message = `yields no values of the action, but a ${checked.type ?? ''}`;
      const hint =
        'write `itemsNotInList(action.parameters.NAME, lists.NAME)`, or `CONDITION ? action.parameters.NAME : []`';
      return refused({ code: 'REMIT_CHARTER_EXPRESSION_NO_LIST', message, offset: 0, hint });
    }
    if (yields === 'bool' && checked.type !== 'bool') {
      const message = `says neither true nor false, but ${checked.type === 'dyn' ? 'anything' : `a ${checked.type ?? ''}`}`;
      const hint = checked.type === 'dyn' ? 'compare it, as in `… == true`' : 'compare it with something';
      return refused({ code: 'REMIT_CHARTER_EXPRESSION_NOT_BOOLEAN', message, offset: 0, hint });
    }
    const doubts: ExpressionDoubt[] = [];
    for (const strange of strangeComparisons(parsed.ast, schema.known ?? NOTHING_KNOWN, schema.lists)) {
      const { node, message, hint, doubtful } = strange;
      if (!doubtful) complain(walk, node, 'REMIT_CHARTER_EXPRESSION_VALUE', message, hint);
      else {
        const code = 'REMIT_CHARTER_UNKNOWN_VALUE';
        doubts.push({ code, message, offset: node.pos, ...(hint === undefined ? {} : { hint }) });
      }
    }
    if (schema.known !== undefined) doubts.push(...doubtsOfTruth(walk, parsed.ast, schema.known, yields));
    if (walk.problems.length > 0) return refused(...walk.problems);
    guardEvaluation(parsed.ast, budget);
    if (yields === 'bool' && !walk.usesVariables && isNeverTrue(parsed)) {
      const message = 'is never true, so the policy can never apply';
      return refused({ code: 'REMIT_CHARTER_EXPRESSION_NEVER', message, offset: 0 });
    }
    const { claims, widely, texts } = walk;
    const cost = WORK_PER_STEP * nodesOf(parsed.ast);
    return { ok: true, doubts, condition: parsed, cost, claims, widely, texts, reads: readsOf(parsed.ast) };
  };
  return { read, budget };
}

/**
 * Conditions whose comparisons contradict each other, or leave nothing out. A whole condition that can be neither true nor
 * fail is refused; the rest is doubtful.
 */
function doubtsOfTruth(walk: Walk, ast: ASTNode, known: KnownValues, yields: 'bool' | 'list'): ExpressionDoubt[] {
  const doubts: ExpressionDoubt[] = [];
  const about = {
    texts: (node: ASTNode) => textsOfVariable(node, known),
    numbers: (node: ASTNode) => numbersOfVariable(node, known),
  };
  for (const { node, answer, whole, mayFail } of settledConditions(ast, about)) {
    const offset = whole ? 0 : startOf(node);
    const what = whole ? '' : 'a part of it ';
    if (answer === 'always') {
      const hint = 'did you mean `&&`? For a rule without a condition write `true`';
      const message = `${what}is always true: whatever is compared, one of the comparisons holds`;
      doubts.push({ code: 'REMIT_CHARTER_ALWAYS_TRUE', message, offset, hint });
      continue;
    }
    const message = `${what}is never true: its comparisons contradict each other`;
    const hint = 'did you mean `||`?';
    if (whole && !mayFail && yields === 'bool') {
      walk.problems.push({ code: 'REMIT_CHARTER_EXPRESSION_NEVER', message, offset, hint });
    } else {
      const fails = whole && mayFail ? '; it counts as violated only where a value is missing or of another type' : '';
      doubts.push({ code: 'REMIT_CHARTER_NEVER_TRUE', message: message + fails, offset, hint });
    }
  }
  return doubts;
}

/** Where the text of a node begins: operators lie behind their first part. */
function startOf(node: ASTNode): number {
  return Math.min(node.pos, ...childrenOf(node).map(startOf));
}

/** Whether an expression without variables is false; one that fails counts as violated, so it is not never true. */
function isNeverTrue(parsed: ParseResult): boolean {
  try {
    return parsed({}) === false;
  } catch {
    return false;
  }
}
