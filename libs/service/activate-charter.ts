import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '#bus';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import type { Charter } from '#domain';
import { CHARTER_KEY } from '#segment';

/** Longer than the millisecond in which the event was appended, so that the next intent has a later one. */
const APPEND_MILLISECOND_OVER_MS = 2;

/**
 * Puts a checked charter in force. Resolves when it binds: every intent appended after this is judged by it.
 * An intent obeys the events of earlier milliseconds than its own, hence the short wait after the acknowledgement.
 */
export async function activateCharter(
  bus: Bus,
  activation: { readonly text: string; readonly charter: Charter; readonly activatedBy: string },
): Promise<void> {
  const { text, charter, activatedBy } = activation;
  const event = writeEvent(EVENTS.charterEvent, {
    id: randomUUID(),
    source: '/remit/charter',
    subject: charter.name,
    data: { event: 'CharterActivated', charter: charter.name, digest: charter.digest, text, activatedBy },
  });
  await bus.publish([{ topic: TOPICS.charterEvents.name, key: CHARTER_KEY, ...event }]);
  await sleep(APPEND_MILLISECOND_OVER_MS);
}
