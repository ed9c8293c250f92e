import { setTimeout as sleep } from 'node:timers/promises';
import { type BatchHandler, type Bus, type ReceivedMessage, type Unreadable } from '#bus';
import { EVENTS, readEvent, sha256, TOPICS, writeEvent } from '#contracts';
import {
  endedHolds,
  INITIAL_AUTHORITY,
  intentDigestOf,
  type HeldIntent,
  type HeldRequest,
  type Intent,
  type PermissionEvent,
} from '#domain';
import { traceSecondRound } from './approval-trace.js';
import { AuthorityError, type AuthorityRuntime } from './authority-runtime.js';

/** An approval counts for intents of later milliseconds than its own. */
const MILLISECOND_OVER_MS = 2;

type ReadBack =
  | { readonly ok: true; readonly intent: Intent; readonly message: ReceivedMessage }
  | { readonly ok: false; readonly code: string; readonly reason: string };

/** The held intent, parameters and all: from where it lies, and nothing but what was held. */
async function readBack(bus: Bus, agentId: string, held: HeldIntent): Promise<ReadBack> {
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
    { intent, message }: Extract<ReadBack, { ok: true }>,
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
    const found = await readBack(bus, agentId, request.held);
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
