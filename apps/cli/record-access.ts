import { randomUUID } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { KafkaBus } from '#bus';
import { loadConfig } from '#config';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import type { RecordAccess } from '#domain';

/** Who sits at this terminal, as the operating system knows them. */
export function whoAmI(): string {
  return `${userInfo().username}@${hostname()}`;
}

/** Says on the log who does what with the record. Rejects when that cannot be said: then it must not be done. */
export async function announceAccess(access: RecordAccess): Promise<void> {
  const { kafkaBrokers, replicationFactor } = loadConfig();
  const bus = new KafkaBus({ brokers: kafkaBrokers, topics: Object.values(TOPICS), replicationFactor });
  try {
    await bus.ensureTopics([TOPICS.auditAccess]);
    const event = writeEvent(EVENTS.recordAccess, {
      id: randomUUID(),
      source: '/remit/cli',
      subject: access.by,
      data: access,
    });
    await bus.publish([{ topic: TOPICS.auditAccess.name, key: null, ...event }]);
  } finally {
    await bus.close();
  }
}

/** Records that somebody is about to read the record, and what they asked for. */
export async function announceReading(
  how: Extract<RecordAccess, { event: 'RecordRead' }>['how'],
  selection: Readonly<Record<string, string | number | boolean | undefined>>,
): Promise<void> {
  const asked = Object.entries(selection).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as const],
  );
  await announceAccess({
    event: 'RecordRead',
    by: whoAmI(),
    at: new Date().toISOString(),
    how,
    selection: Object.fromEntries(asked),
  });
}
