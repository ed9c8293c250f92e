import { randomUUID } from 'node:crypto';
import type { Bus, ReceivedMessage } from '#bus';
import { EVENTS, readEvent, sha256, TOPICS, writeEvent, type RequestDetail } from '#contracts';
import { actionDigestOf, intentDigestOf, renderAction, type HeldIntent, type RecordAccess } from '#domain';

/** Reads one message where it lies; `undefined` when it is no longer kept. */
export type ReadAt = (topic: string, partition: number, offset: number) => Promise<ReceivedMessage | undefined>;

/**
 * What would be executed, parameters and all, from the intent itself. Shown only if it is exactly the intent that the
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
  if (intent.agentId !== agentId || intentDigestOf(intent, sha256) !== held.intentDigest) {
    return unavailable('what lies where the intent was said to be is another intent: do not approve it');
  }
  const digest = actionDigestOf(intent.action, sha256);
  return { status: 'shown', digest, lines: renderAction(intent.action), value: { ...intent.action } };
}

/** Resolves once it is on the log. */
export async function putOnRecord(bus: Pick<Bus, 'publish'>, data: RecordAccess): Promise<void> {
  const event = writeEvent(EVENTS.recordAccess, {
    id: randomUUID(),
    source: '/remit/permission',
    subject: data.by,
    time: data.at,
    data,
  });
  await bus.publish([{ topic: TOPICS.auditAccess.name, key: null, ...event }]);
}
