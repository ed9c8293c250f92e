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

/** How the verb and the destination of an action are spelt in one reading of a condition that restricts. */
export interface Spelling {
  readonly type: string;
  readonly destination: string;
}

/** The variables of one intent, by which of its claims are taken at their word (0: none) and how it is spelt. */
export function claimedVariables(
  variables: PolicyVariables,
  readings: readonly ClaimReading[],
): (claims: ClaimSet, spelling: Spelling) => object {
  const known = new Map<ClaimSet, object>();
  return (claims, { type, destination }) => {
    const asWritten = type === variables.action.type && destination === variables.action.destination;
    const before = asWritten ? known.get(claims) : undefined;
    if (before !== undefined) return before;
    const bound: Record<string, object> = {};
    for (const root of ROOTS) {
      let values: object = variables[root];
      for (const [bit, { changes }] of readings.entries()) {
        if ((claims & (1 << bit)) !== 0 && changes[root] !== undefined) values = { ...values, ...changes[root] };
      }
      if (root === 'action') {
        values = { ...values, [READ_WIDELY.type]: type, [READ_WIDELY.destination]: destination };
      }
      bound[root] = new ROOT_CLASSES[root](values as Readonly<Record<string, unknown>>);
    }
    if (asWritten) known.set(claims, bound);
    return bound;
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
