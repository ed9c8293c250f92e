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

/**
 * The dotted path of what is no list, though the limit counts its items or names one of them by its place. A mapping with a
 * member `length` or `0` is none.
 */
function notAList({ path }: NumericLimit, action: Action): string | undefined {
  for (const [index, step] of path.entries()) {
    const isPlace = index > 0 && (/^\d+$/.test(step) || (step === 'length' && index === path.length - 1));
    if (!isPlace) continue;
    const holder = parameterAt(action.parameters, path.slice(0, index));
    if (holder !== undefined && !Array.isArray(holder)) return path.slice(0, index).join('.');
  }
  return undefined;
}

/** Why the action breaks the limit; undefined when it keeps it. What cannot be compared breaks it. */
export function breachOfLimit(limit: NumericLimit, action: Action): string | undefined {
  const name = limit.path.join('.');
  const noList = notAList(limit, action);
  if (noList !== undefined) return `parameter ${noList} is not a list, so the limit of ${name} cannot be checked`;
  const value = parameterAt(action.parameters, limit.path);
  if (value === undefined) return `parameter ${name} is missing, so its limit cannot be checked`;
  const number = numberOf(value);
  if (number === undefined) return `parameter ${name} is not a plain number, so its limit cannot be checked`;
  if (limit.max !== undefined && number > limit.max) return `parameter ${name} is over the limit of ${limit.max}`;
  if (limit.min !== undefined && number < limit.min) return `parameter ${name} is under the limit of ${limit.min}`;
  return undefined;
}
