import { z } from 'zod';
import type { StoredHeaders } from './history.js';

const pairs = z.array(z.tuple([z.string(), z.string()]));

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

/** The inverse of {@link headersToText}; a name that came once has its value, one that came again an array. */
export function headersFromText(text: string): StoredHeaders {
  const values = new Map<string, Buffer[]>();
  for (const [name, base64] of pairs.parse(JSON.parse(text))) {
    const value = Buffer.from(base64, 'base64');
    const earlier = values.get(name);
    if (earlier === undefined) values.set(name, [value]);
    else earlier.push(value);
  }
  return Object.fromEntries([...values].map(([name, all]) => [name, all.length === 1 ? all[0]! : all]));
}
