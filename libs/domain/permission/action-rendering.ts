import type { Action, JsonValue } from '../intent/intent.js';
import { inertText } from '../record/chain-rendering.js';

/**
 * Exactly what would be executed, one value a line, for someone who decides about it. Nothing is left out or
 * shortened; text stands in quotes, and nothing in it can steer a terminal, hide, or end its line.
 */
export function renderAction(action: Action): string[] {
  return Object.entries(action).flatMap(([name, value]) =>
    value === undefined ? [] : linesOf(nameOf(name), value as JsonValue),
  );
}

function linesOf(path: string, value: JsonValue): string[] {
  if (typeof value !== 'object' || value === null) return [`${path} = ${scalar(value)}`];
  const inner = Array.isArray(value)
    ? value.flatMap((item, index) => linesOf(`${path}[${index}]`, item))
    : Object.entries(value).flatMap(([name, item]) => linesOf(`${path}.${nameOf(name)}`, item));
  return inner.length > 0 ? inner : [`${path} = ${Array.isArray(value) ? '[]' : '{}'}`];
}

function scalar(value: string | number | boolean | null): string {
  return typeof value === 'string' ? quoted(value) : String(value);
}

/** A name that could be taken for part of the path stands in quotes. */
function nameOf(name: string): string {
  return /^[\w-]+$/.test(name) ? name : quoted(name);
}

function quoted(text: string): string {
  return `"${inertText(text).replaceAll('"', '\\"')}"`;
}
