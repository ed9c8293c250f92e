import { RE2JS } from 're2js';

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
