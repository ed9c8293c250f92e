import { z } from 'zod';

/**
 * Whether a text can be kept, sent and signed as it is: no half of a surrogate pair, which has no UTF-8 form and so no
 * digest, and no U+0000, which PostgreSQL does not store.
 */
export function isPlainText(text: string): boolean {
  return !/[\0\p{Surrogate}]/u.test(text);
}

/** What a text that is not plain is told. */
export const NOT_PLAIN = 'must be whole characters, without U+0000';

/** Text of 1 to so many UTF-16 units. Charter, commands and events take the very same texts. */
export function plainTextSchema(longest: number) {
  return z.string().min(1).max(longest).refine(isPlainText, NOT_PLAIN);
}

/** Longest reason, UTF-16 units. */
export const MAX_REASON_LENGTH = 1024;

/** Why something is so, or was ordered. A reason of blanks is none. */
export const reasonSchema = z
  .string()
  .max(MAX_REASON_LENGTH)
  .regex(/\S/, 'must say why')
  .refine(isPlainText, NOT_PLAIN);

/** A person, as the control API has authenticated them. */
export const personSchema = plainTextSchema(256);

/** A role of a person. */
export const roleSchema = plainTextSchema(128);
