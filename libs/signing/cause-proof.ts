import { EVENTS, readEvent, STRUCTURED_CONTENT_TYPE, TOPICS } from '#contracts';
import type { Cause, CauseProof, Decision } from '#domain';
import { SIGNATURE_HEADER, type MessageVerifier } from './message-signature.js';

/** The proof that a decision gives of what is caused by it; `undefined`: it is not signed. */
export function causeProofOf(message: {
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, Uint8Array | readonly Uint8Array[]>>;
}): CauseProof | undefined {
  const signature = message.headers[SIGNATURE_HEADER];
  if (message.value === null || !(signature instanceof Uint8Array)) return undefined;
  return {
    decision: Buffer.from(message.value).toString('utf8'),
    signature: Buffer.from(signature).toString('base64url'),
  };
}

/**
 * Reads the decision in a proof, where a service that decides has signed exactly that for the causing agent. `time`: when
 * the proof is used, ms since the epoch; a key that was taken out of use before proves nothing, because whoever has it now
 * could sign what was never decided.
 */
export function proofVerifier(
  verifier: MessageVerifier,
): (proof: CauseProof, cause: Cause, time: number) => Decision | undefined {
  return ({ decision, signature }, { agentId }, time) => {
    const message = {
      topic: TOPICS.agentDecisions.name,
      key: Buffer.from(agentId, 'utf8'),
      value: Buffer.from(decision, 'utf8'),
      headers: {
        'content-type': Buffer.from(STRUCTURED_CONTENT_TYPE),
        [SIGNATURE_HEADER]: Buffer.from(signature, 'base64url'),
      },
      appendTime: time,
    };
    if (!verifier.verify(message).ok) return undefined;
    const reading = readEvent(EVENTS.decision, message);
    return reading.ok ? reading.event.data : undefined;
  };
}
