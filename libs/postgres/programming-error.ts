import { AssertionError } from 'node:assert';
import { types } from 'node:util';

const CLASSES = [TypeError, RangeError, ReferenceError, SyntaxError, URIError, EvalError, AssertionError];

/** Of Node itself: beside these classes it says that a call was wrong, with others that a socket or TLS failed. */
const NODE_CODE = /^ERR_/;

/** Whether an error shows a fault of the program, and not that a database or its connection is away. */
export function isProgrammingError(error: unknown): boolean {
  // not instanceof: a socket's error may be of another realm than this module
  if (!types.isNativeError(error)) return true;
  if ('code' in error && typeof error.code === 'string' && !NODE_CODE.test(error.code)) return false;
  return CLASSES.some((one) => error instanceof one);
}
