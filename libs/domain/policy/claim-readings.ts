import type { Claim } from '../intent/claims.js';
import { ROOTS, ROOT_CLASSES, type PolicyVariables, type VariableRoot } from './cel-variables.js';

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

/** The variables of one intent, by which of its claims are taken at their word; 0 is the charter's word alone. */
export function claimedVariables(
  variables: PolicyVariables,
  readings: readonly ClaimReading[],
): (claims: ClaimSet) => object {
  const known = new Map<ClaimSet, object>();
  return (claims) => {
    const before = known.get(claims);
    if (before !== undefined) return before;
    const bound: Record<string, object> = {};
    for (const root of ROOTS) {
      let values: object = variables[root];
      for (const [bit, { changes }] of readings.entries()) {
        if ((claims & (1 << bit)) !== 0 && changes[root] !== undefined) values = { ...values, ...changes[root] };
      }
      bound[root] = new ROOT_CLASSES[root](values as Readonly<Record<string, unknown>>);
    }
    known.set(claims, bound);
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
