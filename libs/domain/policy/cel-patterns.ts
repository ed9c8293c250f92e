import { foldCase, isGlob, readValueGlob } from '../matching/value-glob.js';

/** Why a function of an expression gave no answer. The policy counts as violated; the code says why, never the value. */
export type RefusalCode =
  | 'ambiguous_address'
  | 'ambiguous_path'
  | 'bad_pattern'
  | 'double_conversion_error'
  | 'int_conversion_error'
  | 'not_a_finite_number'
  | 'not_a_list'
  | 'not_scanned'
  | 'too_much_work'
  | 'unexpected_type'
  | 'unexpected_value';

/** Thrown inside an evaluation and caught by it; see {@link RefusalCode}. */
export class ExpressionRefusal extends Error {
  constructor(readonly code: RefusalCode) {
    super(code);
  }
}

/** Work of one step: a node of an expression that is evaluated, an item of a list that is compared. */
export const WORK_PER_STEP = 10;

/** One unit is about one character looked at once. An intent of the largest size fits some thirty times. */
export const WORK_PER_INTENT = 2_000_000;

/** What one intent may still cost. An expression that would cost more is refused, so its policy counts as violated. */
export interface WorkBudget {
  spend(units: number): void;
  isSpent(): boolean;
  refill(): void;
}

export function workBudget(limit = WORK_PER_INTENT): WorkBudget {
  let left = limit;
  return {
    spend(units) {
      left -= units;
      if (left < 0) throw new ExpressionRefusal('too_much_work');
    },
    isSpent: () => left < 0,
    refill() {
      left = limit;
    },
  };
}

/** A list of names and globs, compiled. */
export interface EntryList {
  readonly has: (text: string) => boolean;
  /** Work of one look-up of a text of this length. */
  readonly cost: (length: number) => number;
}

/**
 * Compiles a list for `inList`. The empty text, which is what a missing value is, is in no list. ASCII letters match in
 * either case.
 */
export function readEntryList(entries: readonly string[]): EntryList {
  const exact = new Set(entries.filter((entry) => !isGlob(entry)).map(foldCase));
  const globs = entries.filter(isGlob).map((entry) => {
    const reading = readValueGlob(entry);
    if (!reading.ok) throw new ExpressionRefusal('bad_pattern');
    return reading.pattern;
  });
  return {
    has: (text) => text !== '' && (exact.has(foldCase(text)) || globs.some((glob) => glob.test(text))),
    cost: (length) => length + 1 + globs.length * (length + 1),
  };
}
