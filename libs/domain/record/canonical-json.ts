/**
 * The RFC 8785 (JCS) form of a JSON value: equal values have equal bytes. A member that is `undefined` is no member, as
 * in JSON. Throws a `TypeError` on what has no form: numbers that are not finite, text that is not well-formed, and
 * whatever JSON does not know.
 *
 * Ours because every decision and every replayed one waits for it. The library it is compared with, value by value, in
 * its spec writes the same at twice the cost.
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${String(value)} has no canonical form`);
      // as RFC 8785 wants it: ECMAScript's own, and -0 is 0
      return String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? listOf(value) : membersOf(value as Readonly<Record<string, unknown>>);
    default:
      throw new TypeError('only JSON values have a canonical form');
  }
}

function listOf(items: readonly unknown[]): string {
  let text = '[';
  for (let i = 0; i < items.length; i += 1) {
    if (i > 0) text += ',';
    text += canonicalJson(items[i] ?? null);
  }
  return `${text}]`;
}

function membersOf(members: Readonly<Record<string, unknown>>): string {
  // by UTF-16 code units, as RFC 8785 orders them
  const names = Object.keys(members).sort();
  let text = '{';
  for (const name of names) {
    const member = members[name];
    if (member === undefined) continue;
    if (text.length > 1) text += ',';
    text += `${quoted(name)}:${canonicalJson(member)}`;
  }
  return `${text}}`;
}

function quoted(text: string): string {
  if (!text.isWellFormed()) throw new TypeError('half a surrogate pair has no canonical form');
  return JSON.stringify(text);
}
