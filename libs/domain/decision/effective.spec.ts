import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { chainScriptSchema, eventsOfScript, SCRIPT_START } from '#testing';
import { effectiveDecision, type AppendedDecision } from './effective.js';
import type { Outcome } from './decision.js';

const VALID_UNTIL = SCRIPT_START + 30_000;

function decisions(...appended: [outcome: Outcome, at: number][]): AppendedDecision[] {
  const script = chainScriptSchema.parse({
    agents: ['a'],
    events: [
      { intent: 'one', agent: 'a', at: 0 },
      ...appended.map(([outcome, at], i) => ({ decision: 'one', outcome, round: i + 1, at: at - SCRIPT_START })),
    ],
  });
  return eventsOfScript(script).flatMap((event) => (event.kind === 'decision' ? [event] : []));
}

function effectiveOutcome(...appended: [outcome: Outcome, at: number][]): Outcome | undefined {
  return effectiveDecision(decisions(...appended))?.decision.outcome;
}

describe('the effective decision', () => {
  it('is none before anything was decided', () => {
    expect(effectiveDecision([])).toBeUndefined();
  });

  it('is the first final one: a later one changes nothing', () => {
    expect(effectiveOutcome(['deny', VALID_UNTIL - 2], ['allow', VALID_UNTIL - 1])).toBe('deny');
    expect(effectiveOutcome(['allow', VALID_UNTIL - 2], ['deny', VALID_UNTIL - 1])).toBe('allow');
  });

  it('is never a hold', () => {
    expect(effectiveOutcome(['hold', VALID_UNTIL - 2])).toBeUndefined();
    expect(effectiveOutcome(['hold', VALID_UNTIL - 2], ['allow', VALID_UNTIL - 1])).toBe('allow');
  });

  it('is never one that was appended after its validUntil, by a single millisecond', () => {
    expect(effectiveOutcome(['allow', VALID_UNTIL])).toBe('allow');
    expect(effectiveOutcome(['allow', VALID_UNTIL + 1])).toBeUndefined();
    expect(effectiveOutcome(['deny', VALID_UNTIL + 1], ['allow', VALID_UNTIL])).toBe('allow');
  });

  it('is the same for every reader, in whatever order and how often decisions reach it', () => {
    const outcome = fc.constantFrom<Outcome>('allow', 'deny', 'hold');
    const at = fc.integer({ min: VALID_UNTIL - 3, max: VALID_UNTIL + 3 });
    fc.assert(
      fc.property(fc.array(fc.tuple(outcome, at), { maxLength: 6 }), fc.infiniteStream(fc.nat()), (appended, dice) => {
        const read = decisions(...appended);
        const shuffled = [...read, ...read].sort(() => (dice.next().value % 3) - 1);
        expect(effectiveDecision(shuffled)).toEqual(effectiveDecision(read));
      }),
    );
  });
});
