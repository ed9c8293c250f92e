import { chainIdOf, type Intent } from '../intent/intent.js';
import type { Decision, Stamp, StampedCause } from './decision.js';

/**
 * Whether the cause that an intent names is proven. `decision`: what the intent carries as its proof, where Remit has
 * signed it. Of another intent, of another chain, or no allow, it proves nothing. `undefined`: it names no cause.
 */
export function stampedCauseOf(
  intent: Pick<Intent, 'cause' | 'chainId' | 'intentId'>,
  decision: Decision | undefined,
): StampedCause | undefined {
  const { cause } = intent;
  if (cause === null || cause === undefined) return undefined;
  const isProof =
    decision?.outcome === 'allow' &&
    decision.agentId === cause.agentId &&
    decision.intentId === cause.intentId &&
    decision.chainId === chainIdOf(intent);
  if (!isProof) return { standing: 'claimed' };
  return { standing: 'proven', from: provenFromOf(decision.stamp) ?? decision.agentId };
}

/** The agent to whose intent the proven causes of a judged intent lead back; `undefined`: its cause is not proven. */
export function provenFromOf({ cause }: Pick<Stamp, 'cause'>): string | undefined {
  return cause?.standing === 'proven' ? cause.from : undefined;
}
