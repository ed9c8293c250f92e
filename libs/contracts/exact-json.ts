import { inexactNumber, isExactNumber } from '#domain';

/** Deeper JSON serves no message and costs every reader a deep recursion. */
export const MAX_JSON_DEPTH = 64;

export type ExactScan =
  | {
      readonly ok: true;
      /** Object members in the text, at any depth; a name that comes twice counts twice. */
      readonly members: number;
      /** Some text is written with a \\u escape: the only way to half a surrogate pair or U+0000. */
      readonly unicodeEscapes: boolean;
    }
  | { readonly ok: false; readonly reason: string };

/** Object members in a parsed JSON value, at any depth. */
export function membersOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) {
    let members = 0;
    for (const inner of value) if (typeof inner === 'object') members += membersOf(inner);
    return members;
  }
  const names = Object.keys(value);
  let members = names.length;
  for (const name of names) {
    const inner = (value as Record<string, unknown>)[name];
    if (typeof inner === 'object') members += membersOf(inner);
  }
  return members;
}

/** No half surrogate pairs, which have no UTF-8 form, and no U+0000, which PostgreSQL does not store. */
export function hasOnlyPlainText(value: unknown): boolean {
  if (typeof value === 'string') return !/[\0\p{Cs}]/u.test(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([name, inner]) => hasOnlyPlainText(name) && hasOnlyPlainText(inner));
}

const QUOTE = 0x22;
const COLON = 0x3a;
const MINUS = 0x2d;
const LETTER_U = 0x75;

/**
 * One pass over text that is known to be JSON, for what its parsed value no longer shows: repeated member names and
 * numbers that are not written again as they were. I-JSON (RFC 7493) rules them out, and RFC 8785 with it, because two readers
 * could understand them differently and a digest over the parsed value would not cover what was written.
 */
export function scanJson(text: string): ExactScan {
  let members = 0;
  let depth = 0;
  let unicodeEscapes = false;
  let escape = positionOr(text.indexOf('\\'), text.length);
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = text.indexOf('"', at + 1);
      while (escape < at) {
        if (text.charCodeAt(escape + 1) === LETTER_U) unicodeEscapes = true;
        else if (escape + 1 === at) at = text.indexOf('"', at + 1);
        escape = positionOr(text.indexOf('\\', escape + 2), text.length);
      }
    } else if (code === COLON) {
      members += 1;
    } else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth > MAX_JSON_DEPTH) return { ok: false, reason: `nested deeper than ${MAX_JSON_DEPTH} levels` };
    } else if (code === 0x7d || code === 0x5d) {
      depth -= 1;
    } else if (code === MINUS || isDigit(code)) {
      const end = endOfNumber(text, at + 1);
      const number = text.slice(at, end);
      if (!isExactNumber(number)) return { ok: false, reason: `${inexactNumber(number)}; send it as text` };
      at = end - 1;
    }
  }
  return { ok: true, members, unicodeEscapes };
}

function positionOr(found: number, otherwise: number): number {
  return found === -1 ? otherwise : found;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function endOfNumber(text: string, from: number): number {
  let end = from;
  while (end < text.length && belongsToNumber(text.charCodeAt(end))) end += 1;
  return end;
}

/** A digit, a point, a sign or the exponent's letter. */
function belongsToNumber(code: number): boolean {
  return isDigit(code) || code === 0x2e || code === 0x2b || code === MINUS || code === 0x65 || code === 0x45;
}
