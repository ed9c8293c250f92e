import { foldName } from './folding.js';
import { compileGlob, compileSelector, hasWildcard, type Selector } from './glob.js';
import { compileVerbSelector } from './verbs.js';

/**
 * How names are compared, in one place for every rule: what allows matches exactly, letter by letter; what restricts
 * matches widely, so that no other spelling gets around it.
 */

/** Selects what may be done. */
export const allowing: (patterns: readonly string[]) => Selector = compileSelector;

/** Selects the names of systems or agents that a restriction speaks of. */
export function restrictingNames(patterns: readonly string[] | undefined): Selector {
  if (patterns === undefined || patterns.includes('*')) return () => true;
  const exact = new Set(patterns.filter((pattern) => !hasWildcard(pattern)).map(foldName));
  const globs = patterns.filter(hasWildcard).map((pattern) => compileGlob(foldName(pattern)));
  return (name) => {
    const folded = foldName(name);
    return exact.has(folded) || globs.some((glob) => glob(folded));
  };
}

/** Selects the action types that a restriction speaks of. */
export function restrictingVerbs(patterns: readonly string[] | undefined): Selector {
  return patterns === undefined ? () => true : compileVerbSelector(patterns);
}
