import { databaseFailureOf, type DatabaseErrorCode } from '#postgres';
import type { PartitionReading } from './history.js';

export type RecordErrorCode =
  | DatabaseErrorCode
  | 'REMIT_RECORD_UNAVAILABLE'
  | 'REMIT_RECORD_REFUSED'
  /** PostgreSQL cannot hold what was to be stored. */
  | 'REMIT_RECORD_NOT_STORABLE'
  /** A statement ran longer than it may, or an administrator has ended it: nothing of it counts. */
  | 'REMIT_RECORD_CUT_OFF'
  /** Another process has been closing an epoch for longer than it may take: see whether it hangs. */
  | 'REMIT_RECORD_BUSY'
  /** What is stored does not open: run `remit audit verify`. */
  | 'REMIT_RECORD_ALTERED'
  /** The record was sealed with another master key than the one of this process. */
  | 'REMIT_RECORD_OTHER_KEY'
  | 'REMIT_RECORD_KEY_EXPOSED'
  | 'REMIT_RECORD_KEY_UNREADABLE'
  | 'REMIT_RECORD_NO_SIGNING_KEY'
  /** It is signed and in the database, but not in the file for auditors. */
  | 'REMIT_RECORD_CHECKPOINT_NOT_KEPT'
  /** The consumer group is further than the record: read the partition again from where the record is. */
  | 'REMIT_RECORD_BEHIND_READER'
  /** Retention would tear a hole, or drop what no checkpoint covers. */
  | 'REMIT_RECORD_NOT_DROPPABLE'
  /** A fault of Remit itself, not of the database. */
  | 'REMIT_RECORD_FAULT'
  /** An export that cannot be read as one. */
  | 'REMIT_RECORD_EXPORT_UNREADABLE';

/** What went wrong with the record. Its cause never carries stored values, so it may be logged. */
export class RecordError extends Error {
  override readonly name = 'RecordError';

  constructor(
    readonly code: RecordErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The record holds a partition up to `next`, and what was to be appended was read from behind it. */
export class BehindReader extends RecordError {
  constructor(
    readonly topic: string,
    readonly partition: number,
    /** The offset that the record lacks. */
    readonly next: number,
    readFrom: number,
  ) {
    super(
      'REMIT_RECORD_BEHIND_READER',
      `the record holds ${topic}/${String(partition)} up to offset ${String(next)}, and it was read from ` +
        `${String(readFrom)} on: the database was restored, or the log was cut; it is read again from where the record is`,
    );
  }
}

/** Throws {@link BehindReader} when there is a hole that nobody knows of. */
export function requireNoHole(
  { topic, partition }: { readonly topic: string; readonly partition: number },
  next: number,
  reading: PartitionReading | undefined,
): void {
  if (reading === undefined || reading.from <= next) return;
  const { from, gone } = reading;
  if (gone !== undefined && gone.from <= next && gone.to >= from) return;
  throw new BehindReader(topic, partition, next, from);
}

const QUERY_CANCELED = '57014';
/** Connection lost, out of resources, shutting down or starting up: all of these pass. */
const PASSING_SQLSTATE = /^(?:08|53|57)/;

export function recordErrorOf(error: unknown): RecordError {
  if (error instanceof RecordError) return error;
  const failure = databaseFailureOf(error, PASSING_SQLSTATE);
  const { cause } = failure;
  if (failure.kind === 'unsecured') return new RecordError(failure.cause.code, failure.cause.message, { cause });
  const { code } = failure;
  const said = failure.said || String(code);
  if (code === QUERY_CANCELED) {
    return new RecordError(
      'REMIT_RECORD_CUT_OFF',
      `PostgreSQL cut it off (${code}): ${said}. Nothing of it counts. Narrow a search by time (--from, --to) or to one ` +
        'agent; if it was not large, see what else the server is busy with (pg_stat_activity).',
      { cause },
    );
  }
  switch (failure.kind) {
    case 'not-storable':
      return new RecordError('REMIT_RECORD_NOT_STORABLE', `PostgreSQL cannot hold it (${String(code)}): ${said}`, {
        cause,
      });
    case 'refused':
      return new RecordError(
        'REMIT_RECORD_REFUSED',
        `PostgreSQL refused (${String(code)}): ${said}. Check the role and the database that DATABASE_URL names; the owner creates and updates tables with \`remit database migrate\`.`,
        { cause },
      );
    case 'fault':
      return new RecordError(
        'REMIT_RECORD_FAULT',
        `a fault of Remit, not of PostgreSQL: ${said}. Trying again will hardly help: report it with this line.`,
        { cause },
      );
    case 'away':
      return new RecordError(
        'REMIT_RECORD_UNAVAILABLE',
        `PostgreSQL does not answer: ${said}. Start it or correct DATABASE_URL; the log keeps what is not stored yet.`,
        { cause },
      );
  }
}
