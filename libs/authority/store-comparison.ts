import { goBackToStored, type BatchHandler, type BatchTransport, type Bus } from '#bus';
import { EVENTS, readEvent, sha256, TOPICS } from '#contracts';
import {
  EVENT_STORE_READER,
  logDiscrepancy,
  type LogDiscrepancy,
  type LogDiscrepancyEvent,
  type PermissionEvent,
  type ReaderPosition,
} from '#domain';
import { EventStoreError, type LoggedEvent } from '#event-store';
import { forgetAuthority } from './authority-runtime.js';
import type { PermissionDatabase } from './permission-store.js';

const TOPIC = TOPICS.permissionEvents.name;

/** How far the event store has been compared with `permission.events`, as positions of a reader. */
export async function storePositions(
  store: Pick<PermissionDatabase, 'comparison'>,
): Promise<readonly ReaderPosition[]> {
  const positions = await (await store.comparison()).positions();
  return [...positions].map(([partition, next]) => ({ reader: EVENT_STORE_READER, topic: TOPIC, partition, next }));
}

/**
 * Compares the event store with `permission.events`, run by run. What the store lacks is taken in, in version order and
 * with the ids of the commands that made it; what it holds instead is set aside and told as a discrepancy. Where the
 * store was set back behind the consumer group, it throws, and {@link readStoreOn} goes back to where the store is.
 */
export function createStoreComparison(
  store: Pick<PermissionDatabase, 'comparison'>,
  bus: Pick<Bus, 'starts'>,
  options: {
    readonly found: (discrepancy: LogDiscrepancy) => Promise<void>;
    /** Hears how many events of a partition the store got back. */
    readonly onRestored: (partition: number, events: number) => void;
  },
): BatchHandler {
  const startOf = async (partition: number): Promise<number> =>
    (await bus.starts([TOPIC])).get(TOPIC)?.[partition] ?? 0;

  return async ({ partition, messages, readFrom }) => {
    const events = messages.flatMap((message): LoggedEvent<PermissionEvent>[] => {
      const reading = readEvent(EVENTS.permissionEvent, message);
      if (!reading.ok) return [];
      const event = reading.event.data;
      const { agentId: stream, version, commandId } = event;
      return message.key?.toString('utf8') === stream
        ? [{ stream, version, commandId, event, offset: message.offset }]
        : [];
    });
    const next = (messages.at(-1)?.offset ?? readFrom - 1) + 1;
    const comparison = await store.comparison();
    let taken = await comparison.take(partition, readFrom, next, events);
    if (taken.next === 0 && readFrom > 0 && (await startOf(partition)) === readFrom) {
      // never compared, and nothing before is kept
      await comparison.goOnAt(partition, readFrom);
      taken = await comparison.take(partition, readFrom, next, events);
    }
    for (const { stream, version, offset } of taken.forks) {
      // one that was told before is not told again
      forgetAuthority(stream);
      const place = { topic: TOPIC, partition, reader: EVENT_STORE_READER, from: offset, to: offset + 1 };
      await options.found(logDiscrepancy({ kind: 'stream-forked', ...place, stream, version }, sha256));
    }
    if (taken.restored > 0) options.onRestored(partition, taken.restored);
    if (taken.next < readFrom) {
      throw new EventStoreError(
        'REMIT_EVENT_STORE_BEHIND_LOG',
        `the event store has been compared up to offset ${String(taken.next)} of ${TOPIC}/${String(partition)} only, and it ` +
          `was read from ${String(readFrom)} on: the database was restored, and is read on from where it is`,
      );
    }
    return { publish: [], unreadable: [] };
  };
}

/** One look: reads `permission.events` again from where the store really is. Returns where it goes back. */
export async function readStoreOn(
  store: Pick<PermissionDatabase, 'comparison'>,
  transport: Pick<BatchTransport, 'positions' | 'goBack'>,
  bus: Pick<Bus, 'starts'>,
): Promise<readonly ReaderPosition[]> {
  const places = await goBackToStored(transport, bus, async () => {
    const compared = await (await store.comparison()).positions();
    return (_, partition) => compared.get(partition) ?? 0;
  });
  return places.map((place) => ({ reader: EVENT_STORE_READER, ...place }));
}

/**
 * What a process knew of an agent whose stream was forked counts no more in any of its lanes, whichever process has found
 * the fork.
 */
export function forgetForked(event: LogDiscrepancyEvent): void {
  if (event.event !== 'LogDiscrepancyFound' || event.discrepancy.stream === undefined) return;
  forgetAuthority(event.discrepancy.stream);
}
