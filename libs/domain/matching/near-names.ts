/** Longer names are not compared: nobody mistypes them by a letter or two, and the comparison is quadratic. */
const LONGEST_COMPARED = 64;

/** How many letters must be inserted, deleted, replaced or swapped with their neighbour to turn one name into another. */
export function editDistance(one: string, other: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const same = one[row - 1] === other[column - 1];
      let cost = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      if (swapped) cost = Math.min(cost, (beforePrevious[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[other.length] ?? 0;
}

/** The known name that someone who wrote `name` most likely meant; none when nothing is close. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  if (name.length > LONGEST_COMPARED) return undefined;
  const written = name.toLowerCase();
  let nearest: string | undefined;
  let nearestDistance = Infinity;
  for (const candidate of known) {
    if (candidate.length > LONGEST_COMPARED || candidate === name) continue;
    const allowed = Math.max(1, Math.floor(Math.max(written.length, candidate.length) / 3));
    if (Math.abs(written.length - candidate.length) > allowed) continue;
    const distance = editDistance(written, candidate.toLowerCase());
    if (distance <= allowed && distance < nearestDistance) {
      nearest = candidate;
      nearestDistance = distance;
    }
  }
  return nearest;
}

/** "did you mean `x`?", or what there is to choose from, or nothing when there is nothing. */
export function hintFor(name: string, known: readonly string[], what: string): string | undefined {
  const near = nearestName(name, known);
  if (near !== undefined) return `did you mean \`${near}\`?`;
  if (known.length === 0) return undefined;
  const shown = known.slice(0, 12).join(', ');
  return `${what}: ${shown}${known.length > 12 ? ', …' : ''}`;
}
