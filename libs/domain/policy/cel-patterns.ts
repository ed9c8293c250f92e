import { RE2JS } from 're2js';

/** Why a function of an expression gave no answer. The policy counts as violated; the code says why, never the value. */
export type RefusalCode =
  'ambiguous_address' | 'bad_pattern' | 'not_a_finite_number' | 'too_much_work' | 'unexpected_value';

/** Thrown inside an evaluation and caught by it; see {@link RefusalCode}. */
export class ExpressionRefusal extends Error {
  constructor(readonly code: RefusalCode) {
    super(code);
  }
}

/** Longest pattern, in characters. */
export const LONGEST_PATTERN = 512;

/** A pattern written by an agent, not by the charter, gets less room. */
export const LONGEST_FOREIGN_PATTERN = 128;

/** Instructions a compiled pattern may have: matching takes at most this many steps for each character. */
const LARGEST_PROGRAM = 2_000;

/** Length times all repeat counts: an upper bound of what compiling may cost, known before compiling. */
const LARGEST_EXPANSION = 50_000;

/** Bytes of matching states kept per pattern, so that nobody can fill the memory by choosing texts. */
const STATE_BYTES = 256 * 1024;

/** One unit is about one character looked at once. An intent of the largest size fits some thirty times. */
export const WORK_PER_INTENT = 2_000_000;

/** What one intent may still cost. An expression that would cost more is refused, so its policy counts as violated. */
export interface WorkBudget {
  spend(units: number): void;
  refill(): void;
}

export function workBudget(limit = WORK_PER_INTENT): WorkBudget {
  let left = limit;
  return {
    spend(units) {
      left -= units;
      if (left < 0) throw new ExpressionRefusal('too_much_work');
    },
    refill() {
      left = limit;
    },
  };
}

/** A compiled pattern. `cost` is the work of one match against a text of this length. */
export interface Pattern {
  readonly test: (text: string) => boolean;
  readonly cost: (length: number) => number;
}

export type PatternReading =
  { readonly ok: true; readonly pattern: Pattern } | { readonly ok: false; readonly message: string };

function expansionOf(source: string): number {
  let expansion = source.length;
  for (const [, least, most] of source.matchAll(/\{(\d{1,6})(?:,(\d{0,6}))?\}/g)) {
    expansion *= Math.max(1, Number(least), Number(most ?? 0));
  }
  return expansion;
}

/**
 * Compiles a regular expression with RE2 semantics: no look-around, no back-references, and a match takes time linear
 * in the text, whatever the pattern. Refuses, before compiling, what would compile into something huge.
 */
export function readPattern(source: string, longest = LONGEST_PATTERN): PatternReading {
  if (source.length > longest) return { ok: false, message: `is longer than ${longest} characters` };
  if (expansionOf(source) > LARGEST_EXPANSION) return { ok: false, message: 'repeats too much; use smaller counts' };
  try {
    const compiled = RE2JS.compile(source);
    const size = compiled.programSize();
    if (size > LARGEST_PROGRAM) return { ok: false, message: 'is too complex; split it' };
    boundStates(compiled);
    return {
      ok: true,
      pattern: { test: (text) => compiled.test(text), cost: (length) => length + Math.ceil((length * size) / 100) },
    };
  } catch (problem) {
    const why = problem instanceof Error ? problem.message : 'cannot be compiled';
    return { ok: false, message: `is no RE2 pattern: ${why}` };
  }
}

/** The library keeps up to 8 MiB of states for each pattern; when the states are full it starts again. */
function boundStates(compiled: RE2JS): void {
  const states = compiled.re2().dfa;
  states.maxMem = STATE_BYTES;
  states.stateBudget = STATE_BYTES;
  states.memBudget = STATE_BYTES;
}

/**
 * Characters that one `*` of a glob does not cross. They separate the parts of addresses: without this, the approved
 * `*.bank.example` would take `https://evil.example/?to=.bank.example`.
 */
const SEPARATORS = '/\\\\?#@:,;<>"\'%\\s\\x00-\\x1f';

export type Glob = Pattern;

/** The text with ASCII letters in lower case; other letters keep their case. */
export function foldCase(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;
}

/** Whether an entry of a list or a pattern of `glob` is more than the text itself. */
export function isGlob(entry: string): boolean {
  return entry.includes('*');
}

/**
 * Compiles a glob over a whole text. ASCII letters match in either case, because hosts do. `*` stands for one or more
 * characters of one part of an address (it crosses dots, but none of `/ \ ? # @ : , ; < > " ' %`, blanks or control
 * characters), `**` for any one or more characters. Every other character stands for itself.
 */
export function readGlob(source: string, longest = LONGEST_PATTERN): PatternReading {
  if (source.length > longest) return { ok: false, message: `is longer than ${longest} characters` };
  const pieces = foldCase(source).split(/\*+/);
  const stars = [...source.matchAll(/\*+/g)].map(([run]) => (run.length > 1 ? '(?s:.+)' : `[^${SEPARATORS}]+`));
  const expression = pieces.map((piece, index) => RE2JS.quote(piece) + (stars[index] ?? '')).join('');
  const reading = readPattern(`^(?:${expression})$`, 16 * LONGEST_PATTERN);
  if (!reading.ok) return reading;
  const { pattern } = reading;
  const first = pieces[0] ?? '';
  const last = pieces.at(-1) ?? '';
  return {
    ok: true,
    pattern: {
      cost: (length) => length + 1,
      test: (text) => {
        const folded = foldCase(text);
        return folded.startsWith(first) && folded.endsWith(last) && pattern.test(folded);
      },
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
    const reading = readGlob(entry);
    if (!reading.ok) throw new ExpressionRefusal('bad_pattern');
    return reading.pattern;
  });
  return {
    has: (text) => text !== '' && (exact.has(foldCase(text)) || globs.some((glob) => glob.test(text))),
    cost: (length) => length + 1 + globs.length * (length + 1),
  };
}
