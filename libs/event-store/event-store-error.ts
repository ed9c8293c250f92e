import { DatabaseError, isProgrammingError, type DatabaseErrorCode } from '#postgres';

export type EventStoreErrorCode =
  | DatabaseErrorCode
  /** The database does not answer. Nothing is lost: send the same command again. */
  | 'REMIT_EVENT_STORE_UNAVAILABLE'
  /** The database refuses the role, the statement or the schema. */
  | 'REMIT_EVENT_STORE_REFUSED'
  /** An event that does not fit its schema was about to be stored: a fault of the caller. */
  | 'REMIT_EVENT_STORE_INVALID_EVENT'
  /** PostgreSQL cannot hold what was to be stored. */
  | 'REMIT_EVENT_STORE_NOT_STORABLE'
  /** A stored event does not fit the schema of this version. */
  | 'REMIT_EVENT_STORE_UNREADABLE'
  /** The stream lacks events that were public already: the database was set back, and is being read on from the log. */
  | 'REMIT_EVENT_STORE_BEHIND_LOG'
  /** A fault of Remit itself, not of the database. */
  | 'REMIT_EVENT_STORE_FAULT'
  /** Others kept appending to the stream. Send the same command again. */
  | 'REMIT_EVENT_STORE_CONTENDED';

/** What went wrong with the event store. Its cause never carries stored values, so it may be logged. */
export class EventStoreError extends Error {
  override readonly name = 'EventStoreError';

  constructor(
    readonly code: EventStoreErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

const SQLSTATE = /^[0-9A-Z]{5}$/;
/** Data exceptions, and more than the server can hold in a row or an index: what was to be stored is why. */
const DATA_SQLSTATE = /^(?:22|54)/;
/** Connection lost, serialisation, out of resources, shutting down, starting up or cancelled: all of these pass. */
const PASSING_SQLSTATE = /^(?:08|25P03|40|53|57)/;

/** TypeORM's own error carries every parameter of the statement, so only the driver's travels on. */
function driverErrorOf(error: unknown): unknown {
  return error instanceof Error && 'driverError' in error ? error.driverError : error;
}

export function eventStoreErrorOf(error: unknown): EventStoreError {
  if (error instanceof EventStoreError) return error;
  const cause = driverErrorOf(error);
  if (cause instanceof DatabaseError) return new EventStoreError(cause.code, cause.message, { cause });
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
  const said = cause instanceof Error ? cause.message : String(cause);
  if (code !== undefined && SQLSTATE.test(code) && DATA_SQLSTATE.test(code)) {
    return new EventStoreError(
      'REMIT_EVENT_STORE_NOT_STORABLE',
      `PostgreSQL cannot hold it (${code}): ${said}. Nothing is stored.`,
      { cause },
    );
  }
  if (code !== undefined && SQLSTATE.test(code) && !PASSING_SQLSTATE.test(code)) {
    return new EventStoreError(
      'REMIT_EVENT_STORE_REFUSED',
      `PostgreSQL refused (${code}): ${said}. Check the role and the database that DATABASE_URL names; the owner creates and updates tables with \`remit database migrate\`.`,
      { cause },
    );
  }
  if (isProgrammingError(cause)) {
    return new EventStoreError(
      'REMIT_EVENT_STORE_FAULT',
      `a fault of Remit, not of PostgreSQL: ${said}. Trying again will hardly help: report it with this line.`,
      { cause },
    );
  }
  return new EventStoreError(
    'REMIT_EVENT_STORE_UNAVAILABLE',
    `PostgreSQL does not answer (${code ?? said}). Start it or correct DATABASE_URL, then send the same command again.`,
    { cause },
  );
}
