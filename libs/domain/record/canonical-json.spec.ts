import { describe, expect, it } from '@jest/globals';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { canonicalJson } from './canonical-json.js';

describe('the canonical form of a JSON value (RFC 8785)', () => {
  it('is that of the canonicalize library, for any JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'grapheme' }), (value) => {
        expect(canonicalJson(value)).toBe(canonicalize(value));
      }),
      { numRuns: 2000 },
    );
  });

  it('orders names by UTF-16 code units, numbers among them (RFC 8785, 3.2.3)', () => {
    const value = {
      '\u20ac': 1,
      '\r': 2,
      '\ufb33': 3,
      '1': 4,
      '\ud83d\ude00': 5,
      '\u0080': 6,
      '\u00f6': 7,
      '10': 8,
      '9': 9,
    };
    expect(Object.values(JSON.parse(canonicalJson(value)) as object)).toHaveLength(9);
    expect(canonicalJson(value)).toBe(
      '{"\\r":2,"1":4,"10":8,"9":9,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}',
    );
  });

  it.each([
    [0, '0'],
    [-0, '0'],
    [5e-324, '5e-324'],
    [-5e-324, '-5e-324'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [9007199254740992, '9007199254740992'],
    [2 ** 68, '295147905179352830000'],
    [9.999999999999997e22, '9.999999999999997e+22'],
    [1e23, '1e+23'],
    [0.000001, '0.000001'],
    [333333333.3333332, '333333333.3333332'],
  ])('writes the number %p as %s (RFC 8785, appendix B)', (number, text) => {
    expect(canonicalJson(number)).toBe(text);
  });

  it('leaves out members that are undefined, and keeps the place of items that are', () => {
    expect(canonicalJson({ b: undefined, a: [1, undefined, null] })).toBe('{"a":[1,null,null]}');
  });

  it.each([
    ['NaN', Number.NaN],
    ['infinity', [Infinity]],
    ['half a surrogate pair', { a: '\ud800' }],
    ['half a surrogate pair as a name', { '\udc00': 1 }],
    ['nothing', undefined],
    ['a function', { a: () => 1 }],
    ['a bigint', 1n],
  ])('does not exist for %s', (_, value) => {
    expect(() => canonicalJson(value)).toThrow(TypeError);
  });
});
