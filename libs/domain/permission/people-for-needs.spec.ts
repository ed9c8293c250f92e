import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ApprovalEntry, Need } from './authority.js';
import { peopleForNeeds, placesFilled } from './people-for-needs.js';

const role = fc.constantFrom('operations', 'security', 'finance');
const needs = fc
  .array(fc.record({ role, count: fc.integer({ min: 1, max: 2 }) }), { minLength: 1, maxLength: 3 })
  .map((all) => all.map((approvals, index): Need => ({ permission: `p${String(index)}`, approvals })));
const entries = fc
  .array(fc.subarray(['operations', 'security', 'finance']), { maxLength: 5 })
  .map((all) => all.map((roles, index): ApprovalEntry => ({ by: `person ${String(index)}`, roles, at: index })));

/** By trying everything. */
function mostPlaces(open: readonly Need[], people: readonly ApprovalEntry[]): number {
  const [first, ...others] = people;
  if (first === undefined) return 0;
  const taken = open.flatMap(({ approvals, ...need }, index) => {
    if (!first.roles.includes(approvals.role) || approvals.count === 0) return [];
    const left = { ...need, approvals: { ...approvals, count: approvals.count - 1 } };
    return [1 + mostPlaces(open.with(index, left), others)];
  });
  return Math.max(mostPlaces(open, others), ...taken);
}

describe('who counts for which need of a request', () => {
  it('is nobody twice, nobody without the role, and as many as can be', () => {
    fc.assert(
      fc.property(needs, entries, (wanted, people) => {
        const counted = peopleForNeeds(wanted, people);
        const names = counted.flat().map(({ by }) => by);
        expect(new Set(names).size).toBe(names.length);
        for (const [index, all] of counted.entries()) {
          for (const { roles } of all) expect(roles).toContain(wanted[index]?.approvals.role);
          expect(all.length).toBeLessThanOrEqual(wanted[index]?.approvals.count ?? 0);
        }
        expect(placesFilled(wanted, people)).toBe(mostPlaces(wanted, people));
      }),
      { numRuns: 500 },
    );
  });

  it('is whoever has its role for a need that is shared, whatever else they count for', () => {
    const both: Need[] = [
      { permission: 'a', approvals: { count: 1, role: 'operations' } },
      { permission: 'b', approvals: { count: 1, role: 'security', shared: true } },
    ];
    const ann = { by: 'ann', roles: ['operations', 'security'], at: 0 };
    expect(peopleForNeeds(both, [ann])).toEqual([[ann], [ann]]);
  });
});
