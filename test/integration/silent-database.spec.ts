import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { TOPICS } from '#contracts';
import { PostgresEventStore } from '#event-store';
import { PostgresHistory, type RecordedMessage } from '#record';
import { eventually, noteSchema } from '#testing';
import { createOwnDatabase, emptyRecord, openLine, type Line, type OwnDatabase } from './own-database.js';

/** How long the server may take for a statement; the client waits twice as long. */
const STATEMENT_MS = 1000;
const START = Date.UTC(2026, 10, 28, 12);

let keyFolder: string;
let database: OwnDatabase;

beforeAll(async () => {
  keyFolder = mkdtempSync(join(tmpdir(), 'remit-silent-'));
  database = await createOwnDatabase();
  const unhurried = new PostgresHistory({ databaseUrl: database.url, keyFolder });
  await unhurried.ping();
  await unhurried.close();
});

afterAll(async () => {
  await database.drop();
  rmSync(keyFolder, { recursive: true });
});

/** Messages of a topic that is stored as it comes, from this offset on. */
function messages(from: number, count: number, bytes = 10): RecordedMessage[] {
  return Array.from({ length: count }, (_, index) => ({
    topic: TOPICS.agentDecisions.name,
    partition: 0,
    offset: from + index,
    appendTime: START,
    key: null,
    headers: {},
    value: Buffer.alloc(bytes, 'x'),
  }));
}

async function untilSomebodyWaitsForALock(): Promise<void> {
  await eventually(async () => {
    const waiting = await database.query(
      `SELECT FROM pg_stat_clear_snapshot(), pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return waiting.length > 0;
  });
}

async function sessions(applicationName: string): Promise<unknown[]> {
  const rows = await database.query(
    `SELECT pid FROM pg_stat_clear_snapshot(), pg_stat_activity
     WHERE datname = current_database() AND application_name = $1`,
    [applicationName],
  );
  return rows.map(({ pid }) => pid);
}

describe('a database that falls silent', () => {
  let line: Line;
  let history: PostgresHistory;

  beforeEach(async () => {
    await emptyRecord(database);
    line = await openLine(database.url);
    history = new PostgresHistory({
      databaseUrl: line.url,
      keyFolder,
      statementMs: STATEMENT_MS,
      applicationName: 'silent',
      poolSize: 1,
    });
    await history.append(messages(0, 1));
  });

  afterEach(async () => {
    await history.close();
    await line.cut();
  });

  it('a late answer to COPY ends nothing, and the batch is stored once when it is tried again', async () => {
    await database.query('BEGIN');
    await database.query('LOCK TABLE record.history IN ACCESS EXCLUSIVE MODE');
    const storing = history.append(messages(1, 10));
    const refused = expect(storing).rejects.toMatchObject({ code: 'REMIT_RECORD_UNAVAILABLE' });
    await untilSomebodyWaitsForALock();
    line.hang();
    // the server goes on to ask for the rows, and nobody hears it
    await database.query('COMMIT');
    await refused;
    line.goOn();
    expect(await history.append(messages(1, 10))).toBe(10);
    expect(await history.append(messages(1, 10))).toBe(0);
    expect((await history.positions()).get(TOPICS.agentDecisions.name)).toEqual([11]);
  });

  it('a COPY that the server cuts off while rows are still on their way ends nothing but the batch', async () => {
    await database.query('BEGIN');
    // only the partition: the server takes the first rows, and then no more
    await database.query('LOCK TABLE record.history_2026_11 IN ACCESS EXCLUSIVE MODE');
    const large = messages(1, 16, 1024 * 1024);
    await expect(history.append(large)).rejects.toMatchObject({ code: 'REMIT_RECORD_CUT_OFF' });
    await database.query('COMMIT');
    const unhurried = new PostgresHistory({ databaseUrl: database.url, keyFolder });
    expect(await unhurried.append(large)).toBe(16);
    await unhurried.close();
  });

  it('a connection that owes an answer is not used again', async () => {
    const [before] = await sessions('silent');
    expect(before).toBeDefined();
    line.hang();
    await expect(history.positions()).rejects.toMatchObject({ code: 'REMIT_RECORD_UNAVAILABLE' });
    line.goOn();
    // always in use, so that it is not closed for being idle
    await eventually(async () => {
      await history.positions();
      return !(await sessions('silent')).includes(before);
    });
  });

  it('a connection that is cut in the middle of a COPY ends nothing but the batch', async () => {
    await database.query('BEGIN');
    await database.query('LOCK TABLE record.history IN ACCESS EXCLUSIVE MODE');
    const refused = expect(history.append(messages(1, 10))).rejects.toMatchObject({ code: 'REMIT_RECORD_UNAVAILABLE' });
    await untilSomebodyWaitsForALock();
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'silent'`,
    );
    await database.query('COMMIT');
    await refused;
    expect(await history.append(messages(1, 10))).toBe(10);
  });

  it('an event store gives up, and appends a command that is sent again once', async () => {
    const options = { databaseUrl: line.url, statementMs: STATEMENT_MS, applicationName: 'silent-events', poolSize: 1 };
    const store = await PostgresEventStore.open(noteSchema, options);
    try {
      const append = {
        expectedVersion: 0,
        commandId: 'first',
        commandDigest: 'a'.repeat(64),
        events: [{ note: 'one' }],
      };
      const [before] = await sessions('silent-events');
      line.hang();
      await expect(store.append('clerk', append)).rejects.toMatchObject({ code: 'REMIT_EVENT_STORE_UNAVAILABLE' });
      line.goOn();
      expect((await store.append('clerk', append)).status).toMatch(/appended|duplicate/);
      expect(await store.readStream('clerk')).toMatchObject({ version: 1 });
      await eventually(async () => !(await sessions('silent-events')).includes(before));
    } finally {
      await store.close();
    }
  });

  it('an event store that is opened while the server is silent is not waited for without end', async () => {
    const options = { databaseUrl: line.url, statementMs: STATEMENT_MS, applicationName: 'silent-opening' };
    await (await PostgresEventStore.open(noteSchema, options)).close();
    await database.query('BEGIN');
    await database.query('LOCK TABLE event_store.migration IN ACCESS EXCLUSIVE MODE');
    const opening = PostgresEventStore.open(noteSchema, options);
    const refused = expect(opening).rejects.toMatchObject({ code: 'REMIT_EVENT_STORE_UNAVAILABLE' });
    await untilSomebodyWaitsForALock();
    line.hang();
    await refused;
    await database.query('COMMIT');
    line.goOn();
    await (await PostgresEventStore.open(noteSchema, options)).close();
  });
});
