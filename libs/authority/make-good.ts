import { partitionOf, type Bus, type OutgoingMessage } from '#bus';
import { TOPICS } from '#contracts';
import type { LogDiscrepancy } from '#domain';
import { permissionPublisher } from './authority-runtime.js';
import type { PermissionDatabase } from './permission-store.js';

const FILLERS_AT_ONCE = 1000;

const COMPACTED = new Set(Object.values(TOPICS).flatMap(({ name, compacted }) => (compacted ? [name] : [])));

/**
 * Does what an acknowledgement asks for: a partition that was lost is filled up to where it was, so that a position
 * never means two things; permission events are published again from the event store.
 */
export async function makeGood(
  { kind, topic, partition, to }: LogDiscrepancy,
  bus: Pick<Bus, 'ends' | 'starts' | 'publish'>,
  store: PermissionDatabase,
): Promise<void> {
  if (kind !== 'log-cut' && kind !== 'log-lost') return;
  if (kind === 'log-lost') await fillUp(bus, topic, partition, to);
  if (topic !== TOPICS.permissionEvents.name) return;
  await publishAgain(bus, store, partition);
  const [starts, ends] = await Promise.all([bus.starts([topic]), bus.ends([topic])]);
  // what lies before was published by this store, a moment ago or long before
  const goOnAt = kind === 'log-lost' ? ends.get(topic)?.[partition] : starts.get(topic)?.[partition];
  await (await store.comparison()).goOnAt(partition, goOnAt ?? 0);
}

async function fillUp(
  bus: Pick<Bus, 'ends' | 'publish'>,
  topic: string,
  partition: number,
  until: number,
): Promise<void> {
  // a compacted topic takes no message without a key; elsewhere none belongs to anybody
  const key = COMPACTED.has(topic) ? 'filler' : null;
  const filler: OutgoingMessage = { topic, partition, key, value: null };
  for (;;) {
    const missing = until - ((await bus.ends([topic])).get(topic)?.[partition] ?? until);
    if (missing <= 0) return;
    await bus.publish(new Array<OutgoingMessage>(Math.min(missing, FILLERS_AT_ONCE)).fill(filler));
  }
}

const STREAMS_PER_PAGE = 100;

async function publishAgain(bus: Pick<Bus, 'publish'>, store: PermissionDatabase, partition: number): Promise<void> {
  const publish = permissionPublisher(bus);
  let after: string | undefined;
  for (;;) {
    const streams = await store.streams({ limit: STREAMS_PER_PAGE, ...(after === undefined ? {} : { after }) });
    for (const stream of streams) {
      if (partitionOf(stream, TOPICS.permissionEvents.partitions) !== partition) continue;
      const { events } = await store.readStream(stream);
      if (events.length > 0) await publish(events);
    }
    after = streams.at(-1);
    if (streams.length < STREAMS_PER_PAGE) return;
  }
}
