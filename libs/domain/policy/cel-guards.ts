import type { ASTNode } from '@marcbachmann/cel-js';
import { isExactNumber } from '../record/exact-number.js';
import { ExpressionRefusal, WORK_PER_STEP, type RefusalCode, type WorkBudget } from './cel-patterns.js';
import { childrenOf, selectionOf } from './cel-syntax.js';

/** How the library computes a node: from the values of its parts. */
type Compute = (...values: readonly unknown[]) => unknown;

interface Computed {
  handle: Compute;
}

const ARITHMETIC = new Set(['+', '-', '*', '/', '%']);

const WHOLE_NUMBER = /^-?(?:0|[1-9]\d*)$/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;

function isMapping(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads a text as a number only as JSON writes it: to the library `""` is 0, `0b11` is 3 and `0x10` is 16. */
function demandNumber(text: unknown, form: RegExp, code: RefusalCode): void {
  if (typeof text === 'string' && !(form.test(text) && isExactNumber(text))) throw new ExpressionRefusal(code);
}

/** The parameters themselves are a mapping; whatever else is counted or looked into is meant to be a list. */
function isParameters(node: ASTNode | undefined): boolean {
  return node !== undefined && selectionOf(node)?.join('.') === 'action.parameters';
}

function demandNoMapping(value: unknown): void {
  if (isMapping(value)) throw new ExpressionRefusal('not_a_list');
}

function guard(node: ASTNode, before: (values: readonly unknown[]) => void): void {
  const computed = node as unknown as Computed;
  const compute = computed.handle;
  computed.handle = (...values) => {
    before(values);
    return compute(...values);
  };
}

/**
 * Comparing with something that is no number answers `false`, which would let `double("nan") > 2500` or a division by
 * zero slip through. So whatever computes a number must yield a finite one.
 */
function demandFinite(node: ASTNode): void {
  const computed = node as unknown as Computed;
  const compute = computed.handle;
  computed.handle = (...values) => {
    const result = compute(...values);
    if (typeof result === 'number' && !Number.isFinite(result)) throw new ExpressionRefusal('not_a_finite_number');
    return result;
  };
}

/** Texts are compared and searched by the machine, many characters at once. */
const CHARACTERS_A_UNIT = 16;

/** Pays for looking at the whole of a value. */
function pay(value: unknown, budget: WorkBudget): void {
  if (typeof value === 'string') {
    budget.spend(1 + value.length / CHARACTERS_A_UNIT);
  } else if (Array.isArray(value)) {
    budget.spend(1 + WORK_PER_STEP * value.length);
    for (const item of value) pay(item, budget);
  } else if (isMapping(value)) {
    const members = Object.values(value as object);
    budget.spend(1 + WORK_PER_STEP * members.length);
    for (const member of members) pay(member, budget);
  }
}

type Kind = 'text' | 'number' | 'truth' | 'nothing' | 'list' | 'mapping';

function kindOf(value: unknown): Kind {
  switch (typeof value) {
    case 'string':
      return 'text';
    case 'number':
    case 'bigint':
      return 'number';
    case 'boolean':
      return 'truth';
    default:
      if (value === null || value === undefined) return 'nothing';
      return Array.isArray(value) ? 'list' : 'mapping';
  }
}

/** Whether a node is a parameter, or a part of one: of whatever type the agent chooses. */
function isParameter(node: ASTNode): boolean {
  const selection = selectionOf(node);
  if (selection !== undefined)
    return selection[0] === 'action' && selection[1] === 'parameters' && selection.length > 2;
  return (node.op === '[]' || node.op === '.') && (isParameter(node.args[0]) || isParameters(node.args[0]));
}

function isNull(node: ASTNode): boolean {
  return node.op === 'value' && node.args === null;
}

function demandKind(value: unknown, expected: unknown): void {
  if (kindOf(value) !== kindOf(expected)) throw new ExpressionRefusal('unexpected_type');
}

/**
 * A parameter of another type than what it is compared with is not simply another value: `["admin"]` may well mean `admin` to
 * whoever carries the action out. To ask for null is to ask for another type.
 */
function demandSameKind(node: ASTNode): void {
  if (node.op !== '==' && node.op !== '!=') return;
  const [left, right] = node.args;
  if (isParameter(left) === isParameter(right) || isNull(left) || isNull(right)) return;
  guard(node, ([one, other]) => {
    demandKind(one, other);
  });
}

/** The same where one of several is looked for, unless it is found. */
function demandItemsOfKind(node: ASTNode): void {
  if (node.op !== 'in') return;
  const [item, items] = node.args;
  if (isParameter(item) === isParameter(items) || isParameters(items)) return;
  const computed = node as unknown as Computed;
  const compute = computed.handle;
  computed.handle = (...values) => {
    const answer = compute(...values);
    const [one, several] = values;
    if (answer !== false || !Array.isArray(several)) return answer;
    // Of a list of the charter one entry of the type will do; of one that an agent sends, every item must be of it.
    const fits = (other: unknown): boolean => kindOf(other) === kindOf(one);
    const isComparable = isParameter(items) ? several.every(fits) : several.length === 0 || several.some(fits);
    if (!isComparable) throw new ExpressionRefusal('unexpected_type');
    return answer;
  };
}

const PAID_OPERATORS = new Set(['==', '!=', 'in', '+', '<', '<=', '>', '>=']);
const PAID_CALLS = new Set('size int double string contains startsWith endsWith lowerAscii upperAscii trim'.split(' '));

/** What looks at whole values pays for them, each time. */
function demandPayment(node: ASTNode, budget: WorkBudget): void {
  if (node.op === 'call' || node.op === 'rcall') {
    const [name] = node.args;
    if (!PAID_CALLS.has(name)) return;
    guard(node, ([values]) => {
      for (const value of values as readonly unknown[]) pay(value, budget);
    });
  } else if (PAID_OPERATORS.has(node.op)) {
    guard(node, (values) => {
      for (const value of values.slice(0, 2)) pay(value, budget);
    });
  }
}

/**
 * Makes a checked expression fail where an agent could choose a type that the author did not think of: a mapping where
 * items are counted or looked for, a mapping with a member `0`, a text that only the library takes for a number, a
 * parameter of another type than what it is compared with. What looks at whole values pays for it out of the budget.
 */
export function guardEvaluation(node: ASTNode, budget: WorkBudget): void {
  if (node.op === 'value' || node.op === 'id') return;
  demandSameKind(node);
  demandItemsOfKind(node);
  if (ARITHMETIC.has(node.op)) demandFinite(node);
  else if (node.op === 'call') {
    const [name, [given]] = node.args;
    if (name === 'double') {
      demandFinite(node);
      guard(node, ([values]) => {
        demandNumber((values as readonly unknown[])[0], NUMBER, 'double_conversion_error');
      });
    } else if (name === 'int') {
      guard(node, ([values]) => {
        demandNumber((values as readonly unknown[])[0], WHOLE_NUMBER, 'int_conversion_error');
      });
    } else if (name === 'size' && !isParameters(given)) {
      guard(node, ([values]) => {
        demandNoMapping((values as readonly unknown[])[0]);
      });
    }
  } else if (node.op === 'rcall') {
    const [name, receiver] = node.args;
    if (name === 'size' && !isParameters(receiver)) {
      guard(node, ([values]) => {
        demandNoMapping((values as readonly unknown[])[0]);
      });
    }
  } else if (node.op === 'in' && !isParameters(node.args[1])) {
    guard(node, ([, items]) => {
      demandNoMapping(items);
    });
  } else if (node.op === '[]') {
    guard(node, ([items, index]) => {
      if (typeof index !== 'string') demandNoMapping(items);
    });
  }
  demandPayment(node, budget);
  for (const inner of childrenOf(node)) guardEvaluation(inner, budget);
}
