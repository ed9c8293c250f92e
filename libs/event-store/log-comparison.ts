import { isDeepStrictEqual } from 'node:util';
import type { DataSource, EntityManager } from 'typeorm';
import type { EventSchema } from './event-store.js';
import { eventStoreErrorOf } from './event-store-error.js';
import { eventOfRow, textOfEvent, type EventRow } from './event-text.js';

/** An event as it lies on the log that the store publishes to. */
export interface LoggedEvent<Event> {
  readonly stream: string;
  readonly version: number;
  readonly commandId: string;
  readonly event: Event;
  readonly offset: number;
}

/** Where log and store do not say the same of a stream. */
export interface Fork {
  readonly stream: string;
  /** The first version that is not the same. */
  readonly version: number;
  /** Of the log's event. */
  readonly offset: number;
  /** Events of the store that were taken out of the stream, for the log's to take their place. */
  readonly setAside: number;
}

export interface Taken {
  /** Up to here the partition has been compared. Less than asked for: the store was set back, read again from here. */
  readonly next: number;
  /** Events that the store lacked and has now. */
  readonly restored: number;
  readonly forks: readonly Fork[];
}

const LOCK_POSITION = `SELECT next FROM event_store.log_position WHERE "partition" = $1 FOR UPDATE`;

const FIND = `
  SELECT event.stream, event.version, command_id AS "commandId", event AS text, log_offset AS "logOffset"
  FROM event_store.event JOIN unnest($1::text[], $2::integer[]) AS wanted (stream, version)
    ON event.stream = wanted.stream AND event.version = wanted.version`;

/** A digest that fits every content: what was ordered is not known any more, only what came of it. */
export const UNKNOWN_DIGEST = '';

const SET_ASIDE = [
  `INSERT INTO event_store.set_aside (stream, version, command_id, event, stored_at)
   SELECT stream, version, command_id, event, stored_at FROM event_store.event WHERE stream = $1 AND version >= $2`,
  'DELETE FROM event_store.snapshot WHERE stream = $1 AND version >= $2',
  'DELETE FROM event_store.event WHERE stream = $1 AND version >= $2',
  'DELETE FROM event_store.command WHERE stream = $1 AND from_version >= $2 - 1',
  'UPDATE event_store.command SET to_version = $2 - 1 WHERE stream = $1 AND to_version >= $2',
  'UPDATE event_store.stream SET version = $2 - 1 WHERE stream = $1',
];

const TAKE_IN = [
  'INSERT INTO event_store.stream (stream) VALUES ($1) ON CONFLICT DO NOTHING',
  `INSERT INTO event_store.command (stream, command_id, digest, from_version, to_version)
   VALUES ($1, $3, '${UNKNOWN_DIGEST}', $2 - 1, $2)
   ON CONFLICT (stream, command_id) DO UPDATE SET to_version = EXCLUDED.to_version`,
];

type Found = EventRow & { readonly logOffset: string | null };

/**
 * The store against the log that it publishes to. How far they have been compared is kept in the store itself, so that a
 * database that was restored from a backup knows what it may lack. The log is what everybody judges by: what the store
 * lacks is taken from it, and what the store holds instead is set aside, in a table of its own.
 */
export class LogComparison<Event> {
  constructor(
    private readonly schema: EventSchema<Event>,
    private readonly source: DataSource,
  ) {}

  /** The next offset to be compared, by partition; those that were never compared are left out. */
  async positions(): Promise<ReadonlyMap<number, number>> {
    try {
      const rows = await this.source.query<{ partition: number; next: string }[]>(
        'SELECT "partition", next FROM event_store.log_position',
      );
      return new Map(rows.map(({ partition, next }) => [partition, Number(next)]));
    } catch (error) {
      throw eventStoreErrorOf(error);
    }
  }

