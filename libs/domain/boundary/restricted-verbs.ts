import { boundedMemo } from '../matching/bounded-memo.js';
import { compileVerbUse } from '../matching/verbs.js';

const REMEMBERED_TYPES = 4096;

/** The first restricted verb that an action type uses; see {@link compileVerbUse}. */
export function compileRestrictedVerbs(patterns: readonly string[]): (type: string) => string | undefined {
  const verbs = patterns.map((pattern) => ({ pattern, uses: compileVerbUse(pattern) }));
  return boundedMemo(REMEMBERED_TYPES, (type: string) => verbs.find(({ uses }) => uses(type))?.pattern);
}
