import type { JsonValue } from '../intent/intent.js';

/**
 * What lies at a dotted path of an action's parameters: members of objects by name, items of lists by number, a list's
 * `length`. `undefined`: nothing does. Names that every object inherits are no parameters.
 */
export function parameterAt(parameters: JsonValue | undefined, path: readonly string[]): JsonValue | undefined {
  let found = parameters;
  for (const step of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, step)) return undefined;
    found = (found as Record<string, JsonValue>)[step];
  }
  return found;
}
