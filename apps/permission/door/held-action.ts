import type { ReceivedMessage } from '#bus';
import { EVENTS, readEvent, sha256, type RequestDetail } from '#contracts';
import { actionDigestOf, renderAction, type HeldIntent } from '#domain';

/** Reads one message where it lies; `undefined` when it is no longer kept. */
export type ReadAt = (topic: string, partition: number, offset: number) => Promise<ReceivedMessage | undefined>;

/**
 * What would be executed, parameters and all, from the intent itself. Shown only if it is exactly the action that the
 * approval would be bound to.
 */
export async function heldAction(
  agentId: string,
  held: HeldIntent,
  readAt: ReadAt,
): Promise<NonNullable<RequestDetail['action']>> {
  const unavailable = (because: string) => ({ status: 'unavailable', because }) as const;
  const message = await readAt(held.source.topic, held.source.partition, held.source.offset).catch(() => 'unreachable');
  if (message === 'unreachable') return unavailable('the log does not answer: try again');
  if (message === undefined || typeof message === 'string') return unavailable('the intent is no longer on the log');
  const reading = readEvent(EVENTS.intent, message);
  if (!reading.ok) return unavailable('what lies where the intent was said to be is no intent');
  const intent = reading.event.data;
  const digest = actionDigestOf(intent.action, sha256);
  if (intent.agentId !== agentId || intent.intentId !== held.intentId || digest !== held.actionDigest) {
    return unavailable('what lies where the intent was said to be is another action: do not approve it');
  }
  return { status: 'shown', digest, lines: renderAction(intent.action), value: { ...intent.action } };
}
