import type { ReceivedMessage } from '#bus';
import { EVENTS, readEvent } from '#contracts';
import type { Intent, SecondRound } from '#domain';

/** Why an intent cannot be judged at all. */
export interface Refusal {
  readonly code: string;
  readonly reason: string;
}

/** An intent as it came to the first layer. */
export type Arrival =
  | { readonly ok: true; readonly intent: Intent; readonly secondRound: SecondRound | undefined }
  | ({ readonly ok: false } & Refusal);

/** What the first layer of all reads from `agent.actions`. `signed`: Remit's own messages carry its signature. */
export function arrivalOf(message: ReceivedMessage, signed: boolean): Arrival {
  const first = readEvent(EVENTS.intent, message);
  if (first.ok) return keyed(message, first.event.data, undefined);
  if (first.code !== 'REMIT_EVENT_WRONG_TYPE') return first;
  const second = readEvent(EVENTS.resubmittedIntent, message);
  if (!second.ok) return second.code === 'REMIT_EVENT_WRONG_TYPE' ? first : second;
  if (signed && message.writtenBy === undefined) {
    const reason = 'only Remit starts a re-evaluation, and this one does not carry its signature';
    return { ok: false, code: 'REMIT_INTENT_NOT_SIGNED', reason };
  }
  const { intent, requestId } = second.event.data;
  return keyed(message, intent, { requestId });
}

function keyed(message: ReceivedMessage, intent: Intent, secondRound: SecondRound | undefined): Arrival {
  if (message.key?.toString('utf8') === intent.agentId) return { ok: true, intent, secondRound };
  return {
    ok: false,
    code: 'REMIT_INTENT_KEY_MISMATCH',
    reason: `the message key must be the agent's id, ${intent.agentId}: order and partition depend on it`,
  };
}
