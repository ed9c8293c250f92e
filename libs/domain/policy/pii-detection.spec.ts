import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { JsonValue } from '../intent/intent.js';
import { detectPii, MAX_PII_FINDINGS } from './pii-detection.js';

describe('personal data in parameters', () => {
  it('is reported by kind and place, in the order of the parameters', () => {
    expect(
      detectPii({
        rows: [
          { 'e-mail': 'jane@example.com', phone: '+44 20 7946 0958' },
          { note: 'IBAN DE89 3704 0044 0532 0130 00' },
        ],
      }),
    ).toEqual([
      { kind: 'email', pointer: '/rows/0/e-mail' },
      { kind: 'phone', pointer: '/rows/0/phone' },
      { kind: 'iban', pointer: '/rows/1/note' },
    ]);
  });

  it('never repeats the value, not even when it is a name of a parameter', () => {
    const found = detectPii({ members: { 'jane@example.com': { dob: '1980-03-12' } } });
    expect(found).toEqual([
      { kind: 'email', pointer: '/members' },
      { kind: 'date-of-birth', pointer: '/members/*/dob' },
    ]);
  });

  it.each([
    ['a person', { customers: { 'Jane Doe': { email: 'jane@example.com' } } }, '/customers/*/email'],
    ['a person behind an ordinary word', { mail_jane: 'jane@example.com' }, '/*'],
    ['a number behind an ordinary word', { phone_4711: '+44 20 7946 0958' }, '/*'],
    ['letters of another alphabet', { 'mail Юля': 'jane@example.com' }, '/*'],
    ['a path', { 'a/b~c': 'jane@example.com' }, '/*'],
  ])('is placed without the name of a parameter that could be a value: %s', (_, parameters, pointer) => {
    expect(detectPii(parameters).map((found) => found.pointer)).toEqual([pointer]);
  });

  it('is none where there are no parameters', () => {
    expect(detectPii(undefined)).toEqual([]);
    expect(detectPii({})).toEqual([]);
  });

  it('counts as there when there is more to look at than may be looked at', () => {
    expect(detectPii({ text: 'a'.repeat(300_000) })).toEqual([{ kind: 'unscanned', pointer: '/text' }]);
    expect(detectPii({ list: Array.from({ length: 50_000 }, () => 1) })).toMatchObject([{ kind: 'unscanned' }]);
    const phones = Array.from({ length: 200 }, (_, index) => `+1 999 ${String(index).padStart(3, '0')} 000`).join('; ');
    expect(detectPii({ phones })).toContainEqual({ kind: 'unscanned', pointer: '/phones' });
    let deep: JsonValue = 'x';
    for (let level = 0; level < 100; level += 1) deep = [deep];
    expect(detectPii({ deep })).toMatchObject([{ kind: 'unscanned' }]);
  });

  it('is looked for in the largest intent there is, as long as it is not made of what looks like it', () => {
    expect(detectPii({ text: `${'The quick brown fox, 12 of 2026. '.repeat(1_900)} jane@example.com` })).toEqual([
      { kind: 'email', pointer: '/text' },
    ]);
  });

  it.each([
    ['at signs', 'a@'],
    ['numbers like cards', '4111 1111 1111 1112; '],
    ['accounts with wrong check digits', 'GB82WEST12345698765431 '],
    ['numbers like ids', '12345678A '],
  ])('is no longer looked for after two thousand of its like, which says so last: %s', (_, unit) => {
    const text = unit.repeat(62_000 / unit.length);
    expect(detectPii({ text, later: 'jane@example.com' }).at(-1)).toEqual({ kind: 'unscanned', pointer: '/text' });
    expect(detectPii({ list: text.match(/.{1,420}/gs) ?? [] }).at(-1)?.kind).toBe('unscanned');
  });

  it('is listed to a limit, which nobody can make longer, and what is not told counts as not looked at', () => {
    const mails = Array.from({ length: 500 }, (_, index) => `user${index}@example.com`);
    const found = detectPii({ mails, note: 'IBAN DE89 3704 0044 0532 0130 00' });
    expect(found).toHaveLength(MAX_PII_FINDINGS + 1);
    expect(found.at(-1)?.kind).toBe('unscanned');
    expect(detectPii({ mails: mails.slice(0, MAX_PII_FINDINGS) }).map(({ kind }) => kind)).not.toContain('unscanned');
  });

  it('is looked for without ever throwing, and the same parameters have the same answer', () => {
    const { json } = fc.letrec((tie) => ({
      json: fc.oneof(
        { maxDepth: 5 },
        fc.string({ unit: 'binary' }),
        fc.constantFrom('@', 'a@b.co', '+49', '@@@@', '4111 1111 1111 1111', 'DE89', 'born', null, true),
        fc.double(),
        fc.array(tie('json'), { maxLength: 5 }),
        fc.dictionary(
          fc.oneof(fc.string(), fc.constantFrom('email', 'phone', 'dob', 'address', '__proto__')),
          tie('json'),
        ),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(fc.string(), json) as fc.Arbitrary<Record<string, JsonValue>>, (parameters) => {
        const found = detectPii(parameters);
        expect(detectPii(parameters)).toEqual(found);
        for (const { pointer } of found) expect(pointer.length).toBeLessThanOrEqual(300);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['at signs', '@'],
    ['at signs in words', 'a@'],
    ['digits', '1'],
    ['digits in groups', '1 '],
    ['digits with hyphens', '1-'],
    ['plus signs', '+1 '],
    ['letters before digits', 'DE12'],
    ['announcements', 'tel '],
    ['births', 'born '],
    ['brackets', '(0'],
    ['slashes', '://'],
  ])('a text of nothing but %s costs each pattern work in proportion to its length', (_, unit) => {
    expect(looksAt(unit.repeat(20_000 / unit.length))).toBeLessThanOrEqual(
      2.2 * looksAt(unit.repeat(10_000 / unit.length)) + 1_000,
    );
  });
});

/** How many characters are looked at one by one or copied. */
function looksAt(text: string): number {
  let looks = 0;
  const restore = (['charCodeAt', 'charAt', 'slice'] as const).map((name) => {
    const original = Object.getOwnPropertyDescriptor(String.prototype, name);
    const run = original?.value as (this: string, ...given: number[]) => number | string;
    Object.defineProperty(String.prototype, name, {
      ...original,
      value: function (this: string, ...given: number[]) {
        const result = run.apply(this, given);
        looks += typeof result === 'string' ? Math.max(1, result.length) : 1;
        return result;
      },
    });
    return () => {
      if (original !== undefined) Object.defineProperty(String.prototype, name, original);
    };
  });
  try {
    detectPii({ text });
  } finally {
    for (const undo of restore) undo();
  }
  return looks;
}
