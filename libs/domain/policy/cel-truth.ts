import type { ASTNode } from '@marcbachmann/cel-js';
import type { KnownNumbers, KnownTexts } from './known-values.js';
import { childrenOf, selectionOf } from './cel-syntax.js';
import { VARIABLES } from './cel-variables.js';

/** How often one expression may be evaluated node by node; beyond it, nothing is said. */
const MAX_EVALUATED_NODES = 60_000;
/** Combinations of values tried for one part of an expression. */
const MAX_COMBINATIONS = 4_096;

/** Part of a condition that says the same whatever the action is. */
interface SettledCondition {
  readonly node: ASTNode;
  readonly answer: 'never' | 'always';
  /** Whether it is the whole expression. */
  readonly whole: boolean;
  /** Whether it may still fail, which counts as violated: a parameter that is missing, or of another type. */
  readonly mayFail: boolean;
}

/** What is known of the variables of the expression's charter. */
interface KnownOfVariables {
  readonly texts: (node: ASTNode) => KnownTexts | undefined;
  readonly numbers: (node: ASTNode) => KnownNumbers | undefined;
}

/** What a condition may yield. */
interface Truth {
  readonly yes: boolean;
  readonly no: boolean;
  readonly fails: boolean;
}

const UNKNOWN: Truth = { yes: true, no: true, fails: true };
const FAILS: Truth = { yes: false, no: false, fails: true };

/** One value of a subject; `undefined` stands for every value that is not compared with. */
type Value = string | number | boolean | undefined;

function truthOf(answer: boolean): Truth {
  return { yes: answer, no: !answer, fails: false };
}

/** A literal that is compared with; undefined where a node is something else. */
function literalOf(node: ASTNode): string | number | boolean | undefined {
  if (node.op === '-_') {
    const positive = literalOf(node.args);
    return typeof positive === 'number' ? -positive : undefined;
  }
  if (node.op !== 'value') return undefined;
  if (typeof node.args === 'bigint') return Number(node.args);
  const literal = node.args;
  return typeof literal === 'string' || typeof literal === 'number' || typeof literal === 'boolean'
    ? literal
    : undefined;
}

const keys = new WeakMap<ASTNode, string>();

/** One text per part of an expression: parts that read alike have the same value. */
function keyOf(node: ASTNode): string {
  const known = keys.get(node);
  if (known !== undefined) return known;
  const key = readKey(node);
  keys.set(node, key);
  return key;
}

function readKey(node: ASTNode): string {
  if (node.op === 'value') return `${typeof node.args}:${String(node.args)}`;
  const selection = selectionOf(node);
  if (selection !== undefined) return JSON.stringify(selection);
  const name = node.op === 'call' || node.op === 'rcall' ? node.args[0] : '';
  const field = node.op === '.' ? node.args[1] : '';
  return `${node.op} ${name} ${field}(${childrenOf(node).map(keyOf).join(',')})`;
}

type Kind = 'double' | 'string' | 'bool' | 'any';

function kindOf(node: ASTNode): Kind {
  const [root, field, ...deeper] = selectionOf(node) ?? [];
  if (root === undefined || field === undefined || deeper.length > 0) return 'any';
  const fields: Readonly<Record<string, string>> | undefined = Object.hasOwn(VARIABLES, root)
    ? VARIABLES[root as keyof typeof VARIABLES]
    : undefined;
  const declared = fields?.[field] ?? (field.endsWith('AsRead') ? 'string' : undefined);
  return declared === 'double' || declared === 'string' || declared === 'bool' ? declared : 'any';
}

/** What an expression compares with literals: a variable, a parameter, or anything computed. */
interface Subject {
  readonly node: ASTNode;
  readonly key: string;
  readonly literals: Set<string | number | boolean>;
  comparisons: number;
}

