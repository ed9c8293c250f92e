import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { PostgresEventStore, type LoggedEvent } from '#event-store';
import { noteSchema, type Note } from '#testing';
import { createOwnDatabase, type OwnDatabase } from './own-database.js';

const PARTITION = 3;
const DIGEST = 'a'.repeat(64);

describe('the event store against the log that it publishes to', () => {
  let database: OwnDatabase;
  let store: PostgresEventStore<Note>;

  const logged = (version: number, commandId: string, note: string, offset: number): LoggedEvent<Note> => ({
    ...{ stream: 'clerk', version, commandId, offset },
    event: { note },
  });

  const append = (expectedVersion: number, commandId: string, ...notes: string[]) =>
    store.append('clerk', {
      ...{ expectedVersion, commandId, commandDigest: DIGEST },
      events: notes.map((note) => ({ note })),
    });

  const notes = async (): Promise<string[]> =>
    (await store.readStream('clerk')).events.map(({ event, commandId }) => `${commandId}: ${event.note}`);

  const setAside = () =>
    database.query('SELECT stream, version, command_id, event FROM event_store.set_aside ORDER BY version');

  beforeAll(async () => {
    database = await createOwnDatabase();
    store = await PostgresEventStore.open(noteSchema, { databaseUrl: database.url });
  });

  afterEach(async () => {
    await database.query(
      `TRUNCATE event_store.event, event_store.command, event_store.snapshot, event_store.stream,
       event_store.set_aside, event_store.log_position`,
    );
  });

  afterAll(async () => {
    await store.close();
    await database.drop();
  });

  it('takes from the log what it lacks, in version order, with the ids of the commands that made it', async () => {
    await append(0, 'first', 'one');
    const taken = await store.log.take(PARTITION, 0, 3, [
      logged(1, 'first', 'one', 0),
      logged(2, 'second', 'two', 1),
      logged(3, 'second', 'three', 2),
    ]);
    expect(taken).toEqual({ next: 3, restored: 2, forks: [] });
    expect(await notes()).toEqual(['first: one', 'second: two', 'second: three']);
    expect(await store.log.positions()).toEqual(new Map([[PARTITION, 3]]));
    expect(await append(3, 'second', 'again')).toMatchObject({ status: 'duplicate' });
    expect(await store.unpublished(10)).toEqual([]);
  });

  it('sets aside what it holds instead of what the log says, and keeps it for people', async () => {
    await append(0, 'first', 'one');
    await append(1, 'theirs', 'two of the store', 'three of the store');
    await store.saveSnapshot('clerk', 'f', { version: 3, state: '{}' });
    const taken = await store.log.take(PARTITION, 0, 2, [logged(1, 'first', 'one', 0), logged(2, 'ours', 'two', 1)]);
    expect(taken).toEqual({
      next: 2,
      restored: 1,
      forks: [{ stream: 'clerk', version: 2, offset: 1, setAside: 2 }],
    });
    expect(await notes()).toEqual(['first: one', 'ours: two']);
    expect((await setAside()).map(({ version, command_id, event }) => [version, command_id, event])).toEqual([
      [2, 'theirs', '{"note":"two of the store"}'],
      [3, 'theirs', '{"note":"three of the store"}'],
    ]);
    // what the store knew of the stream beyond the fork is gone with it
    expect(await store.readSnapshot('clerk', 'f')).toBeUndefined();
    expect(await append(2, 'theirs', 'ordered again')).toMatchObject({ status: 'appended' });
  });

  it('splits a command whose first event is on the log and whose second is another there', async () => {
    await append(0, 'both', 'one', 'two of the store');
    const taken = await store.log.take(PARTITION, 0, 2, [logged(1, 'both', 'one', 0), logged(2, 'other', 'two', 1)]);
    expect(taken.forks).toEqual([{ stream: 'clerk', version: 2, offset: 1, setAside: 1 }]);
    expect(await notes()).toEqual(['both: one', 'other: two']);
    expect(await append(2, 'both', 'one', 'two of the store')).toMatchObject({ status: 'duplicate' });
  });

  it('holds to the first event of a version that the log has: a later one of the same version is void, and told', async () => {
    await store.log.take(PARTITION, 0, 1, [logged(1, 'first', 'one', 0)]);
    const taken = await store.log.take(PARTITION, 1, 2, [logged(1, 'second', 'another one', 1)]);
    expect(taken.forks).toEqual([{ stream: 'clerk', version: 1, offset: 1, setAside: 0 }]);
    expect(await notes()).toEqual(['first: one']);
    expect(await setAside()).toEqual([]);
  });

  it('does not take in what follows a hole: it tells where the log itself lacks a version', async () => {
    const taken = await store.log.take(PARTITION, 0, 2, [logged(1, 'first', 'one', 0), logged(3, 'third', 'three', 1)]);
    expect(taken).toMatchObject({ restored: 1, forks: [{ version: 3, setAside: 0 }] });
    expect(await notes()).toEqual(['first: one']);
  });

  it('that was set back refuses what comes after the hole, and says from where to read again', async () => {
    await store.log.take(PARTITION, 0, 1, [logged(1, 'first', 'one', 0)]);
    const late = [logged(5, 'fifth', 'five', 4)];
    expect(await store.log.take(PARTITION, 4, 5, late)).toEqual({ next: 1, restored: 0, forks: [] });
    expect(await notes()).toEqual(['first: one']);
    expect(await store.log.positions()).toEqual(new Map([[PARTITION, 1]]));
  });

  it('is compared by any number of replicas at once, and again, with one result', async () => {
    const events = [logged(1, 'first', 'one', 0), logged(2, 'second', 'two', 1)];
    const taken = await Promise.all(Array.from({ length: 4 }, () => store.log.take(PARTITION, 0, 2, events)));
    expect(taken.map(({ restored }) => restored).sort()).toEqual([0, 0, 0, 2]);
    expect(taken.every(({ next, forks }) => next === 2 && forks.length === 0)).toBe(true);
    expect(await notes()).toEqual(['first: one', 'second: two']);
  });
});
