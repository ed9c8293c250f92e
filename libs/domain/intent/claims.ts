import type { Intent } from './intent.js';

/**
 * What an agent says of its own intent and nobody has checked. What it will do (verb, target, parameters, destination)
 * is no claim: it is done as it is said. Neither is `allowOffHours`, which only makes use of the charter's leave.
 */
export const CLAIMS = [
  'dataClassification',
  'integration',
  'environment',
  'containsPii',
  'cause',
  'onBehalfOf',
  'trigger',
  'chainId',
] as const;
export type Claim = (typeof CLAIMS)[number];

/** The intent as if the agent had not made a claim. */
export function withoutClaim(intent: Intent, claim: Claim): Intent {
  switch (claim) {
    case 'dataClassification':
    case 'integration':
    case 'environment':
    case 'containsPii':
      return { ...intent, action: { ...intent.action, [claim]: undefined } };
    case 'cause':
    case 'onBehalfOf':
    case 'trigger':
    case 'chainId':
      return { ...intent, [claim]: undefined };
    default:
      return claim satisfies never;
  }
}
