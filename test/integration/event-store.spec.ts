import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { PostgresEventStore, publishLeftovers, publishStream, type EventStore, type StoredEvent } from '#event-store';
import { EVENT_STORE_PROMISES, noteSchema, type Note } from '#testing';
import { createOwnDatabase, openLine, type OwnDatabase } from './own-database.js';

let database: OwnDatabase;
const opened: EventStore<Note>[] = [];

async function open(options: { databaseUrl?: string; publishTurnMs?: number } = {}): Promise<EventStore<Note>> {
  const store = await PostgresEventStore.open(noteSchema, { databaseUrl: database.url, poolSize: 4, ...options });
  opened.push(store);
  return store;
}

function append(expectedVersion: number, commandId: string, ...notes: string[]) {
  return { expectedVersion, commandId, commandDigest: 'a'.repeat(64), events: notes.map((note) => ({ note })) };
}

function versions(events: readonly StoredEvent<Note>[]): number[] {
  return events.map(({ version }) => version);
}

beforeAll(async () => {
  database = await createOwnDatabase();
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
  await database.query('TRUNCATE event_store.event, event_store.command, event_store.snapshot, event_store.stream');
});

afterAll(() => database.drop());

describe('the event store in PostgreSQL', () => {
  it.each(EVENT_STORE_PROMISES)('$promise', ({ keptBy }) => keptBy(() => open()));

  it('replicas that start together on an empty database set it up once', async () => {
    const fresh = await createOwnDatabase();
    const replicas = await Promise.all(Array.from({ length: 4 }, () => open({ databaseUrl: fresh.url })));
    expect(await fresh.query('SELECT count(*)::int AS migrations FROM event_store.migration')).toEqual([
      { migrations: 3 },
    ]);
    const results = await Promise.all(
      replicas.map((replica, i) => replica.append('clerk', append(0, `command-${String(i)}`, 'one'))),
    );
    expect(results.filter(({ status }) => status === 'appended')).toHaveLength(1);
    await Promise.all(opened.splice(0).map((store) => store.close()));
    await fresh.drop();
  });

  it('the database itself refuses a second event of one version and a second command of one id', async () => {
    const store = await open();
    await store.append('clerk', append(0, 'first', 'one'));
    const event = `INSERT INTO event_store.event (stream, version, command_id, event) VALUES ('clerk', 1, 'first', '{}')`;
    await expect(database.query(event)).rejects.toMatchObject({ code: '23505' });
    const command = `
      INSERT INTO event_store.command (stream, command_id, digest, from_version, to_version)
      VALUES ('clerk', 'first', 'x', 1, 2)`;
    await expect(database.query(command)).rejects.toMatchObject({ code: '23505' });
  });

  it('a replica that dies while it publishes frees the stream, and another publishes everything', async () => {
    const [dying, survivor] = [await open(), await open()];
    await dying.append('clerk', append(0, 'first', 'one', 'two'));
    const published: number[] = [];
    const death = publishStream(dying, 'clerk', async () => {
      await database.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'idle in transaction'`,
      );
      await publishStream(survivor, 'clerk', (events) => {
        published.push(...versions(events));
        return Promise.resolve();
      });
    });
    await expect(death).rejects.toMatchObject({ code: 'REMIT_EVENT_STORE_UNAVAILABLE' });
    expect(published).toEqual([1, 2]);
    expect(await survivor.unpublished(10)).toEqual([]);
  });

  it('a replica that is frozen while it publishes does not keep the stream for ever', async () => {
    // long enough to begin with on a busy machine, and for the other well within what it waits for a lock
    const [frozen, other] = [await open({ publishTurnMs: 3000 }), await open()];
    await frozen.append('clerk', append(0, 'first', 'one'));
    const published: number[] = [];
    const thaw = publishStream(frozen, 'clerk', async () => {
      await publishStream(other, 'clerk', (events) => {
        published.push(...versions(events));
        return Promise.resolve();
      });
    });
    await expect(thaw).rejects.toMatchObject({ code: 'REMIT_EVENT_STORE_UNAVAILABLE' });
    expect(published).toEqual([1]);
    expect(await other.unpublished(10)).toEqual([]);
  });

  it('while the database is away every call says so by its code, and afterwards work goes on', async () => {
    const line = await openLine(database.url);
    const store = await open({ databaseUrl: line.url });
    await store.append('clerk', append(0, 'first', 'one'));
    await line.cut();
    const away = { code: 'REMIT_EVENT_STORE_UNAVAILABLE' };
    await expect(store.append('clerk', append(1, 'second', 'two'))).rejects.toMatchObject(away);
    await expect(store.readStream('clerk')).rejects.toMatchObject(away);
    await expect(store.ping()).rejects.toMatchObject(away);
    await expect(publishLeftovers(store, () => Promise.resolve())).rejects.toMatchObject(away);
    await line.mend();
    expect((await store.append('clerk', append(1, 'second', 'two'))).status).toBe('appended');
    await store.close();
    opened.splice(opened.indexOf(store), 1);
    await line.cut();
  });

  it('an event that somebody has edited into something else is refused when read', async () => {
    const store = await open();
    await store.append('clerk', append(0, 'first', 'one'));
    await database.query(`UPDATE event_store.event SET event = '{"rumour":"one"}'`);
    await expect(store.readStream('clerk')).rejects.toMatchObject({ code: 'REMIT_EVENT_STORE_UNREADABLE' });
  });

  it('errors carry neither the events nor the password', async () => {
    const store = await PostgresEventStore.open(z.unknown(), { databaseUrl: database.url });
    const failing = store.append('clerk', { ...append(0, 'first'), commandId: 'first\u0000', events: ['a secret'] });
    const error = await failing.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    await store.close();
    expect(error).toMatchObject({ code: 'REMIT_EVENT_STORE_NOT_STORABLE' });
    const { cause } = error as Error;
    const said = JSON.stringify([error, cause, String(error), String(cause)]);
    expect(said).not.toContain('a secret');
    expect(said).not.toContain(new URL(database.url).password);
  });
});
