import type { ApprovalEntry, Need } from './authority.js';

/**
 * Who of those who have approved counts for which need, in the order of the needs. One person counts for one need of a
 * request, so that two needs take two people; for a need that is `shared` whoever has its role counts as well. As many
 * places are filled as these people can fill.
 */
export function peopleForNeeds(needs: readonly Need[], entries: readonly ApprovalEntry[]): ApprovalEntry[][] {
  const filled = needs.map((): ApprovalEntry[] => []);

  /** Finds a place for someone, where needed by moving another to a place that they can fill, too. */
  function place(entry: ApprovalEntry, tried: Set<number>): boolean {
    for (const [index, { approvals }] of needs.entries()) {
      if (approvals.shared === true || tried.has(index) || !entry.roles.includes(approvals.role)) continue;
      tried.add(index);
      const there = filled[index] ?? [];
      if (there.length < approvals.count) {
        there.push(entry);
        return true;
      }
      const moved = there.findIndex((other) => place(other, tried));
      if (moved !== -1) {
        there[moved] = entry;
        return true;
      }
    }
    return false;
  }

  for (const entry of entries) place(entry, new Set());
  return needs.map(({ approvals }, index) =>
    approvals.shared === true ? entries.filter(({ roles }) => roles.includes(approvals.role)) : (filled[index] ?? []),
  );
}

/** The needs for which somebody has to approve yet. */
export function unmetNeeds(needs: readonly Need[], entries: readonly ApprovalEntry[]): Need[] {
  const people = peopleForNeeds(needs, entries);
  return needs.filter(({ approvals }, index) => (people[index]?.length ?? 0) < approvals.count);
}

/** How many of the places that the needs have are filled. */
export function placesFilled(needs: readonly Need[], entries: readonly ApprovalEntry[]): number {
  const people = peopleForNeeds(needs, entries);
  return needs.reduce((sum, { approvals }, index) => sum + Math.min(approvals.count, people[index]?.length ?? 0), 0);
}
