import { databaseFailureOf, type DatabaseErrorCode } from '#postgres';

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

/** Connection lost, serialisation, out of resources, shutting down, starting up or cancelled: all of these pass. */
const PASSING_SQLSTATE = /^(?:08|25P03|40|53|57)/;

export function eventStoreErrorOf(error: unknown): EventStoreError {
  if (error instanceof EventStoreError) return error;
  const failure = databaseFailureOf(error, PASSING_SQLSTATE);
  const { cause } = failure;
  if (failure.kind === 'unsecured') return new EventStoreError(failure.cause.code, failure.cause.message, { cause });
  const { code, said } = failure;
  switch (failure.kind) {
    case 'not-storable':
      return new EventStoreError(
        'REMIT_EVENT_STORE_NOT_STORABLE',
        `PostgreSQL cannot hold it (${String(code)}): ${said}. Nothing is stored.`,
        { cause },
      );
    case 'refused':
      return new EventStoreError(
        'REMIT_EVENT_STORE_REFUSED',
        `PostgreSQL refused (${String(code)}): ${said}. Check the role and the database that DATABASE_URL names; the owner creates and updates tables with \`remit database migrate\`.`,
        { cause },
      );
    case 'fault':
      return new EventStoreError(
        'REMIT_EVENT_STORE_FAULT',
        `a fault of Remit, not of PostgreSQL: ${said}. Trying again will hardly help: report it with this line.`,
        { cause },
      );
    case 'away':
      return new EventStoreError(
        'REMIT_EVENT_STORE_UNAVAILABLE',
        `PostgreSQL does not answer (${code ?? said}). Start it or correct DATABASE_URL, then send the same command again.`,
        { cause },
      );
  }
}
