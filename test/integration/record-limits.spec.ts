import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { PostgresHistory, Projections, RecordKeeping } from '#record';
import { createOwnDatabase, emptyRecord, type OwnDatabase } from './own-database.js';

/**
 * Less than the work below takes, because it is held up for longer; far more than a statement takes that is not, also on
 * a machine with other work, and far enough from where the client itself would no longer wait for the server's word.
 */
const STATEMENT_MS = 2000;

let keyFolder: string;
let database: OwnDatabase;
let history: PostgresHistory;
let projections: Projections;
let keeping: RecordKeeping;

beforeAll(async () => {
  keyFolder = mkdtempSync(join(tmpdir(), 'remit-limits-'));
  database = await createOwnDatabase();
  // what creates the tables may take as long as ever
  const unhurried = new PostgresHistory({ databaseUrl: database.url, keyFolder });
  await unhurried.ping();
  await unhurried.close();
  const options = { databaseUrl: database.url, keyFolder, statementMs: STATEMENT_MS };
  history = new PostgresHistory(options);
  projections = new Projections(options);
  keeping = new RecordKeeping(options);
  await history.ping();
});

afterEach(() => emptyRecord(database));

afterAll(async () => {
  await Promise.all([history.close(), projections.close(), keeping.close()]);
  await database.drop();
  rmSync(keyFolder, { recursive: true });
});

/** Work that has to wait for a table until one of its statements has taken twice as long as one may. */
async function heldUp<Result>(table: string, work: () => Promise<Result>): Promise<Result> {
  await database.query('BEGIN');
  try {
    await database.query(`LOCK TABLE record.${table} IN ACCESS EXCLUSIVE MODE`);
    const done = work();
    const ended = done.then(
      () => true,
      () => true,
    );
    while (!(await Promise.race([ended, sleep(50, false)]))) {
      const [waiting] = await database.query(
        `SELECT FROM pg_stat_clear_snapshot(), pg_stat_activity WHERE datname = current_database()
         AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '${String(2 * STATEMENT_MS)} ms'`,
      );
      if (waiting !== undefined) break;
    }
    await database.query('COMMIT');
    return await done;
  } finally {
    await database.query('ROLLBACK');
  }
}

describe('how long the database may take', () => {
  it('a search that takes too long is cut off, and says so and how to ask for less', async () => {
    await expect(heldUp('history', () => history.search({ rule: 'data-privacy', limit: 1 }))).rejects.toMatchObject({
      code: 'REMIT_RECORD_CUT_OFF',
      message: expect.stringContaining('--from') as unknown,
    });
    expect(await history.search({ limit: 1 })).toEqual([]);
  });

  it('what is done to the whole record is never cut off: building anew', async () => {
    expect(await heldUp('agent_day', () => projections.rebuild())).toMatchObject({ agentDays: { differences: [] } });
    await heldUp('agent_day', () => projections.replaceAgentDays());
  });

  it('what is done to the whole record is never cut off: dropping months, and erasing', async () => {
    const announce = (): Promise<void> => Promise.resolve();
    expect(await heldUp('chain_head', () => keeping.dropBefore('2025-12', 0, announce))).toMatchObject({ entries: 0 });
    expect(await heldUp('intent_key', () => keeping.erase({ of: 'agent', agentId: 'nobody' }, announce))).toMatchObject(
      { keys: 0 },
    );
  });

  it('a server that falls silent just when it is opened is not waited for without end', async () => {
    // greets whoever connects, and says nothing ever after
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write(Buffer.from('R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I', 'latin1')));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const databaseUrl = `postgres://remit@127.0.0.1:${String(port)}/remit`;
    const silent = new PostgresHistory({ databaseUrl, keyFolder, statementMs: STATEMENT_MS });
    try {
      await expect(silent.ping()).rejects.toMatchObject({ code: 'REMIT_RECORD_UNAVAILABLE' });
    } finally {
      await silent.close();
      // it closes only when every connection is gone
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
