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
  activation: {
    readonly text: string;
    readonly charter: Charter;
    readonly activatedBy: string;
    /** Of the command; a new one when left out. An id that has activated a charter before changes nothing. */
    readonly commandId?: string;
  },
): Promise<void> {
  const { text, charter, activatedBy, commandId = randomUUID() } = activation;
  const event = writeEvent(EVENTS.charterEvent, {
    id: commandId,
    source: '/remit/charter',
    subject: charter.name,
    data: { event: 'CharterActivated', charter: charter.name, digest: charter.digest, text, activatedBy, commandId },
  });
  await bus.publish([{ topic: TOPICS.charterEvents.name, key: CHARTER_KEY, ...event }]);
  await appendMillisecondOver();
}

/** Resolves once the millisecond of anything already acknowledged is over: every later intent is bound by it. */
export async function appendMillisecondOver(): Promise<void> {
  await sleep(APPEND_MILLISECOND_OVER_MS);
}
