import type { JsonValue } from '../intent/intent.js';
import { ExpressionRefusal } from './cel-patterns.js';

/** How a type of an expression looks in TypeScript. Numbers are doubles, as in JSON, so no author meets two kinds. */
interface ValueOf {
  string: string;
  bool: boolean;
  double: number;
  'list<string>': readonly string[];
  'map<string, dyn>': Readonly<Record<string, JsonValue>>;
}

type Fields = Readonly<Record<string, keyof ValueOf>>;
type ValuesOf<Declared extends Fields> = { readonly [Name in keyof Declared]: ValueOf[Declared[Name]] };

/**
 * What an expression may speak of, besides `lists.NAME`. A text that is missing is `""`, which is in no list and
 * matches no pattern. What agents
 * claim is in none of them by itself: a condition is evaluated by the charter's word, and again with the claims it reads.
 */
export const VARIABLES = {
  action: {
    type: 'string',
    target: 'string',
    parameters: 'map<string, dyn>',
    destination: 'string',
    destinations: 'list<string>',
    dataClassification: 'string',
    integration: 'string',
    environment: 'string',
    containsPii: 'bool',
    allowOffHours: 'bool',
  },
  context: {
    agentId: 'string',
    onBehalfOf: 'string',
    chainId: 'string',
    triggerType: 'string',
    hasCause: 'bool',
    localHour: 'double',
    localMinute: 'double',
    localWeekday: 'string',
    offHoursAllowed: 'bool',
    stage: 'string',
  },
  facts: {
    pii: 'list<string>',
    piiPlaces: 'list<string>',
    integrations: 'list<string>',
    classification: 'double',
  },
  agent: {
    owner: 'string',
    purpose: 'string',
  },
} as const satisfies Record<string, Fields>;

/**
 * The values of one intent. `localWeekday` is `mon` … `sun`; `facts.classification` counts from 0, the mildest; `facts.pii` are
 * the kinds of personal data in the parameters, `facts.piiPlaces` each with its place, such as `email /to`.
 */
export type PolicyVariables = {
  readonly [Root in keyof typeof VARIABLES]: ValuesOf<(typeof VARIABLES)[Root]>;
};

export type VariableRoot = keyof typeof VARIABLES;

/**
 * In place of a list that is not known whole. A condition that reads it cannot be evaluated, which counts as violated; one that
 * is decided without it is not touched.
 */
export const NOT_SCANNED: readonly string[] = [];

function refuseNotScanned(): never {
  throw new ExpressionRefusal('not_scanned');
}

/** Makes the objects of one root. The library finds an object's declared fields by its constructor. */
function recordClass(names: readonly string[]): new (values: Readonly<Record<string, unknown>>) => object {
  return class {
    [name: string]: unknown;
    constructor(values: Readonly<Record<string, unknown>>) {
      for (const name of names) {
        if (values[name] !== NOT_SCANNED) this[name] = values[name];
        else Object.defineProperty(this, name, { get: refuseNotScanned, enumerable: true });
      }
    }
  };
}

export const ROOTS = Object.keys(VARIABLES) as readonly VariableRoot[];

/**
 * Fields that no author writes. Where a condition restricts, it reads these in place of `type` and `destination`: one
 * after the other, every way in which the verb and the destination may be read. In place of `destinations`, where an item is
 * looked for: every way in which each may be read.
 */
export const READ_WIDELY = {
  type: 'typeAsRead',
  destination: 'destinationAsRead',
  destinations: 'destinationsAsRead',
} as const;
export type ReadWidely = keyof typeof READ_WIDELY;

/** The fields that the library knows, those of {@link READ_WIDELY} among them. */
export const FIELDS: Readonly<Record<VariableRoot, Readonly<Record<string, string>>>> = {
  ...VARIABLES,
  action: {
    ...VARIABLES.action,
    [READ_WIDELY.type]: 'string',
    [READ_WIDELY.destination]: 'string',
    [READ_WIDELY.destinations]: 'list<string>',
  },
};

export const ROOT_CLASSES = Object.fromEntries(
  ROOTS.map((root) => [root, recordClass(Object.keys(FIELDS[root]))]),
) as Record<VariableRoot, ReturnType<typeof recordClass>>;

/** `lists.NAME` of one charter. */
export function listsClass(names: readonly string[]): ReturnType<typeof recordClass> {
  return recordClass(names);
}