type Operator = '==' | '!=' | '<' | '<=' | '>' | '>=';
const MIRRORED: Readonly<Record<Operator, Operator>> = {
  '==': '==',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

function isOperator(op: string): op is Operator {
  return Object.hasOwn(MIRRORED, op);
}

/** A comparison of a subject with a literal. */
interface Comparison {
  readonly subject: ASTNode;
  readonly operator: Operator;
  readonly literal: string | number | boolean;
}

function comparisonOf(node: ASTNode): Comparison | undefined {
  if (!isOperator(node.op)) return undefined;
  const [left, right] = node.args as readonly [ASTNode, ASTNode];
  const [first, second] = [literalOf(left), literalOf(right)];
  if (first === undefined && second !== undefined) return { subject: left, operator: node.op, literal: second };
  if (first !== undefined && second === undefined) {
    return { subject: right, operator: MIRRORED[node.op], literal: first };
  }
  return undefined;
}

/** `SUBJECT in [literals]`. */
function membershipOf(node: ASTNode): { subject: ASTNode; literals: (string | number | boolean)[] } | undefined {
  if (node.op !== 'in') return undefined;
  const [subject, list] = node.args;
  if (list.op !== 'list' || literalOf(subject) !== undefined) return undefined;
  const literals = list.args.map(literalOf);
  return literals.every((literal) => literal !== undefined) ? { subject, literals } : undefined;
}

function subjectsOf(ast: ASTNode): readonly Subject[] {
  const found = new Map<string, Subject>();
  const take = (node: ASTNode, literals: readonly (string | number | boolean)[]): void => {
    const key = keyOf(node);
    const subject = found.get(key) ?? { node, key, literals: new Set(), comparisons: 0 };
    found.set(key, subject);
    subject.comparisons += 1;
    for (const literal of literals) subject.literals.add(literal);
  };
  const visit = (node: ASTNode): void => {
    const comparison = comparisonOf(node);
    const membership = membershipOf(node);
    if (comparison !== undefined) take(comparison.subject, [comparison.literal]);
    else if (membership !== undefined) take(membership.subject, membership.literals);
    else if (kindOf(node) === 'bool') take(node, [true, false]);
    else for (const inner of childrenOf(node)) visit(inner);
  };
  visit(ast);
  // One comparison alone contradicts nothing.
  return [...found.values()].filter(({ comparisons }) => comparisons > 1);
}

/** One value on each side of every number that a subject is compared with. */
function numbersAround(numbers: readonly number[]): number[] {
  const sorted = [...new Set(numbers)].toSorted((one, other) => one - other);
  const between = sorted.flatMap((number, index) => {
    const next = sorted[index + 1];
    return next === undefined ? [number] : [number, (number + next) / 2];
  });
  const [first, last] = [sorted[0], sorted.at(-1)];
  return first === undefined || last === undefined ? [] : [first - 1, ...between, last + 1];
}

function domainOf({ node, literals }: Subject, known: KnownOfVariables): readonly Value[] {
  const kind = kindOf(node);
  const texts = [...literals].filter((literal) => typeof literal === 'string');
  const numbers = numbersAround([...literals].filter((literal) => typeof literal === 'number'));
  if (kind === 'bool') return [true, false];
  if (kind === 'double') {
    const range = known.numbers(node);
    if (range === undefined) return [...numbers, undefined];
    return Array.from({ length: range.to - range.from + 1 }, (_, index) => range.from + index);
  }
  if (kind === 'string') {
    const closed = known.texts(node);
    const others = closed !== undefined && closed.doubtful !== true && closed.alsoMatches === undefined;
    return others ? closed.values : [...texts, undefined];
  }
  const booleans = [...literals].filter((literal) => typeof literal === 'boolean');
  return [...new Set<Value>([...numbers, ...texts, ...booleans.flatMap(() => [true, false]), undefined])];
}

function compare(value: Value, operator: Operator, literal: string | number | boolean, kind: Kind): Truth {
  const fails = kind === 'any';
  if (operator === '==' || operator === '!=') {
    const same = value === literal;
    // Nothing is compared with the values that `undefined` stands for; of an unknown type, comparing them may fail.
    return { ...truthOf(operator === '==' ? same : !same), fails: fails && typeof value !== typeof literal };
  }
  if (value === undefined) return kind === 'any' && typeof literal === 'number' ? FAILS : UNKNOWN;
  if (typeof value !== 'number' || typeof literal !== 'number') {
    return typeof value === typeof literal ? UNKNOWN : FAILS;
  }
  switch (operator) {
    case '<':
      return truthOf(value < literal);
    case '<=':
      return truthOf(value <= literal);
    case '>':
      return truthOf(value > literal);
    case '>=':
      return truthOf(value >= literal);
    default:
      return operator satisfies never;
  }
}

function both(one: Truth, other: Truth): Truth {
  return {
    yes: one.yes && other.yes,
    no: one.no || other.no,
    fails: (one.fails && (other.yes || other.fails)) || (other.fails && (one.yes || one.fails)),
  };
}

function not({ yes, no, fails }: Truth): Truth {
  return { yes: no, no: yes, fails };
}

/** `spend` says whether one more node may be evaluated. */
function evaluate(node: ASTNode, values: ReadonlyMap<string, Value>, spend: () => boolean): Truth {
  if (!spend()) return UNKNOWN;
  const inner = (one: ASTNode): Truth => evaluate(one, values, spend);
  switch (node.op) {
    case '&&':
      return both(inner(node.args[0]), inner(node.args[1]));
    case '||':
      return not(both(not(inner(node.args[0])), not(inner(node.args[1]))));
    case '!_':
      return not(inner(node.args));
    case '?:': {
      const [condition, then, otherwise] = [inner(node.args[0]), inner(node.args[1]), inner(node.args[2])];
      return {
        yes: (condition.yes && then.yes) || (condition.no && otherwise.yes),
        no: (condition.yes && then.no) || (condition.no && otherwise.no),
        fails: condition.fails || (condition.yes && then.fails) || (condition.no && otherwise.fails),
      };
    }
    case 'value':
      return typeof node.args === 'boolean' ? truthOf(node.args) : UNKNOWN;
    default: {
      const comparison = comparisonOf(node);
      const membership = membershipOf(node);
      const subject = comparison?.subject ?? membership?.subject ?? node;
      const key = keyOf(subject);
      if (!values.has(key)) return UNKNOWN;
      const value = values.get(key);
      const kind = kindOf(subject);
      if (comparison !== undefined) return compare(value, comparison.operator, comparison.literal, kind);
      if (membership !== undefined) {
        const found = membership.literals.includes(value ?? NaN);
        return { ...truthOf(found), fails: kind === 'any' && !found };
      }
      return typeof value === 'boolean' && kind === 'bool' ? truthOf(value) : UNKNOWN;
    }
  }
}

const JOINING = new Set(['&&', '||', '!_']);

/** What a part of an expression yields over every combination of the values that it compares; undefined: it compares none twice. */
function truthOver(node: ASTNode, known: KnownOfVariables, spend: () => boolean): Truth | undefined {
  const domains: { key: string; domain: readonly Value[] }[] = [];
  let combinations = 1;
  const candidates = subjectsOf(node).map((subject) => ({ key: subject.key, domain: domainOf(subject, known) }));
  for (const one of candidates.toSorted((a, b) => a.domain.length - b.domain.length)) {
    // Whatever is left out is unknown, which is never wrong.
    if (one.domain.length === 0 || combinations * one.domain.length > MAX_COMBINATIONS) continue;
    combinations *= one.domain.length;
    domains.push(one);
  }
  if (domains.length === 0) return undefined;
  let found: Truth = { yes: false, no: false, fails: false };
  for (let combination = 0; combination < combinations; combination += 1) {
    let rest = combination;
    const values = new Map<string, Value>();
    for (const { key, domain } of domains) {
      values.set(key, domain[rest % domain.length]);
      rest = Math.floor(rest / domain.length);
    }
    const truth = evaluate(node, values, spend);
    found = { yes: found.yes || truth.yes, no: found.no || truth.no, fails: found.fails || truth.fails };
    if (found.yes && found.no) return found;
  }
  return found;
}

/**
 * The largest parts of a condition that say the same of every action, although each of their comparisons does not: an hour
 * after ten that is before six. Tries every combination of the values that are compared; whatever else a condition asks
 * counts as unknown. Bounded; a condition too large to try is not complained of.
 */
export function settledConditions(ast: ASTNode, known: KnownOfVariables): readonly SettledCondition[] {
  const found: SettledCondition[] = [];
  let evaluated = 0;
  const spend = (): boolean => {
    evaluated += 1;
    return evaluated <= MAX_EVALUATED_NODES;
  };
  const visit = (node: ASTNode, above: string): void => {
    // A part of a chain of one operator says nothing that the whole chain does not.
    const joins = (JOINING.has(node.op) && node.op !== above) || node.op === '?:';
    if (joins) {
      const truth = truthOver(node, known, spend);
      if (truth !== undefined && !(truth.yes && truth.no)) {
        found.push({ node, answer: truth.yes ? 'always' : 'never', whole: node === ast, mayFail: truth.fails });
        return;
      }
    }
    for (const inner of childrenOf(node)) visit(inner, node.op);
  };
  visit(ast, '');
  return found;
}
