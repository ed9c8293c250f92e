import { describe, expect, it } from '@jest/globals';
import { renderAction } from './action-rendering.js';

describe('what an approver is shown of an action', () => {
  it('is every value the agent would execute, one a line', () => {
    expect(
      renderAction({
        type: 'transfer',
        target: 'ledger',
        parameters: { payment: { amount: 2400, to: ['a', 'b'] }, dryRun: false, note: null, tags: [], extra: {} },
        destination: 'warehouse',
      }),
    ).toEqual([
      'type = "transfer"',
      'target = "ledger"',
      'parameters.payment.amount = 2400',
      'parameters.payment.to[0] = "a"',
      'parameters.payment.to[1] = "b"',
      'parameters.dryRun = false',
      'parameters.note = null',
      'parameters.tags = []',
      'parameters.extra = {}',
      'destination = "warehouse"',
    ]);
  });

  it('cannot steer a terminal, hide, or write a line of its own', () => {
    const lines = renderAction({
      type: 'transfer',
      target: 'ledger',
      parameters: { note: 'ok\u001b[2J\namount = 1\u202e', 'a.b = "1"': 'x" = "y' },
    });
    expect(lines).toEqual([
      'type = "transfer"',
      'target = "ledger"',
      'parameters.note = "ok\\u{1b}[2J\\u{a}amount = 1\\u{202e}"',
      'parameters."a.b = \\"1\\"" = "x\\" = \\"y"',
    ]);
  });

  it.each([
    ['a Hangul filler', '\u3164', '\\u{3164}'],
    ['a Hangul choseong filler', '\u115f', '\\u{115f}'],
    ['a grapheme joiner', '\u034f', '\\u{34f}'],
    ['a braille blank', '\u2800', '\\u{2800}'],
    ['a no-break space', '\u00a0', '\\u{a0}'],
    ['an ideographic space', '\u3000', '\\u{3000}'],
    ['a variation selector', '\ufe0f', '\\u{fe0f}'],
    ['a supplementary variation selector', '\u{e0100}', '\\u{e0100}'],
    ['a zero width space', '\u200b', '\\u{200b}'],
  ])('shows %s, which an approver would not see', (_, character, shown) => {
    const [, , note] = renderAction({ type: 't', target: 's', parameters: { note: `pay${character}ann 1` } });
    expect(note).toBe(`parameters.note = "pay${shown}ann 1"`);
  });

  it('tells text from numbers', () => {
    const [, , one, other] = renderAction({ type: 't', target: 's', parameters: { one: '1', other: 1 } });
    expect([one, other]).toEqual(['parameters.one = "1"', 'parameters.other = 1']);
  });
});
