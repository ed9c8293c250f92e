import { RE2JS } from 're2js';
import { LONGEST_PATTERN, readPattern, type PatternReading } from './linear-pattern.js';

/**
 * Characters that one `*` does not cross. They separate the parts of addresses, paths, lists and commands: without
 * this, the approved `*.bank.example` would take `https://evil.example/?to=.bank.example`, and a grant for `git *`
 * would take `git log|sh`.
 */
const SEPARATORS = '/\\\\?#@:,;<>"\'%&|`$(){}\\[\\]!^\\s\\pZ\\pC';

/** The text with ASCII letters in lower case; other letters keep their case. */
export function foldCase(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;
}

/** Whether a pattern is more than the text itself. */
export function isGlob(pattern: string): boolean {
  return pattern.includes('*');
}

// eslint-disable-next-line no-control-regex
const ASCII = /^[\x00-\x7f]*$/;

/**
 * Compiles a glob over a whole value. `*` stands for one or more characters of one part (it crosses dots, but none of
 * `/ \ ? # @ : , ; < > " ' % & | $ ( ) { } [ ] ! ^`, backquotes, blanks, control or invisible characters), `**` for any
 * one or more characters. Every other character stands for itself. A text with compatibility forms (`／` for `/`) must
 * match as it is written and as it would be read.
 *
 * `letters`: whether ASCII letters match in either case, as in hosts and addresses; default: `any case`.
 */
export function readValueGlob(
  source: string,
  { longest = LONGEST_PATTERN, letters = 'any case' }: { longest?: number; letters?: 'any case' | 'exact' } = {},
): PatternReading {
  if (source.length > longest) return { ok: false, message: `is longer than ${longest} characters` };
  const fold = letters === 'exact' ? (text: string) => text : foldCase;
  const pieces = fold(source).split(/\*+/);
  const stars = [...source.matchAll(/\*+/g)].map(([run]) => (run.length > 1 ? '(?s:.+)' : `[^${SEPARATORS}]+`));
  const expression = pieces.map((piece, index) => RE2JS.quote(piece) + (stars[index] ?? '')).join('');
  const reading = readPattern(`^(?:${expression})$`, 16 * LONGEST_PATTERN);
  if (!reading.ok) return reading;
  const { pattern } = reading;
  const first = pieces[0] ?? '';
  const last = pieces.at(-1) ?? '';
  const matches = (text: string): boolean => {
    const folded = fold(text);
    return folded.startsWith(first) && folded.endsWith(last) && pattern.test(folded);
  };
  return {
    ok: true,
    pattern: {
      cost: (length) => length + 1,
      test: (text) => matches(text) && (ASCII.test(text) || matches(text.normalize('NFKC'))),
    },
  };
}
