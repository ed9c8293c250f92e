import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { KafkaBus, type BatchHandler, type Consumption } from '#bus';
import { TOPICS, type TopicDeclaration } from '#contracts';
import { PostgresHistory, ProvenRecord, type RecordedMessage } from '#record';
import {
  chainScriptSchema,
  eventsOfScript,
  eventually,
  messageOfChainEvent,
  readDeadLetters,
  requireKafka,
  suiteTopics,
  type SuiteTopics,
} from '#testing';
import { ingestion, NotHeld } from '../../apps/audit/ingestion.js';
import { ReadingOn } from '../../apps/audit/reading-on.js';
import { asIntruder, createOwnDatabase, type OwnDatabase } from './own-database.js';

const NOW = Date.UTC(2026, 10, 28, 12);

let keyFolder: string;
let database: OwnDatabase;
let history: PostgresHistory;

beforeAll(async () => {
  keyFolder = mkdtempSync(join(tmpdir(), 'remit-restored-audit-'));
  database = await createOwnDatabase();
});

beforeEach(() => {
  history = new PostgresHistory({ databaseUrl: database.url, keyFolder });
});

afterEach(() => history.close());

afterAll(async () => {
  await database.drop();
  rmSync(keyFolder, { recursive: true });
});

/** Nobody has acknowledged anything, and nothing is found. */
const nothingFound = { found: () => Promise.resolve(), knownAs: () => undefined };

describe('an audit log that is not as far as its consumer group', () => {
  let topics: SuiteTopics;
  let topic: TopicDeclaration;
  let bus: KafkaBus;
  let consumption: Consumption | undefined;

  const publish = (...values: string[]) =>
    bus.publish(values.map((value) => ({ topic: topic.name, partition: 0, key: 'clerk', value })));

  /** Offsets that are stored, and ranges that are stored as missing. */
  const stored = async (): Promise<string[]> => {
    const rows = await database.query(
      `SELECT concat_ws(' to ', "offset", gap_until) AS range FROM record.history WHERE topic = $1 ORDER BY "offset"`,
      [topic.name],
    );
    return rows.map(({ range }) => String(range));
  };

  const group = () => `audit.${topic.name}`;

  async function read(handler: BatchHandler): Promise<Consumption> {
    consumption = await bus.consume({ group: group(), topics: [topic.name] }, handler);
    return consumption;
  }

  const worked = async (next: number): Promise<boolean> =>
    (await bus.committed(group(), [topic.name])).get(topic.name)?.get(0) === next;

  /** Looks once a second in a process; here until it holds. */
  async function lookUntil(readingOn: ReadingOn, holds: () => Promise<boolean>): Promise<void> {
    await eventually(async () => {
      await readingOn.look();
      return holds();
    });
  }

  beforeEach(async () => {
    topics = suiteTopics(randomUUID());
    topic = topics.in;
    bus = new KafkaBus({ brokers: requireKafka(), deadLetterTopic: topics.dead.name, topics: Object.values(topics) });
    await bus.ensureTopics(Object.values(topics));
  });

  afterEach(async () => {
    await consumption?.stop();
    consumption = undefined;
    await bus.close();
  });

  it('stores nothing over the hole, and everything once reading has gone back to where it is', async () => {
    await publish('0', '1', '2');
    const before = await read(ingestion(history, bus, nothingFound));
    await eventually(() => worked(3));
    await before.stop();
    expect(await stored()).toEqual(['0', '1', '2']);
    // the group goes further, as it did in the hours that the restored database knows nothing of
    await publish('3', '4');
    const further = await read(() => Promise.resolve({ publish: [], unreadable: [] }));
    await eventually(() => worked(5));
    await further.stop();
    await publish('5');

    const refusals: unknown[] = [];
    const handle = ingestion(history, bus, nothingFound);
    const now = await read(async (batch) => {
      try {
        return await handle(batch);
      } catch (error) {
        refusals.push(error);
        throw error;
      }
    });
    await eventually(() => refusals.length > 0);
    expect(refusals[0]).toMatchObject({ code: 'REMIT_RECORD_BEHIND_READER', next: 3 });
    expect(await stored()).toEqual(['0', '1', '2']);

    const readingOn = new ReadingOn(history, now, bus);
    await lookUntil(readingOn, async () => (await stored()).length === 6);
    expect(await stored()).toEqual(['0', '1', '2', '3', '4', '5']);
    await eventually(() => worked(6));
    expect(await readingOn.look()).toEqual([]);
  });

  it('gets what it was set back by while it reads, although nothing new comes', async () => {
    await publish('0', '1', '2');
    const now = await read(ingestion(history, bus, nothingFound));
    await eventually(() => worked(3));
    await setBack();
    await lookUntil(new ReadingOn(history, now, bus), async () => (await stored()).length === 3);
    expect(await stored()).toEqual(['0', '1', '2']);
  });

  it('goes on behind a message that it cannot hold: a dead letter and a hole that is known, not a standstill', async () => {
    await publish('0', 'poison');
    const notHeld = new NotHeld();
    const append: PostgresHistory['append'] = (messages, reading) =>
      // a fault of Remit that this one message meets
      history.append(
        messages.map((message) =>
          message.value?.toString() === 'poison' ? { ...message, appendTime: Number.NaN } : message,
        ),
        reading,
      );
    const now = await read(ingestion({ append }, bus, nothingFound, undefined, notHeld));
    const readingOn = new ReadingOn(history, now, bus, notHeld);
    await lookUntil(readingOn, () => worked(2));
    expect(await stored()).toEqual(['0']);
    await publish('2');
    await lookUntil(readingOn, () => worked(3));
    expect(await stored()).toEqual(['0', '1 to 2', '2']);
    const letters = await readDeadLetters(bus, topics.dead.name);
    expect(letters.map(({ code, value }) => [code, value])).toEqual([
      ['REMIT_BUS_HANDLER_FAILED', Buffer.from('poison').toString('base64')],
    ]);
  });

  async function setBack(): Promise<void> {
    await asIntruder(database, 'DELETE FROM record.history WHERE topic = $1', [topic.name]);
    await asIntruder(database, 'DELETE FROM record.chain_head WHERE topic = $1', [topic.name]);
  }
});

