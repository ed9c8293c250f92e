import type { JsonValue } from '../intent/intent.js';
import { parameterAt } from './parameter-path.js';

/**
 * Where a value of an action stands that a grant may name: `destination` (every one of them), `parameters.NAME`, or
 * `parameters`, all of them at once.
 */
export type Place = 'destination' | 'parameters' | `parameters.${string}`;

/** A value that a policy objects to, and where it stands. */
export interface ObjectedValue {
  readonly place: Place;
  readonly value: JsonValue;
}

/** What a policy has against an action, as far as grants could name it. */
export interface Objection {
  /** Every place that the policy looks at. */
  readonly places: readonly Place[];
  /** The values there that it objects to; none where it objects to something else. */
  readonly values: readonly ObjectedValue[];
}

/** The dotted path of a place among the parameters; undefined where it is no single parameter. */
export function parameterOf(place: Place): string | undefined {
  return place.startsWith('parameters.') ? place.slice('parameters.'.length) : undefined;
}

/** What stands at a place: a list's items, else the one value; nothing where nothing is. */
export function valuesAt(
  place: Place,
  {
    parameters,
    destinations,
  }: { readonly parameters: Readonly<Record<string, JsonValue>>; readonly destinations: readonly string[] },
): readonly JsonValue[] {
  if (place === 'destination') return destinations;
  const path = parameterOf(place);
  if (path === undefined) return Object.keys(parameters).length === 0 ? [] : [parameters];
  const value = parameterAt(parameters, path.split('.'));
  if (value === undefined) return [];
  return flat(value);
}

function flat(value: JsonValue): readonly JsonValue[] {
  return Array.isArray(value) ? value.flatMap(flat) : [value];
}
