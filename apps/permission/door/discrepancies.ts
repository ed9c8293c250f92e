import { permissionPublisher, type PermissionDatabase } from '#authority';
import { partitionOf, type Bus, type OutgoingMessage } from '#bus';
import { TOPICS, type DiscrepancyView } from '#contracts';
import { discrepancySentence, type LogDiscrepancy, type StandingDiscrepancy } from '#domain';

/** A discrepancy for people. */
export function discrepancyView({ discrepancy, foundAt, acknowledged }: StandingDiscrepancy): DiscrepancyView {
  return {
    ...discrepancy,
    status: acknowledged === undefined ? 'open' : 'acknowledged',
    says: discrepancySentence(discrepancy),
    todo: todoOf(discrepancy),
    foundAt,
    ...(acknowledged === undefined
      ? {}
      : { acknowledgedBy: acknowledged.by, acknowledgedAt: acknowledged.at, reason: acknowledged.reason }),
  };
}

const CONTROL_TOPICS: readonly string[] = [TOPICS.charterEvents.name, TOPICS.permissionEvents.name];

function todoOf({ kind, topic, reader }: LogDiscrepancy): string {
  switch (kind) {
    case 'log-cut':
      if (topic === TOPICS.charterEvents.name) return 'activate the charter again, then acknowledge';
      if (topic === TOPICS.permissionEvents.name) {
        return 'acknowledge: every permission event that the event store holds is published again, then judging goes on. What was appended until then is denied; agents send it again';
      }
      return `find out who deleted them, or why ${reader} stood still; agents must send again what got no decision. Acknowledge: reading goes on at what the log still has`;
    case 'log-lost':
      return CONTROL_TOPICS.includes(topic)
        ? 'put the topic back if you can, and start again. Else acknowledge: the partition is filled up to where it was, and what the event store holds is published again; then activate the charter again'
        : 'put the topic back if you can, and start again. Else acknowledge: the partition is filled up to where it was, and what was appended to it since is void; agents send it again';
    case 'stream-forked':
      return 'what the log says counts. Look into event_store.set_aside for what the database held instead, order again what is still wanted, then acknowledge';
    case 'checkpoints-lost':
      return 'keep the published checkpoints. Acknowledge once the audit log has been read on: the next checkpoint says that it was restored';
    default:
      return kind satisfies never;
  }
}

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
