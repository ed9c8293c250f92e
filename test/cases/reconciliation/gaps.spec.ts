import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parse } from 'yaml';
import { z } from 'zod';
import { sha256 } from '#contracts';
import { actionDigestOf, countGaps, GAP_KINDS, gapsIn, type ChainEvent } from '#domain';
import { chainScriptSchema, eventsOfScript, intentIdNamed, SCRIPT_START } from '#testing';

const gapCase = z.array(
  z.strictObject({
    case: z.string(),
    agents: z.array(z.string()),
    now: z.int(),
    events: z.array(z.looseObject({ of: z.string().optional().describe('What was really done.') })),
    expect: z.array(
      z.strictObject({
        kind: z.enum(GAP_KINDS),
        of: z.string(),
        agent: z.string().optional(),
        action: z.string().optional(),
        ageMs: z.int().optional(),
        lateMs: z.int().optional(),
      }),
    ),
  }),
);

const cases = gapCase.parse(parse(readFileSync(`${import.meta.dirname}/gaps.yaml`, 'utf8')));

function eventsOf({ agents, events }: (typeof cases)[number]): ChainEvent[] {
  const script = chainScriptSchema.parse({ agents, events: events.map(({ of: _, ...event }) => event) });
  return eventsOfScript(script).map((event, index) => {
    const done = events[index]?.of;
    if (event.kind !== 'report' || done === undefined) return event;
    const actionDigest = actionDigestOf({ type: done, target: 'reporting' }, sha256);
    return { ...event, report: { ...event.report, actionDigest } };
  });
}

describe('what does not add up', () => {
  it.each(cases.map((one) => [one.case, one] as const))('%s', (_, one) => {
    const gaps = gapsIn(eventsOf(one), SCRIPT_START + one.now);
    expect(gaps).toMatchObject(
      one.expect.map(({ of, agent, ...rest }) => ({
        ...rest,
        intentId: intentIdNamed(of),
        ...(agent === undefined ? {} : { agentId: agent }),
      })),
    );
  });

  it('is the same in whatever order and however often the events were read', () => {
    fc.assert(
      fc.property(fc.constantFrom(...cases), fc.infiniteStream(fc.nat()), (one, order) => {
        const events = eventsOf(one);
        const now = SCRIPT_START + one.now;
        const shuffled = [...events, ...events]
          .map((event) => [order.next().value, event] as const)
          .sort(([a], [b]) => a - b)
          .map(([, event]) => event);
        expect(gapsIn(shuffled, now)).toEqual(gapsIn(events, now));
      }),
    );
  });

  it('is counted by kind, and every kind is told, also when there is none', () => {
    const gaps = cases.flatMap((one) => gapsIn(eventsOf(one), SCRIPT_START + one.now));
    const counts = countGaps(gaps);
    expect(Object.keys(counts)).toEqual([...GAP_KINDS]);
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(gaps.length);
    expect(countGaps([])).toEqual(Object.fromEntries(GAP_KINDS.map((kind) => [kind, 0])));
  });
});
