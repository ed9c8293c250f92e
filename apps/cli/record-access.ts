import { randomUUID } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { codeOf, KafkaBus, messageOf } from '#bus';
import { loadConfig, type Config } from '#config';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import type { RecordAccess } from '#domain';
import { fail } from './command-failure.js';
import { isAccepted } from './door-client.js';
import { claimsOf, loginKeptFor } from './login.js';

/** Who does something with the record. */
type Accessor = Required<Pick<RecordAccess, 'by' | 'account'>>;

/** What somebody does with the record; who and when is added here. */
type Access<Of = RecordAccess> = Of extends RecordAccess ? Omit<Of, 'by' | 'account' | 'at'> : never;

/** What somebody is about to read of the record. Values that are not given are left out of the event. */
export interface Reading {
  readonly how: Extract<RecordAccess, { event: 'RecordRead' }>['how'];
  readonly selection: Readonly<Record<string, string | number | boolean | undefined>>;
}

/**
 * Says on the log who does what with the record, at `now`, ms since the epoch. Where that cannot be said, the command
 * ends: then it must not be done.
 */
export async function announceAccess(access: Access, now: number): Promise<void> {
  try {
    const config = loadConfig();
    const who = await accessorOf(config);
    const event = writeEvent(EVENTS.recordAccess, {
      id: randomUUID(),
      source: '/remit/cli',
      subject: who.by,
      data: { ...access, ...who, at: new Date(now).toISOString() },
    });
    await publish(config, { topic: TOPICS.auditAccess.name, key: null, ...event });
  } catch (error) {
    const because = messageOf(error);
    fail(
      `REMIT_RECORD_NOT_ANNOUNCED: nothing was read and nothing was changed. Whoever opens the record is named on the topic ` +
        `${TOPICS.auditAccess.name} first, and that could not be done (KAFKA_BROKERS says where the log is):\n${because}`,
    );
  }
}

/** {@link announceAccess} of somebody who is about to read. */
export async function announceReading({ how, selection }: Reading): Promise<void> {
  const asked = Object.entries(selection).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as const],
  );
  await announceAccess({ event: 'RecordRead', how, selection: Object.fromEntries(asked) }, Date.now());
}

/** The person whose login the door accepts now, and the account at this terminal; without such a login the account is who. */
async function accessorOf(config: Config): Promise<Accessor> {
  const account = `${userInfo().username}@${hostname()}`;
  const token = await loginKeptFor(config);
  if (token === undefined) return { by: account, account };
  if (await isAccepted(config, token)) return { by: claimsOf(token).sub, account };
  process.stderr.write(
    `(the door at ${config.doorUrl} does not confirm your login: the record names you ${account})\n`,
  );
  return { by: account, account };
}

/** Asks for the topic only where it is missing: a command should not wait for what is nearly always there. */
async function publish(
  { kafkaBrokers, kafkaSecurity, replicationFactor }: Config,
  message: Parameters<KafkaBus['publish']>[0][number],
): Promise<void> {
  const bus = new KafkaBus({
    brokers: kafkaBrokers,
    security: kafkaSecurity,
    topics: [TOPICS.auditAccess],
    replicationFactor,
  });
  try {
    await bus.publish([message]).catch(async (error: unknown) => {
      if (codeOf(error) !== 'REMIT_BUS_TOPIC_MISSING') throw error;
      await bus.ensureTopics([TOPICS.auditAccess]);
      await bus.publish([message]);
    });
  } finally {
    await bus.close();
  }
}
