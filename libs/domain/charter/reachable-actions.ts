import { compileGlob, globsMeet, hasWildcard } from '../matching/glob.js';
import { foldName } from '../matching/folding.js';
import { editDistance, nearestName } from '../matching/near-names.js';
import { KNOWN_VERBS, compileVerbUse, wordsOfVerb } from '../matching/verbs.js';

/** Work of checking one charter, in characters compared: beyond it, nothing more is said of actions. */
const MAX_COMPARED = 20_000_000;

/** Shorter names are a letter away from too many others, and `import` two letters from `export`. */
const SHORTEST_MISTYPED = 5;
const LONG_NAME = 8;
/** Shorter words of actions are not compared at all. */
const SHORTEST_WORD = 4;

/** What the agents of a charter may do at all, by their intended scopes and by what permissions add to them. */
export interface ReachableActions {
  /** Those that are named in full. */
  readonly names: readonly string[];
  /** Whether some agent, of those that the globs select, may do an action that the pattern matches in any spelling. */
  reaches(pattern: string, agents?: readonly string[]): boolean;
  /** The action that was most likely meant. */
  meantBy(pattern: string): string | undefined;
  /** The action that is a letter or two away, so that the pattern is most likely mistyped. */
  mistyped(pattern: string): string | undefined;
  /** The same of a forbidden verb, which any word of an action may be, or a verb that is often forbidden. */
  mistypedVerb(verb: string): string | undefined;
}

/** Whether a word has the letters of another in another order, or lacks one: short words are a letter away from too many. */
function isShuffled(word: string, other: string): boolean {
  const letters = (text: string): string => [...text].sort().join('');
  return letters(word) === letters(other) || (word.length < other.length && editDistance(word, other) === 1);
}

/** Letters, digits and asterisks, in one case: what restricts reads action types without the rest. */
function squeezed(pattern: string): string {
  return foldName(pattern)
    .replace(/[^\p{L}\p{N}*]+/gu, '')
    .toLowerCase();
}

export function reachableActions(
  scopes: ReadonlyMap<string, readonly string[]>,
  added: readonly string[],
): ReachableActions {
  const patterns = new Set([...[...scopes.values()].flat(), ...added]);
  const names = [...patterns].filter((pattern) => !hasWildcard(pattern));
  const forms = new Map([...patterns].map((pattern) => [pattern, squeezed(pattern)]));
  let left = MAX_COMPARED;
  const meets = (wanted: string, pattern: string): boolean => {
    const form = forms.get(pattern) ?? squeezed(pattern);
    if (wanted === form || form === '*' || wanted === '*') return true;
    if (!wanted.includes('*') && !form.includes('*')) return false;
    left -= wanted.length * form.length;
    return left < 0 || globsMeet(wanted, form);
  };
  const near = (pattern: string): string | undefined => {
    if (hasWildcard(pattern) || pattern.length < SHORTEST_MISTYPED) return undefined;
    const edits = pattern.length < LONG_NAME ? 1 : 2;
    return names.find((name) => {
      left -= name.length * pattern.length;
      return left > 0 && name.length <= 64 && editDistance(name.toLowerCase(), pattern.toLowerCase()) <= edits;
    });
  };
  /** A word of an action that some agent was made for, or a known verb that some agent may do. */
  const nearWord = (verb: string): string | undefined => {
    const written = verb.toLowerCase();
    if (hasWildcard(verb) || written.length < SHORTEST_WORD || KNOWN_VERBS.includes(written)) return undefined;
    const words = [...patterns].flatMap(wordsOfVerb);
    const known = KNOWN_VERBS.filter((one) => [...patterns].some((pattern) => meets(one, forms.get(pattern) ?? '')));
    const edits = written.length < LONG_NAME ? 1 : 2;
    const isNear = (word: string): boolean => {
      left -= word.length * written.length;
      if (left < 0 || word.length > 64 || word.length < SHORTEST_WORD || editDistance(word, written) > edits)
        return false;
      return written.length >= SHORTEST_MISTYPED || isShuffled(written, word);
    };
    return words.find(isNear) ?? known.find(isNear);
  };
  return {
    names,
    reaches(pattern, agents) {
      const wanted = squeezed(pattern);
      if (agents === undefined) return [...patterns].some((one) => meets(wanted, one));
      const selects = agents.map((agent) => compileGlob(foldName(agent)));
      const selected = [...scopes].filter(([id]) => selects.some((selected) => selected(foldName(id))));
      if (selected.length === 0) return true;
      return [...selected.flatMap(([, actions]) => actions), ...added].some((one) => meets(wanted, one));
    },
    meantBy: (pattern) => nearestName(pattern, names),
    mistyped: near,
    mistypedVerb: (verb) => ([...patterns].some(compileVerbUse(verb)) ? undefined : (near(verb) ?? nearWord(verb))),
  };
}
