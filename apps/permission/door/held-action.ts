import { randomUUID } from 'node:crypto';
import { readHeldIntent } from '#authority';
import type { Bus } from '#bus';
import { EVENTS, sha256, TOPICS, writeEvent, type RequestDetail } from '#contracts';
import { actionDigestOf, renderAction, type HeldIntent, type RecordAccess } from '#domain';

/**
 * What would be executed, parameters and all, from the intent itself. Shown only if it is exactly the intent that the
 * approval would be bound to.
 */
export async function heldAction(
  agentId: string,
  held: HeldIntent,
  log: Pick<Bus, 'readAt'>,
): Promise<NonNullable<RequestDetail['action']>> {
  const unavailable = (because: string) => ({ status: 'unavailable', because }) as const;
  const reading = await readHeldIntent(log, agentId, held).catch(() => undefined);
  if (reading === undefined) return unavailable('the log does not answer: try again');
  if (!reading.ok) {
    switch (reading.code) {
      case 'REMIT_HOLD_INTENT_GONE':
        return unavailable('the intent is no longer on the log');
      case 'REMIT_HOLD_INTENT_DIFFERS':
        return unavailable('what lies where the intent was said to be is another intent: do not approve it');
      default:
        return unavailable('what lies where the intent was said to be is no intent');
    }
  }
  const { action } = reading.intent;
  return { status: 'shown', digest: actionDigestOf(action, sha256), lines: renderAction(action), value: { ...action } };
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
