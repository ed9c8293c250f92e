import type { Action, Intent } from '../intent/intent.js';
import { canonicalJson } from './canonical-json.js';

/** SHA-256 over the UTF-8 bytes of a text, as 64 lower-case hex digits. The edge supplies it. */
export type Sha256 = (text: string) => string;

/** SHA-256 over the RFC 8785 form: the digest of charters, actions and decisions. */
export function digestOf(value: unknown, sha256: Sha256): string {
  return sha256(canonicalJson(value));
}

/** What exactly an agent may execute once this action is allowed. */
export function actionDigestOf(action: Action, sha256: Sha256): string {
  return digestOf(action, sha256);
}

/** All that an agent has said of an intent: action, person, trigger, cause and chain. */
export function intentDigestOf(intent: Intent, sha256: Sha256): string {
  return digestOf(intent, sha256);
}

/** One id per intent and round, the same on every replica and in every replay. */
export function decisionIdOf(
  identity: { agentId: string; intentId: string; actionDigest: string; round: number },
  sha256: Sha256,
): string {
  return sha256(`${identity.agentId}\n${identity.intentId}\n${identity.actionDigest}\n${identity.round}`);
}
