import { types } from 'node:util';

/** By name: what Node itself throws may be of another realm than this module. */
const NAMES: ReadonlySet<string> = new Set([
  'TypeError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
  'URIError',
  'EvalError',
  'AssertionError',
]);

/** Of Node itself: beside these names it says that a call was wrong, with others that a socket or TLS failed. */
const NODE_CODE = /^ERR_/;

/** Whether an error shows a fault of the program, and not that a database or its connection is away. */
export function isProgrammingError(error: unknown): boolean {
  if (!types.isNativeError(error)) return true;
  if ('code' in error && typeof error.code === 'string' && !NODE_CODE.test(error.code)) return false;
  return NAMES.has(error.name);
}