describe('a database that is restored under a running process', () => {
  /** An intent, and what the agent reports of it: they share a key. */
  const messages = eventsOfScript(
    chainScriptSchema.parse({
      agents: ['clerk'],
      events: [
        { intent: 'one', agent: 'clerk', at: 0 },
        { report: 'one', status: 'executed', at: 5, detail: 'done' },
      ],
    }),
  ).map(messageOfChainEvent);

  it('gets keys of its own for what is read again: nothing is sealed with a key that went with the old one', async () => {
    await history.ping();
    await history.close();
    await database.backUp();
    history = new PostgresHistory({ databaseUrl: database.url, keyFolder });
    await history.append(messages.slice(0, 1));
    await database.restore();
    await eventually(() =>
      history.ping().then(
        () => true,
        () => false,
      ),
    );
    await history.append(messages);
    const found = await history.search({ agentId: 'clerk', limit: 10 });
    expect(found.map(({ topic, erased, value }) => [topic, erased, value])).toEqual(
      messages.map(({ topic, value }) => [topic, undefined, value]),
    );
  });
});

describe('what is read again after a restoration', () => {
  let record: ProvenRecord;

  const decision = (offset: number, outcome: string): RecordedMessage => ({
    ...{ topic: TOPICS.agentDecisions.name, partition: 1, offset, appendTime: NOW, key: null, headers: {} },
    value: Buffer.from(JSON.stringify({ outcome })),
  });

  /** A record of which a later epoch was lost with the database; what was in it is read again, as `again` says. */
  async function restoredWith(again: readonly RecordedMessage[]): Promise<Awaited<ReturnType<ProvenRecord['verify']>>> {
    const own = await createOwnDatabase();
    const folder = mkdtempSync(join(tmpdir(), 'remit-witness-'));
    const options = { databaseUrl: own.url, keyFolder: folder };
    let writer = new PostgresHistory(options);
    record = new ProvenRecord(options);
    try {
      await writer.append([decision(0, 'allow')]);
      await record.checkpoints.closeEpoch({ now: NOW });
      await Promise.all([writer.close(), record.close()]);
      await own.backUp();
      [writer, record] = [new PostgresHistory(options), new ProvenRecord(options)];
      await writer.append([decision(1, 'deny'), decision(2, 'allow')]);
      await record.checkpoints.closeEpoch({ now: NOW + 1 });
      await Promise.all([writer.close(), record.close()]);
      await own.restore();
      [writer, record] = [new PostgresHistory(options), new ProvenRecord(options)];
      await writer.append(again);
      const lost = await record.checkpoints.lost();
      if (lost === undefined) throw new Error('no checkpoint is missing');
      expect([lost.after, lost.lost.map(({ body }) => body.epoch)]).toEqual([1, [2]]);
      await record.checkpoints.signRestored(lost, {
        now: NOW + 2,
        restored: { after: lost.after, by: 'gwen', reason: 'disk' },
      });
      return await record.verify(await record.checkpoints.firstPublicKey());
    } finally {
      await Promise.all([writer.close(), record.close()]);
      await own.drop();
      rmSync(folder, { recursive: true });
    }
  }

  it('verifies where it is, byte for byte, what the lost checkpoint was made of', async () => {
    const report = await restoredWith([decision(1, 'deny'), decision(2, 'allow')]);
    expect(report.faults).toEqual([]);
    expect(report.restorations).toMatchObject([{ epoch: 3, after: 1, by: 'gwen', reason: 'disk' }]);
    expect(report.proven).toBe(3);
  });

  it('is found where somebody has used the restoration to change it: the lost checkpoint is the witness', async () => {
    const report = await restoredWith([decision(1, 'allow'), decision(2, 'allow')]);
    expect(report.faults).toMatchObject([
      { kind: 'range-rewritten', topic: TOPICS.agentDecisions.name, partition: 1, offset: 1, until: 3 },
    ]);
  });
});
