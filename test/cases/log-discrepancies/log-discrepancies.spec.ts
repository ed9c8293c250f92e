import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import { sha256 } from '#contracts';
import {
  compareWithLog,
  evolveDiscrepancies,
  heldBy,
  knownAs,
  LOG_DISCREPANCY_KINDS,
  logDiscrepancy,
  openDiscrepancies,
  voidBefore,
  type LogDiscrepancies,
  type LogDiscrepancy,
} from '#domain';

const kind = z.enum(LOG_DISCREPANCY_KINDS);
const casesSchema = z.strictObject({
  comparisons: z.array(
    z.strictObject({
      title: z.string(),
      reader: z.string(),
      topic: z.string(),
      ...{ next: z.int(), start: z.int(), end: z.int() },
      found: z.array(z.strictObject({ kind, from: z.int(), to: z.int() })),
    }),
  ),
  holds: z.array(
    z.strictObject({
      title: z.string(),
      open: z.strictObject({ kind, topic: z.string(), reader: z.string() }),
      held: z.array(z.tuple([z.string(), z.string()])),
      free: z.array(z.tuple([z.string(), z.string()])),
    }),
  ),
});
const { comparisons, holds } = casesSchema.parse(
  parse(readFileSync(join(import.meta.dirname, 'discrepancies.yaml'), 'utf8')),
);

const RULES = { controlTopics: ['charter.events', 'permission.events'], auditGroup: 'remit.audit' };
const AT = '2026-11-28T12:00:00.000Z';

function found(...discrepancies: readonly LogDiscrepancy[]): LogDiscrepancies {
  return discrepancies.reduce<LogDiscrepancies>(
    (known, discrepancy) => evolveDiscrepancies(known, { event: 'LogDiscrepancyFound', at: AT, discrepancy }),
    new Map(),
  );
}

function acknowledged(known: LogDiscrepancies, id: string): LogDiscrepancies {
  return evolveDiscrepancies(known, { event: 'LogDiscrepancyAcknowledged', at: AT, id, by: 'gwen', reason: 'known' });
}

const LOST = { kind: 'log-lost', topic: 'agent.actions', partition: 2, reader: 'remit.boundary' } as const;

describe('what was read against the log', () => {
  it.each(comparisons)('$title', ({ reader, topic, next, start, end, found: expected }) => {
    const bounds = { starts: new Map([[topic, [start]]]), ends: new Map([[topic, [end]]]) };
    const discrepancies = compareWithLog([{ reader, topic, partition: 0, next }], bounds, sha256);
    expect(discrepancies).toEqual(expected.map((one) => expect.objectContaining({ ...one, reader, topic }) as unknown));
  });

  it('a topic of which nobody knows where it ends is not compared', () => {
    const position = { reader: 'remit.boundary', topic: 'gone', partition: 0, next: 9 };
    expect(compareWithLog([position], { starts: new Map(), ends: new Map() }, sha256)).toEqual([]);
  });
});

describe('whom an open discrepancy holds', () => {
  it.each(holds)('$title', ({ open, held, free }) => {
    const known = found(logDiscrepancy({ ...open, partition: 0, from: 1, to: 4 }, sha256));
    const isHeld = ([group, topic]: readonly [string, string]): boolean =>
      heldBy(known, { group, topic, partition: 0 }, RULES) !== undefined;
    expect(held.filter((one) => !isHeld(one))).toEqual([]);
    expect(free.filter(isHeld)).toEqual([]);
    const [id = ''] = known.keys();
    expect(
      held.filter((one) => heldBy(acknowledged(known, id), { group: one[0], topic: one[1], partition: 0 }, RULES)),
    ).toEqual([]);
  });
});

describe('an acknowledgement', () => {
  it('is for exactly one discrepancy, and the first one counts', () => {
    const [one, other] = [3, 4].map((to) => logDiscrepancy({ ...LOST, from: 1, to }, sha256));
    if (one === undefined || other === undefined) throw new Error('there are two');
    const known = acknowledged(acknowledged(found(one, other), one.id), one.id);
    expect(openDiscrepancies(known).map(({ discrepancy }) => discrepancy)).toEqual([other]);
  });

  it('of what was never found counts for nothing', () => {
    expect(acknowledged(new Map(), '0123456789abcdef').size).toBe(0);
  });

  it('of a lost log covers the messages it has got since, but not a further loss', () => {
    const known = found(logDiscrepancy({ ...LOST, from: 5, to: 9 }, sha256));
    expect(knownAs(logDiscrepancy({ ...LOST, from: 7, to: 9 }, sha256), known)).toBeDefined();
    expect(knownAs(logDiscrepancy({ ...LOST, from: 4, to: 9 }, sha256), known)).toBeUndefined();
  });

  it('of a lost log makes void for the group whatever lies before where it was', () => {
    const lost = logDiscrepancy({ ...LOST, from: 5, to: 9 }, sha256);
    const known = found(lost);
    const reading = { group: 'remit.boundary', topic: 'agent.actions', partition: 2 };
    const other = { ...reading, group: 'remit.permission-requests' };
    expect(voidBefore(known, reading, RULES)).toBe(0);
    expect(voidBefore(acknowledged(known, lost.id), reading, RULES)).toBe(9);
    expect(voidBefore(acknowledged(known, lost.id), other, RULES)).toBe(9);
    expect(voidBefore(acknowledged(known, lost.id), { ...reading, partition: 3 }, RULES)).toBe(0);
  });

  it('of a lost log makes nothing void for the audit log that it does not hold', () => {
    const audit = { group: 'remit.audit', topic: 'agent.actions', partition: 2 };
    const theirs = logDiscrepancy({ ...LOST, from: 5, to: 9 }, sha256);
    expect(voidBefore(acknowledged(found(theirs), theirs.id), audit, RULES)).toBe(0);
    const own = logDiscrepancy({ ...LOST, reader: 'audit log', from: 5, to: 7 }, sha256);
    expect(voidBefore(acknowledged(found(own), own.id), audit, RULES)).toBe(7);
  });

  it('of a control topic that was cut is for the cut, whichever snapshot views begin with; a further cut is another one', () => {
    const cut = { kind: 'log-cut', topic: 'permission.events', partition: 2, reader: 'views' } as const;
    const known = found(logDiscrepancy({ ...cut, from: 0, to: 9 }, sha256));
    expect(knownAs(logDiscrepancy({ ...cut, from: 4, to: 9 }, sha256), known)).toBeDefined();
    expect(knownAs(logDiscrepancy({ ...cut, from: 4, to: 12 }, sha256), known)).toBeUndefined();
    const audits = found(logDiscrepancy({ ...cut, reader: 'audit log', from: 0, to: 9 }, sha256));
    expect(knownAs(logDiscrepancy({ ...cut, reader: 'audit log', from: 4, to: 9 }, sha256), audits)).toBeUndefined();
  });
});
