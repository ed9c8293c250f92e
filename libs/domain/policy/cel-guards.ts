import type { ASTNode } from '@marcbachmann/cel-js';
import { isExactNumber } from '../record/exact-number.js';
import { ExpressionRefusal, type RefusalCode } from './cel-patterns.js';
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

/**
 * Makes a checked expression fail where an agent could choose a type that the author did not think of: a mapping where
 * items are counted or looked for, a mapping with a member `0`, a text that only the library takes for a number.
 */
export function guardEvaluation(node: ASTNode): void {
  if (node.op === 'value' || node.op === 'id') return;
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
  for (const inner of childrenOf(node)) guardEvaluation(inner);
}
