import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson } from './canonical-json.js';
import { jsonDifferences, sameJson } from './json-difference.js';

/** JSON values out of few parts, so that equal and almost equal ones are common. */
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<unknown>(null, true, false, 0, -0, 1, 1.5, '', 'a', 'constructor'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'constructor', 'toString'), tie('value'), { maxKeys: 3 }),
  ),
})).value;

describe('two records are compared value by value', () => {
  it('and are the same exactly when their RFC 8785 forms are', () => {
    fc.assert(
      fc.property(json, json, (one, other) => {
        expect(sameJson(one, other)).toBe(canonicalJson(one) === canonicalJson(other));
      }),
      { numRuns: 2000 },
    );
  });

  it('and are the same after a way through JSON, whatever was left out there', () => {
    const value = { a: undefined, b: [1, { c: undefined, d: Number.NaN }] };
    expect(jsonDifferences(value, JSON.parse(JSON.stringify(value)))).toEqual([]);
  });

  it('and every place where they differ is named, up to a limit', () => {
    const one = { a: [1, 2], b: { c: 1 }, d: 1 };
    const other = { a: [1, 3, 4], b: { c: '1' }, e: 1 };
    expect(jsonDifferences(one, other)).toEqual(['a[1]', 'a[2]', 'b.c', 'd', 'e']);
    expect(jsonDifferences(one, other, 2)).toEqual(['a[1]', 'a[2]']);
    expect(jsonDifferences(1, [])).toEqual(['(the whole value)']);
  });
});
