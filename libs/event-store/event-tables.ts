import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The PostgreSQL schema that holds the event store and nothing else. */
export const EVENT_STORE_SCHEMA = 'event_store';

/**
 * The row of a stream is what appends queue at. The unique keys hold whatever the code does: one event per version,
 * one command per id. Names sort by code point, so that paging does not depend on the server's locale.
 */
class CreateEventStore1764100000000 implements MigrationInterface {
  readonly name = 'CreateEventStore1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE event_store.stream (
        stream  text COLLATE "C" PRIMARY KEY,
        version integer NOT NULL DEFAULT 0
      )`);
    await runner.query(`
      CREATE TABLE event_store.command (
        stream       text COLLATE "C" NOT NULL REFERENCES event_store.stream,
        command_id   text COLLATE "C" NOT NULL,
        digest       text COLLATE "C" NOT NULL,
        from_version integer NOT NULL,
        to_version   integer NOT NULL CHECK (to_version >= from_version),
        PRIMARY KEY (stream, command_id)
      )`);
    await runner.query(`
      CREATE TABLE event_store.event (
        stream       text COLLATE "C" NOT NULL,
        version      integer NOT NULL CHECK (version > 0),
        command_id   text COLLATE "C" NOT NULL,
        event        text COLLATE "C" NOT NULL,
        stored_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
        published_at timestamptz,
        PRIMARY KEY (stream, version),
        FOREIGN KEY (stream, command_id) REFERENCES event_store.command
      )`);
    await runner.query(`
      CREATE INDEX event_unpublished ON event_store.event (stream, version) WHERE published_at IS NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE event_store.event, event_store.command, event_store.stream');
  }
}

/** One state per stream and format, so that two versions of Remit do not overwrite each other's. */
class CreateSnapshots1764300000000 implements MigrationInterface {
  readonly name = 'CreateSnapshots1764300000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE event_store.snapshot (
        stream  text COLLATE "C" NOT NULL REFERENCES event_store.stream,
        format  text COLLATE "C" NOT NULL,
        version integer NOT NULL CHECK (version > 0),
        state   text COLLATE "C" NOT NULL,
        PRIMARY KEY (stream, format)
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE event_store.snapshot');
  }
}

/** How far the store has been compared with the log, where each event lies on it, and what the log had instead. */
class CompareWithLog1764300100000 implements MigrationInterface {
  readonly name = 'CompareWithLog1764300100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE event_store.log_position (
        "partition" integer PRIMARY KEY,
        next        bigint NOT NULL
      )`);
    await runner.query('ALTER TABLE event_store.event ADD COLUMN log_offset bigint');
    await runner.query(`
      CREATE TABLE event_store.set_aside (
        stream       text COLLATE "C" NOT NULL,
        version      integer NOT NULL,
        command_id   text COLLATE "C" NOT NULL,
        event        text COLLATE "C" NOT NULL,
        stored_at    timestamptz NOT NULL,
        set_aside_at timestamptz NOT NULL DEFAULT clock_timestamp()
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE event_store.set_aside, event_store.log_position');
    await runner.query('ALTER TABLE event_store.event DROP COLUMN log_offset');
  }
}

export const EVENT_STORE_MIGRATIONS = [
  CreateEventStore1764100000000,
  CreateSnapshots1764300000000,
  CompareWithLog1764300100000,
];
export const NEWEST_EVENT_STORE_MIGRATION = new CompareWithLog1764300100000().name;
