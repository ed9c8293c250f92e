import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { OUTLOOKS, outlookOf } from './outlook.js';

const LIBS = join(import.meta.dirname, '..');

/** The codes of the errors that these files declare, as unions of their constructors. */
function declaredIn(lib: string, files: RegExp): string[] {
  const folder = join(LIBS, lib);
  return readdirSync(folder)
    .filter((name) => files.test(name) && !name.endsWith('.spec.ts'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').match(/(?:\| |readonly code: )'REMIT_[A-Z_]+'/g) ?? [])
    .map((found) => /REMIT_[A-Z_]+/.exec(found)?.[0] ?? '');
}

describe('whether trying again helps', () => {
  it('is said for every code of every error that may reach the bus', () => {
    const declared = [
      ...declaredIn('bus', /^errors\.ts$/),
      ...declaredIn('postgres', /-error\.ts$/),
      ...declaredIn('event-store', /-error\.ts$/),
      ...declaredIn('record', /-error\.ts$/),
      ...declaredIn('authority', /^authority-runtime\.ts$/),
      ...declaredIn('segment', /^segment\.ts$/),
    ];
    expect(declared.length).toBeGreaterThan(25);
    expect([...new Set(declared)].sort()).toEqual(Object.keys(OUTLOOKS).sort());
  });

  it.each([
    [new Error('socket hang up'), 'unknown'],
    [new RangeError('invalid time value'), 'unknown'],
    [Object.assign(new Error('x'), { code: 'ERR_INVALID_ARG_TYPE' }), 'unknown'],
    [Object.assign(new Error('x'), { code: 'toString' }), 'unknown'],
    [Object.assign(new Error('x'), { code: 'EAI_AGAIN' }), 'later'],
    [Object.assign(new Error('x'), { code: 'ECONNRESET' }), 'later'],
    [new DOMException('stopped', 'AbortError'), 'unknown'],
    ['a text', 'unknown'],
    [undefined, 'unknown'],
  ])('%s: %s', (error, outlook) => {
    expect(outlookOf(error)).toBe(outlook);
  });
});
