import { setTimeout as sleep } from 'node:timers/promises';
import type { BatchHandler, ReceivedMessage, Unreadable } from '#bus';
import { EVENTS, readEvent, TOPICS, writeEvent } from '#contracts';
import { endedHolds, INITIAL_AUTHORITY, type HeldRequest, type PermissionEvent } from '#domain';
import { traceSecondRound } from './approval-trace.js';
import { AuthorityError, type AuthorityRuntime } from './authority-runtime.js';
import { readHeldIntent, type HeldIntentReading } from './held-intent.js';

/** An approval counts for intents of later milliseconds than its own. */
const MILLISECOND_OVER_MS = 2;

/**
 * Follows `permission.events`: when the request of a held intent has ended, one way or another, the same intent is
 * appended to `agent.actions` again, for its second round. May happen more than once; the second rounds are alike and
 * the first decision counts.
 */
export function createSecondRoundHandler({
  bus,
  views,
  viewWaitMs,
  tracing,
}: Omit<AuthorityRuntime, 'store'>): BatchHandler {
  /** Appended in a later millisecond than the end of the request, or it would be judged without it. */
  async function appendAfter(
    end: number,
    agentId: string,
    { intent, message }: Extract<HeldIntentReading, { ok: true }>,
    requestId: string,
  ): Promise<void> {
    const event = writeEvent(EVENTS.resubmittedIntent, {
      id: `${intent.intentId}/2`,
      source: '/remit/permission',
      subject: agentId,
      data: { intent, round: 2, requestId },
    });
    const headers = { ...traceSecondRound(tracing, message, intent, requestId), ...event.headers };
    const again = { topic: TOPICS.agentActions.name, key: agentId, value: event.value, headers };
    let wait = MILLISECOND_OVER_MS;
    for (;;) {
      await sleep(wait);
      const [published] = await bus.publish([again]);
      if (published === undefined || published.appendTime > end) return;
      wait = Math.max(MILLISECOND_OVER_MS, end - published.appendTime + 1);
    }
  }

  async function startSecondRound(
    message: ReceivedMessage,
    agentId: string,
    request: HeldRequest,
  ): Promise<Unreadable[]> {
    const found = await readHeldIntent(bus, agentId, request.held);
    if (!found.ok) return [{ message, code: found.code, reason: found.reason }];
    await appendAfter(message.logTime, agentId, found, request.requestId);
    return [];
  }

  /** The requests of held intents that this event has brought to their end. */
  function endedBy(message: ReceivedMessage, event: PermissionEvent): HeldRequest[] {
    const { agentId } = event;
    const before = views.permissions.at(agentId, message.offset);
    const after = views.permissions.at(agentId, message.offset + 1);
    if (before !== undefined && after !== undefined) {
      return endedHolds(before.state ?? INITIAL_AUTHORITY, after.state ?? INITIAL_AUTHORITY, event);
    }
    // handled so late that the states around it are gone: a re-evaluation too many is harmless, one too few is not
    return endedHolds(INITIAL_AUTHORITY, views.permissions.latest(agentId) ?? INITIAL_AUTHORITY, event);
  }

  return async (batch) => {
    const unreadable: Unreadable[] = [];
    const end = (batch.messages.at(-1)?.offset ?? -1) + 1;
    const ends = new Array<number>(TOPICS.permissionEvents.partitions).fill(0);
    ends[batch.partition] = end;
    if (!(await views.permissions.waitUntil(ends, viewWaitMs))) {
      const problem = 'permission events have not been read as far as this one: second rounds wait for it';
      throw new AuthorityError('REMIT_AUTHORITY_VIEWS_BEHIND', problem);
    }
    for (const message of batch.messages) {
      const reading = readEvent(EVENTS.permissionEvent, message);
      if (!reading.ok) {
        unreadable.push({ message, code: reading.code, reason: reading.reason });
        continue;
      }
      const { agentId } = reading.event.data;
      for (const request of endedBy(message, reading.event.data)) {
        unreadable.push(...(await startSecondRound(message, agentId, request)));
        await batch.heartbeat();
      }
    }
    return { publish: [], unreadable };
  };
}
