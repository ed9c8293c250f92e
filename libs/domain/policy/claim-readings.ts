import type { Claim } from '../intent/claims.js';
import { READ_WIDELY, ROOTS, ROOT_CLASSES, type PolicyVariables, type VariableRoot } from './cel-variables.js';

/** Which claim each variable can come from. Every other variable is the charter's word, or what will be done. */
const CLAIM_OF: Readonly<Record<VariableRoot, Readonly<Partial<Record<string, Claim>>>>> = {
  action: {
    dataClassification: 'dataClassification',
    integration: 'integration',
    environment: 'environment',
    containsPii: 'containsPii',
  },
  context: { hasCause: 'cause', onBehalfOf: 'onBehalfOf', triggerType: 'trigger', chainId: 'chainId' },
  facts: { integrations: 'integration', classification: 'dataClassification' },
  agent: {},
};

/** The claim that a variable can come from. */
export function claimBehind(root: string, field: string): Claim | undefined {
  if (!Object.hasOwn(CLAIM_OF, root)) return undefined;
  const fields = CLAIM_OF[root as VariableRoot];
  return Object.hasOwn(fields, field) ? fields[field] : undefined;
}

/** Every claim that a variable of a root can come from. */
export function claimsBehind(root: string): readonly Claim[] {
  const fields = Object.hasOwn(CLAIM_OF, root) ? Object.values(CLAIM_OF[root as VariableRoot]) : [];
  return fields.filter((claim) => claim !== undefined);
}

/** What some variables become when a claim of the agent is taken at its word. Two claims change no variable both. */
export interface ClaimReading {
  readonly claim: Claim;
  readonly changes: { readonly [Root in VariableRoot]?: Readonly<Partial<PolicyVariables[Root]>> };
}

/** Claims taken at their word, as bits of a number: the first reading is bit 0. */
export type ClaimSet = number;

/** How the verb and the destinations of an action are spelt in one reading of a condition that restricts. */
export interface Spelling {
  readonly type: string;
  readonly destination: string;
  readonly destinations: readonly string[];
}

/** What an evaluation has looked at among what it may be evaluated with otherwise. */
export interface Looked {
  type: boolean;
  /** The one destination, as it is written or as it is read. */
  destination: boolean;
  destinations: boolean;
  claims: ClaimSet;
}

/** The variables of one intent, for one evaluation after the other, and what the last one has looked at. */
export interface Stage {
  readonly looked: Looked;
  /** By the charter's word and as the action is written; what an evaluation looks at is not told, which makes it cheap. */
  plain(): object;
  /** Sets what the next evaluation sees; what it is given is good until the next call. */
  set(claims: ClaimSet, destination: string, spelling: Spelling): object;
}

function plainly(variables: PolicyVariables): object {
  const { action, context, facts, agent } = variables;
  const { type, destination, destinations } = action;
  const read = {
    [READ_WIDELY.type]: type,
    [READ_WIDELY.destination]: destination,
    [READ_WIDELY.destinations]: destinations,
  };
  return {
    action: new ROOT_CLASSES.action({ ...action, ...read }),
    context: new ROOT_CLASSES.context(context),
    facts: new ROOT_CLASSES.facts(facts),
    agent: new ROOT_CLASSES.agent(agent),
  };
}

type Values = Readonly<Record<string, unknown>>;

/**
 * One object for each choice of claims, made when it is first needed: what changes from one evaluation to the next is read
 * through accessors, so that an evaluation costs no copies and tells which of it made a difference.
 */
export function stageOf(variables: PolicyVariables, readings: readonly ClaimReading[]): Stage {
  const looked: Looked = { type: false, destination: false, destinations: false, claims: 0 };
  let destination = variables.action.destination;
  let spelling: Spelling = variables.action;
  const own: Readonly<Record<string, () => unknown>> = {
    destination: () => ((looked.destination = true), destination),
    [READ_WIDELY.type]: () => ((looked.type = true), spelling.type),
    [READ_WIDELY.destination]: () => ((looked.destination = true), spelling.destination),
    [READ_WIDELY.destinations]: () => ((looked.destinations = true), spelling.destinations),
  };
  const bind = (root: VariableRoot, claims: ClaimSet): object => {
    let values: Values = variables[root];
    for (const [bit, { changes }] of readings.entries()) {
      if ((claims & (1 << bit)) !== 0 && changes[root] !== undefined) values = { ...values, ...changes[root] };
    }
    const bound = new ROOT_CLASSES[root](values);
    const read = (name: string, get: () => unknown): void => {
      Object.defineProperty(bound, name, { get, enumerable: true });
    };
    if (root === 'action') for (const [name, get] of Object.entries(own)) read(name, get);
    for (const [bit, { changes }] of readings.entries()) {
      for (const name of Object.keys(changes[root] ?? {})) {
        const value = values[name];
        read(name, () => ((looked.claims |= 1 << bit), value));
      }
    }
    return bound;
  };
  const known = new Map<ClaimSet, object>();
  let plain: object | undefined;
  return {
    looked,
    plain: () => (plain ??= plainly(variables)),
    set(claims, one, read) {
      destination = one;
      spelling = read;
      looked.type = looked.destination = looked.destinations = false;
      let bound = known.get(claims);
      if (bound === undefined) {
        bound = Object.fromEntries(ROOTS.map((root) => [root, bind(root, claims)]));
        known.set(claims, bound);
      }
      return bound;
    },
  };
}

/** Every choice of some of the claims; the first is none. */
export function* choicesOf(all: ClaimSet): Generator<ClaimSet> {
  let choice = 0;
  do {
    yield choice;
    choice = (choice - all) & all;
  } while (choice !== 0);
}
