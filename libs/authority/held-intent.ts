import type { Bus, ReceivedMessage } from '#bus';
import { EVENTS, readEvent, sha256, type UnreadableCode } from '#contracts';
import { intentDigestOf, type HeldIntent, type Intent } from '#domain';

/** The held intent with the message it came in, or why it cannot be had. */
export type HeldIntentReading =
  | { readonly ok: true; readonly intent: Intent; readonly message: ReceivedMessage }
  | {
      readonly ok: false;
      readonly code: 'REMIT_HOLD_INTENT_GONE' | 'REMIT_HOLD_INTENT_DIFFERS' | UnreadableCode;
      readonly reason: string;
    };

/**
 * The held intent, parameters and all: from where it lies, and nothing but what was held. Rejects with the bus's error
 * while the log does not answer.
 */
export async function readHeldIntent(
  bus: Pick<Bus, 'readAt'>,
  agentId: string,
  held: HeldIntent,
): Promise<HeldIntentReading> {
  const { topic, partition, offset } = held.source;
  const where = `${topic}/${String(partition)}/${String(offset)}`;
  const message = await bus.readAt(topic, partition, offset);
  if (message === undefined) {
    const reason = `the held intent is no longer kept at ${where}, so it can never be allowed: send it anew`;
    return { ok: false, code: 'REMIT_HOLD_INTENT_GONE', reason };
  }
  const reading = readEvent(EVENTS.intent, message);
  if (!reading.ok) return reading;
  const intent = reading.event.data;
  const same =
    intent.agentId === agentId &&
    intent.intentId === held.intentId &&
    intentDigestOf(intent, sha256) === held.intentDigest;
  if (same) return { ok: true, intent, message };
  return { ok: false, code: 'REMIT_HOLD_INTENT_DIFFERS', reason: `at ${where} lies another intent than the one held` };
}
