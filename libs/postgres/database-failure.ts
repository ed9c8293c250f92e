import { DatabaseError } from './database-error.js';
import { isProgrammingError } from './programming-error.js';

/** What kept a statement from being done, for whoever names it in words of their own. */
export type DatabaseFailure =
  /** There is no connection as safe as it has to be. */
  | { readonly kind: 'unsecured'; readonly cause: DatabaseError }
  | {
      /**
       * `not-storable`: PostgreSQL cannot hold what was to be stored. `refused`: it refuses the role, the statement or the
       * schema. `fault`: of the program. `away`: it passes.
       */
      readonly kind: 'not-storable' | 'refused' | 'fault' | 'away';
      /** Never TypeORM's own error: that carries every parameter of the statement, personal data included. */
      readonly cause: unknown;
      /** SQLSTATE, or Node's code. */
      readonly code: string | undefined;
      /** May be empty: a connection refused on every address of a host has a code and no message. */
      readonly said: string;
    };

const SQLSTATE = /^[0-9A-Z]{5}$/;
/** Data exceptions, and more than the server can hold in a row or an index: what was to be stored is why. */
const DATA_SQLSTATE = /^(?:22|54)/;

/** `passing`: the SQLSTATEs that mean "later", such as that the server shuts down. */
export function databaseFailureOf(error: unknown, passing: RegExp): DatabaseFailure {
  const cause: unknown = error instanceof Error && 'driverError' in error ? error.driverError : error;
  if (cause instanceof DatabaseError) return { kind: 'unsecured', cause };
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
  const said = cause instanceof Error ? cause.message : String(cause);
  const failure = { cause, code, said };
  if (code !== undefined && SQLSTATE.test(code)) {
    if (DATA_SQLSTATE.test(code)) return { kind: 'not-storable', ...failure };
    if (!passing.test(code)) return { kind: 'refused', ...failure };
  }
  return { kind: isProgrammingError(cause) ? 'fault' : 'away', ...failure };
}
