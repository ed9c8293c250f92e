import type { StoredHeaders } from './history.js';

/** Headers as one text, `[["name","base64"],…]` in order, without loss: equal headers have equal text. */
export function headersToText(headers: StoredHeaders): string {
  return JSON.stringify(
    Object.entries(headers).flatMap(([name, values]) =>
      (Buffer.isBuffer(values) ? [values] : (values as readonly Buffer[])).map((value) => [
        name,
        value.toString('base64'),
      ]),
    ),
  );
}

function isPair(pair: unknown): pair is readonly [string, string] {
  return Array.isArray(pair) && pair.length === 2 && typeof pair[0] === 'string' && typeof pair[1] === 'string';
}

/**
 * The inverse of {@link headersToText}; a name that came once has its value, one that came again an array. Throws when
 * the text is nothing that it writes.
 */
export function headersFromText(text: string): StoredHeaders {
  const parsed: unknown = JSON.parse(text);
  if (!Array.isArray(parsed)) throw new TypeError('stored headers are a list of pairs');
  const values = new Map<string, Buffer | Buffer[]>();
  for (const pair of parsed as unknown[]) {
    if (!isPair(pair)) throw new TypeError('a stored header is a name and a value');
    const value = Buffer.from(pair[1], 'base64');
    const earlier = values.get(pair[0]);
    if (earlier === undefined) values.set(pair[0], value);
    else if (Array.isArray(earlier)) earlier.push(value);
    else values.set(pair[0], [earlier, value]);
  }
  return Object.fromEntries(values);
}