  /**
   * Compares a run of one partition, read from `from` to before `next`, with the store. Any number of replicas may do so
   * at once, and again.
   */
  async take(partition: number, from: number, next: number, events: readonly LoggedEvent<Event>[]): Promise<Taken> {
    try {
      return await this.source.transaction((manager) => this.#take(manager, partition, from, next, events));
    } catch (error) {
      throw eventStoreErrorOf(error);
    }
  }

  /** From here on the log is compared, whatever lay before: it has no more of it. */
  async goOnAt(partition: number, next: number): Promise<void> {
    try {
      await this.source.query(
        `INSERT INTO event_store.log_position ("partition", next) VALUES ($1, $2)
         ON CONFLICT ("partition") DO UPDATE SET next = EXCLUDED.next`,
        [partition, next],
      );
    } catch (error) {
      throw eventStoreErrorOf(error);
    }
  }

  async #take(
    manager: EntityManager,
    partition: number,
    from: number,
    next: number,
    events: readonly LoggedEvent<Event>[],
  ): Promise<Taken> {
    await manager.query(
      'INSERT INTO event_store.log_position ("partition", next) VALUES ($1, 0) ON CONFLICT DO NOTHING',
      [partition],
    );
    const [row] = await manager.query<{ next: string }[]>(LOCK_POSITION, [partition]);
    const compared = Number(row?.next ?? 0);
    if (compared < from || compared >= next) return { next: compared, restored: 0, forks: [] };
    const fresh = events.filter(({ offset }) => offset >= compared);
    const stored = await this.#stored(manager, fresh);
    const forks: Fork[] = [];
    let restored = 0;
    for (const logged of fresh) {
      const key = keyOf(logged);
      const found = stored.get(key);
      if (found !== undefined && this.#isSame(found, logged)) continue;
      const { stream, version, offset } = logged;
      // the log's first event of a version counts, and the store has it: this one is void
      if (found !== undefined && found.logOffset !== null) {
        forks.push({ stream, version, offset, setAside: 0 });
        continue;
      }
      const setAside = found === undefined ? 0 : await setAsideFrom(manager, stored, stream, version);
      if (setAside > 0) forks.push({ stream, version, offset, setAside });
      if (!(await this.#takeIn(manager, logged))) {
        forks.push({ stream, version, offset, setAside: 0 });
        continue;
      }
      restored += 1;
      stored.set(key, { ...rowOf(this.schema, logged), logOffset: String(offset) });
    }
    await manager.query(
      `UPDATE event_store.event SET log_offset = seen.at, published_at = coalesce(published_at, clock_timestamp())
       FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS seen (stream, version, at)
       WHERE event.stream = seen.stream AND event.version = seen.version AND log_offset IS NULL`,
      [fresh.map(({ stream }) => stream), fresh.map(({ version }) => version), fresh.map(({ offset }) => offset)],
    );
    await manager.query('UPDATE event_store.log_position SET next = $2 WHERE "partition" = $1', [partition, next]);
    return { next, restored, forks };
  }

  async #stored(manager: EntityManager, events: readonly LoggedEvent<Event>[]): Promise<Map<string, Found>> {
    if (events.length === 0) return new Map();
    const rows = await manager.query<Found[]>(FIND, [
      events.map(({ stream }) => stream),
      events.map(({ version }) => version),
    ]);
    return new Map(rows.map((row) => [keyOf(row), row]));
  }

  #isSame(row: EventRow, logged: LoggedEvent<Event>): boolean {
    return row.commandId === logged.commandId && isDeepStrictEqual(eventOfRow(this.schema, row).event, logged.event);
  }

  /** `false`: the store lacks versions before this one, and so does the log. */
  async #takeIn(manager: EntityManager, logged: LoggedEvent<Event>): Promise<boolean> {
    const { stream, version, commandId, offset } = logged;
    await manager.query(TAKE_IN[0] ?? '', [stream]);
    const [row] = await manager.query<{ version: number }[]>(
      'SELECT version FROM event_store.stream WHERE stream = $1 FOR UPDATE',
      [stream],
    );
    if (row?.version !== version - 1) return false;
    await manager.query(TAKE_IN[1] ?? '', [stream, version, commandId]);
    await manager.query(
      `INSERT INTO event_store.event (stream, version, command_id, event, published_at, log_offset)
       VALUES ($1, $2, $3, $4, clock_timestamp(), $5)`,
      [stream, version, commandId, rowOf(this.schema, logged).text, offset],
    );
    await manager.query('UPDATE event_store.stream SET version = $2 WHERE stream = $1', [stream, version]);
    return true;
  }
}

function keyOf({ stream, version }: { readonly stream: string; readonly version: number }): string {
  return `${stream}\n${String(version)}`;
}

function rowOf<Event>(schema: EventSchema<Event>, logged: LoggedEvent<Event>): EventRow {
  const { stream, version, commandId, event } = logged;
  return { stream, version, commandId, text: textOfEvent(schema, stream, event) };
}

/** Returns how many events were set aside. */
async function setAsideFrom(
  manager: EntityManager,
  stored: Map<string, Found>,
  stream: string,
  version: number,
): Promise<number> {
  // whoever appends to the stream waits
  await manager.query('SELECT FROM event_store.stream WHERE stream = $1 FOR UPDATE', [stream]);
  const [count] = await manager.query<{ count: number }[]>(
    'SELECT count(*)::int AS count FROM event_store.event WHERE stream = $1 AND version >= $2',
    [stream, version],
  );
  for (const statement of SET_ASIDE) await manager.query(statement, [stream, version]);
  for (const [key, row] of stored) if (row.stream === stream && row.version >= version) stored.delete(key);
  return count?.count ?? 0;
}
