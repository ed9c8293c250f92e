type Members = Readonly<Record<string, unknown>>;

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What JSON makes of a value that is no JSON by itself. */
function asJson(value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) return null;
  return value;
}

/**
 * The paths at which two JSON values differ, such as `verdicts[1].findings[0].reason`, up to `most` of them. None:
 * they have the same RFC 8785 form. A member that is `undefined` is no member, as in JSON.
 */
export function jsonDifferences(one: unknown, other: unknown, most = 20): string[] {
  const found: string[] = [];
  compare(one, other, '', found, most);
  return found;
}

/** Whether two JSON values have the same RFC 8785 form. */
export function sameJson(one: unknown, other: unknown): boolean {
  const [left, right] = [asJson(one), asJson(other)];
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, i) => sameJson(item, right[i]));
  }
  return isMembers(left) && isMembers(right) && sameMembers(left, right);
}

function sameMembers(left: Members, right: Members): boolean {
  let open = 0;
  for (const name in right) if (right[name] !== undefined) open += 1;
  for (const name in left) {
    const one = left[name];
    if (one === undefined) continue;
    const other = own(right, name);
    if (other === undefined || !sameJson(one, other)) return false;
    open -= 1;
  }
  return open === 0;
}

function compare(one: unknown, other: unknown, path: string, found: string[], most: number): void {
  const [left, right] = [asJson(one), asJson(other)];
  if (left === right || found.length >= most) return;
  if (Array.isArray(left) && Array.isArray(right)) {
    const length = Math.max(left.length, right.length);
    for (let i = 0; i < length; i += 1) {
      if (i < left.length && i < right.length) compare(left[i], right[i], `${path}[${i}]`, found, most);
      else if (found.length < most) found.push(`${path}[${i}]`);
    }
    return;
  }
  if (!isMembers(left) || !isMembers(right)) {
    found.push(path === '' ? '(the whole value)' : path);
    return;
  }
  for (const name in left) {
    if (left[name] !== undefined || right[name] !== undefined) compareMember(left, right, name, path, found, most);
  }
  for (const name in right) {
    if (right[name] !== undefined && !Object.hasOwn(left, name)) compareMember(left, right, name, path, found, most);
  }
}

function compareMember(left: Members, right: Members, name: string, path: string, found: string[], most: number): void {
  const [one, other] = [own(left, name), own(right, name)];
  if (one === other) return;
  const inner = path === '' ? name : `${path}.${name}`;
  if (one === undefined || other === undefined) {
    if (found.length < most) found.push(inner);
  } else compare(one, other, inner, found, most);
}

/** Names that every object inherits are no members. */
function own(members: Members, name: string): unknown {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}
