import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MemoryHistory, PostgresHistory, type HistorySearch, type RecordedMessage } from '#record';
import { HISTORY_PROMISES } from '#testing';
import { ingest } from '../../apps/audit/ingestion.js';
import { createOwnDatabase, emptyRecord, openLine, type OwnDatabase } from './own-database.js';

let database: OwnDatabase;
let history: PostgresHistory;

beforeAll(async () => {
  database = await createOwnDatabase();
  history = await PostgresHistory.open(database.url);
});

afterEach(() => emptyRecord(database));

afterAll(async () => {
  await history.close();
  await database.drop();
});

function message(of: Partial<RecordedMessage> = {}): RecordedMessage {
  return { topic: 'agent.actions', partition: 0, offset: 0, appendTime: 1, key: null, value: null, headers: {}, ...of };
}

function batchOf(messages: readonly RecordedMessage[]) {
  return {
    topic: 'agent.actions',
    partition: 0,
    messages: messages.map((one) => ({ ...one, logTime: one.appendTime })),
    readFrom: 0,
    heartbeat: () => Promise.resolve(),
  };
}

describe('history in PostgreSQL', () => {
  it.each(HISTORY_PROMISES)('$promise', ({ keptBy }) => keptBy(history));

  it('a batch larger than one statement may be is stored whole', async () => {
    const messages = Array.from({ length: 5 }, (_, offset) =>
      message({ offset, value: Buffer.alloc(1_500_000, offset) }),
    );
    expect(await history.append(messages)).toBe(5);
    const stored = await history.search({ limit: 5 });
    // Compared as buffers: a matcher would go through every byte.
    expect(stored.map((entry, i) => entry.value?.equals(messages[i]?.value ?? Buffer.alloc(0)))).toEqual(
      messages.map(() => true),
    );
  });

  it('replicas that start together on an empty database set it up once and lose nothing', async () => {
    const fresh = await createOwnDatabase();
    const replicas = Array.from({ length: 4 }, () => new PostgresHistory({ databaseUrl: fresh.url }));
    try {
      const stored = await Promise.all(
        replicas.map((replica, i) => replica.append(Array.from({ length: i + 2 }, (_, offset) => message({ offset })))),
      );
      expect(stored.reduce((sum, count) => sum + count, 0)).toBe(5);
      expect(await fresh.query('SELECT count(*)::int AS migrations FROM record.migration')).toEqual([
        { migrations: 3 },
      ]);
    } finally {
      await Promise.all(replicas.map((replica) => replica.close()));
      await fresh.drop();
    }
  });

  it('two replicas never wait for each other in a circle, in whatever order each was handed the messages', async () => {
    await history.append([message(), message({ topic: 'agent.outcomes' })]);
    const lock = 'SELECT FROM record.chain_head WHERE topic = $1 FOR UPDATE';
    await database.query('BEGIN');
    await database.query(lock, ['agent.actions']);
    const stored = history.append([message({ topic: 'agent.outcomes', offset: 1 }), message({ offset: 1 })]);
    const waiting = 'SELECT FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid';
    const waits = async () => (await database.query(waiting)).length > 0;
    while (!(await waits())) await new Promise((resolve) => setTimeout(resolve, 5));
    await database.query(lock, ['agent.outcomes']);
    await database.query('COMMIT');
    expect(await stored).toBe(2);
  });

  it('a restart keeps what was stored', async () => {
    await history.append([message({ value: Buffer.from('kept') })]);
    const restarted = await PostgresHistory.open(database.url);
    try {
      expect((await restarted.search({ limit: 1 }))[0]?.value).toEqual(Buffer.from('kept'));
    } finally {
      await restarted.close();
    }
  });

  it('whatever is stored comes back as it was, and is found as its twin in memory finds it', async () => {
    const text = fc.string({
      unit: fc.oneof(
        fc.constantFrom('\0', '\ud800', '\udc00', 'a', '"', '\\'),
        fc.string({ unit: 'binary', maxLength: 1 }),
      ),
    });
    const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
    const value = fc.oneof(
      fc.constant(null),
      bytes,
      fc
        .record(
          { agentId: text, chainId: text, action: fc.record({ type: text, target: text }), outcome: text },
          { requiredKeys: [] },
        )
        .map((data) =>
          Buffer.from(JSON.stringify({ specversion: '1.0', id: '1', source: 's', type: 'io.remit.intent.v1', data })),
        ),
    );
    const name = fc.string({ unit: 'binary', maxLength: 8 }).filter((header) => !/^\d+$/.test(header));
    const headers = fc
      .uniqueArray(fc.tuple(name, fc.oneof(bytes, fc.array(bytes, { minLength: 2, maxLength: 3 }))), {
        selector: ([header]) => header,
        maxLength: 4,
      })
      .map((pairs) => Object.fromEntries([...pairs, ['content-type', Buffer.from('application/cloudevents+json')]]));
    const messages = fc.uniqueArray(
      fc.record({
        topic: fc.constantFrom('agent.actions', 'agent.decisions', 'Zebra', 'ant'),
        partition: fc.nat(2),
        offset: fc.oneof(fc.nat(5), fc.maxSafeNat()),
        appendTime: fc.oneof(fc.constant(1_764_000_000_000), fc.integer({ min: 0, max: 4_102_444_800_000 })),
        key: fc.option(bytes),
        value,
        headers,
      }),
      { selector: ({ topic, partition, offset }) => `${topic} ${String(partition)} ${String(offset)}`, maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(messages, async (all) => {
        await emptyRecord(database);
        const twin = new MemoryHistory();
        expect(await history.append(all)).toBe(all.length);
        await twin.append(all);
        const stored = await twin.search({ limit: 100 });
        const searches: HistorySearch[] = stored.flatMap((entry) => [
          { limit: 100, after: entry },
          { limit: 100, agentId: entry.agentId ?? '', target: entry.target ?? '' },
          { limit: 100, chainId: entry.chainId ?? '', to: entry.appendTime },
        ]);
        for (const search of [{ limit: 100 }, ...searches]) {
          expect(await history.search(search)).toEqual(await twin.search(search));
        }
        expect(await history.positions()).toEqual(await twin.positions());
        expect(await history.count()).toEqual(await twin.count());
      }),
      { numRuns: 25 },
    );
  });
});

describe('audit while PostgreSQL is away', () => {
  it('refuses the batch with a code, lives on, and catches up when the server is back', async () => {
    const line = await openLine(database.url);
    let hearOfLoss: (error: Error) => void = () => undefined;
    const lost = new Promise<Error>((resolve) => (hearOfLoss = resolve));
    const audit = new PostgresHistory({ databaseUrl: line.url, onConnectionLost: (error) => hearOfLoss(error) });
    try {
      const first = batchOf([message(), message({ offset: 1, value: Buffer.from('not even JSON') })]);
      expect(await ingest(audit, first)).toEqual({ publish: [], unreadable: [] });

      await line.cut();
      await lost;
      const second = batchOf([message({ offset: 1 }), message({ offset: 2, value: Buffer.from('secret') })]);
      const refusal = ingest(audit, second);
      await expect(refusal).rejects.toMatchObject({ code: 'REMIT_RECORD_UNAVAILABLE' });
      await expect(ingest(audit, second)).rejects.toMatchObject({ code: 'REMIT_RECORD_UNAVAILABLE' });
      await expect(audit.ping()).rejects.toMatchObject({ code: 'REMIT_RECORD_UNAVAILABLE' });

      await line.mend();
      await ingest(audit, second);
      await audit.ping();
      expect(await audit.positions()).toEqual(new Map([['agent.actions', [3]]]));
      expect(await audit.count()).toEqual(new Map([['agent.actions', 3]]));
    } finally {
      await audit.close();
      await line.cut();
    }
  });

  it('starts before its database does', async () => {
    const line = await openLine(database.url);
    await line.cut();
    const audit = new PostgresHistory({ databaseUrl: line.url });
    try {
      await expect(ingest(audit, batchOf([message()]))).rejects.toMatchObject({ code: 'REMIT_RECORD_UNAVAILABLE' });
      await expect(PostgresHistory.open(line.url)).rejects.toMatchObject({ code: 'REMIT_RECORD_UNAVAILABLE' });
      await line.mend();
      await ingest(audit, batchOf([message()]));
      expect(await audit.count()).toEqual(new Map([['agent.actions', 1]]));
    } finally {
      await audit.close();
      await line.cut();
    }
  });

  it('a refusal says what is wrong and never repeats the password or what was to be stored', async () => {
    const url = new URL(database.url);
    url.pathname = '/no_such_database';
    url.password = 'very-secret-password';
    const missing = new PostgresHistory({ databaseUrl: url.href });
    const said: unknown = await missing
      .append([message({ value: Buffer.from('secret') })])
      .catch((error: unknown) => error);
    expect(said).toMatchObject({ code: expect.stringMatching(/^REMIT_RECORD_REFUSED$/) as unknown });
    expect(JSON.stringify(said, Object.getOwnPropertyNames(said)) + String(said)).not.toContain('secret');

    await database.query('ALTER TABLE record.history ADD CONSTRAINT none CHECK (false)');
    try {
      const refused: unknown = await history
        .append([message({ key: Buffer.from('secret') })])
        .catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'REMIT_RECORD_REFUSED' });
      expect(Object.keys((refused as Error).cause as object)).not.toContain('parameters');
    } finally {
      await database.query('ALTER TABLE record.history DROP CONSTRAINT none');
    }
  });
});
