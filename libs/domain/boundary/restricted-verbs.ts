import { boundedMemo } from '../matching/bounded-memo.js';
import { compileGlob, hasWildcard } from '../matching/glob.js';

const REMEMBERED_TYPES = 4096;

/**
 * The words of an action type, in each way a reader might split it, in lower case: at signs only, at humps
 * (`HTTPDelete`), and at every change of case (`DELETEuser`). Several, so that no spelling hides a verb.
 */
function readingsOf(type: string): readonly (readonly string[])[] {
  const splits = [/[A-Za-z]+/g, /[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g, /[A-Z]+|[a-z]+/g];
  return splits.map((split) => (type.match(split) ?? []).map((word) => word.toLowerCase()));
}

function holdsRun(words: readonly string[], run: readonly string[]): boolean {
  return words.some((_, start) => run.every((word, index) => words[start + index] === word));
}

function compileVerb(pattern: string): (type: string) => boolean {
  const lower = pattern.toLowerCase();
  if (hasWildcard(pattern)) {
    const glob = compileGlob(lower);
    return (type) => glob(type.toLowerCase());
  }
  const runs = readingsOf(pattern).filter((run) => run.length > 0);
  return (type) =>
    type.toLowerCase() === lower || readingsOf(type).some((words) => runs.some((run) => holdsRun(words, run)));
}

/**
 * The first restricted verb that an action type uses. A pattern with `*` is a glob over the whole type; one without
 * matches the whole type or any of its words. Case never matters.
 */
export function compileRestrictedVerbs(patterns: readonly string[]): (type: string) => string | undefined {
  const verbs = patterns.map((pattern) => ({ pattern, matches: compileVerb(pattern) }));
  return boundedMemo(REMEMBERED_TYPES, (type: string) => verbs.find((verb) => verb.matches(type))?.pattern);
}
