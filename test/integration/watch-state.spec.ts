import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MemoryWatchState, PostgresWatchState, type WatchState } from '#record';
import { createOwnDatabase, type OwnDatabase } from './own-database.js';

let keyFolder: string;
let database: OwnDatabase;
const opened: PostgresWatchState[] = [];

beforeAll(async () => {
  keyFolder = mkdtempSync(join(tmpdir(), 'remit-watch-'));
  database = await createOwnDatabase();
});

afterAll(async () => {
  await Promise.all(opened.map((state) => state.close()));
  await database.drop();
  rmSync(keyFolder, { recursive: true });
});

describe.each<{ where: string; open: () => WatchState }>([
  { where: 'memory', open: () => new MemoryWatchState() },
  {
    where: 'PostgreSQL',
    open: () => {
      const state = new PostgresWatchState('spec', { databaseUrl: database.url, keyFolder });
      opened.push(state);
      return state;
    },
  },
])('what a watch saves in $where', ({ open }) => {
  it('is what it finds again, and of two that save at once only one does', async () => {
    const state = open();
    expect(await state.load()).toEqual({ version: 0, state: undefined });
    expect((await Promise.all([state.save(0, { n: 1 }), state.save(0, { n: 1 })])).sort()).toEqual([false, true]);
    expect(await state.load()).toEqual({ version: 1, state: { n: 1 } });
    expect(await state.save(0, { n: 2 })).toBe(false);
    expect(await state.save(1, { n: 2 })).toBe(true);
    expect(await state.load()).toEqual({ version: 2, state: { n: 2 } });
    expect(await state.save(1, { n: 3 })).toBe(false);
  });
});
