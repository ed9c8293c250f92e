import { climbs } from './file-path.js';
import type { Selector } from './glob.js';
import { isGlob, readValueGlob } from './value-glob.js';

/**
 * The texts that names and globs allow: exactly those, letter case and all. A glob takes no text with a step upwards
 * (`..`), and one that cannot be read takes nothing.
 */
export function compileAllowedTexts(patterns: readonly string[]): Selector {
  const exact = new Set(patterns.filter((pattern) => !isGlob(pattern)));
  const globs = patterns.filter(isGlob).flatMap((pattern) => {
    const reading = readValueGlob(pattern, { letters: 'exact' });
    return reading.ok ? [reading.pattern] : [];
  });
  return (text) => exact.has(text) || (globs.some((glob) => glob.test(text)) && !climbs(text));
}
