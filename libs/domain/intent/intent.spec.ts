import { describe, expect, it } from '@jest/globals';
import { sha256 } from '#contracts';
import { actionDigestOf } from '../record/digest.js';
import { MAX_PARAMETER_DEPTH, actionSchema } from './intent.js';

const action = { type: 'transfer', target: 'ledger' };

function nested(levels: number): unknown {
  return levels === 1 ? {} : { inner: nested(levels - 1) };
}

describe('an action', () => {
  it('keeps its parameters exactly as they came, so that the digest covers what will be executed', () => {
    const parameters = { b: 1, a: [null, { 'x.y': '€' }], __proto__x: true };
    const given = { ...action, parameters };
    expect(actionSchema.parse(given).parameters).toBe(parameters);
    expect(actionDigestOf(given, sha256)).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([
    ['a number too large to be one', '{"amount":1e999}'],
    ['half a character', '{"note":"\\ud800"}'],
    ['half a character in a name', '{"\\udc00":1}'],
    ['half a character deep inside', '{"a":[{"b":["\\ud800"]}]}'],
    ['a list instead of a mapping', '[1]'],
  ])('with %s in its parameters is refused, because it has no digest', (_, json) => {
    expect(actionSchema.safeParse({ ...action, parameters: JSON.parse(json) as unknown }).success).toBe(false);
  });

  it('may nest its parameters so deep and no deeper', () => {
    const parses = (levels: number): boolean =>
      actionSchema.safeParse({ ...action, parameters: nested(levels) }).success;
    expect(parses(MAX_PARAMETER_DEPTH)).toBe(true);
    expect(parses(MAX_PARAMETER_DEPTH + 1)).toBe(false);
    expect(parses(5000)).toBe(false);
  });

  it.each(['destination', 'dataClassification', 'integration', 'environment'])(
    'is refused with half a character as %s',
    (field) => {
      expect(actionSchema.safeParse({ ...action, [field]: 'a\ud800' }).success).toBe(false);
    },
  );

  it('is refused with a field nobody knows', () => {
    expect(actionSchema.safeParse({ ...action, approved: true }).success).toBe(false);
  });
});
