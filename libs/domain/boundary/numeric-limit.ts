import type { Action } from '../intent/intent.js';
import { parameterAt } from '../matching/parameter-path.js';

/** Plain decimal notation: no sign but minus, no exponent, no blanks, no grouping. */
const DECIMAL = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;
/** More digits than this and the number compared would not be the number written. */
const EXACT_DIGITS = 15;

export interface NumericLimit {
  /** Dotted path into the parameters. */
  readonly path: readonly string[];
  readonly max: number | undefined;
  readonly min: number | undefined;
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value !== 'string' || value.length > 32 || !DECIMAL.test(value)) return undefined;
  const digits = value.replace(/[-.]/g, '').replace(/^0+/, '').length;
  return digits <= EXACT_DIGITS ? Number(value) : undefined;
}

/** Why the action breaks the limit; undefined when it keeps it. What cannot be compared breaks it. */
export function breachOfLimit(limit: NumericLimit, action: Action): string | undefined {
  const name = limit.path.join('.');
  const value = parameterAt(action.parameters, limit.path);
  if (value === undefined) return `parameter ${name} is missing, so its limit cannot be checked`;
  const number = numberOf(value);
  if (number === undefined) return `parameter ${name} is not a plain number, so its limit cannot be checked`;
  if (limit.max !== undefined && number > limit.max) return `parameter ${name} is over the limit of ${limit.max}`;
  if (limit.min !== undefined && number < limit.min) return `parameter ${name} is under the limit of ${limit.min}`;
  return undefined;
}
