export type DatabaseErrorCode =
  /** A file with a certificate, key or password cannot be used as it is now. */
  | 'REMIT_DATABASE_CREDENTIALS_UNREADABLE'
  /** Nobody this process trusts vouches for the server, or it is certified for another host. */
  | 'REMIT_DATABASE_NOT_TRUSTED'
  /** The server speaks no TLS, and DATABASE_URL asks for it. */
  | 'REMIT_DATABASE_NO_TLS';

/** Why there is no secured connection to PostgreSQL. Its text holds no secret. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';

  constructor(
    readonly code: DatabaseErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** How Node names what is wrong with a certificate: OpenSSL's words for verification, and its own. */
const CERTIFICATE =
  /^(?:CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_CERT|ERROR_IN_C|INVALID_|HOSTNAME_MISMATCH|PATH_LENGTH)/;
/** What `pg` says when the server answers no to TLS. */
const NO_TLS = 'The server does not support SSL connections';

/** What kept a connection from being secured, in words that say what to do; any other error as it is. */
export function connectionErrorOf(error: unknown): unknown {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  if (typeof code === 'string' && CERTIFICATE.test(code)) {
    return new DatabaseError(
      'REMIT_DATABASE_NOT_TRUSTED',
      `the certificate of PostgreSQL is not accepted (${code}): ${String(message)}. Let sslrootcert of DATABASE_URL name ` +
        'the file with the authority that certified the server, and its host be one that the certificate is for.',
      { cause: error },
    );
  }
  if (message === NO_TLS) {
    return new DatabaseError(
      'REMIT_DATABASE_NO_TLS',
      'PostgreSQL offers no TLS, and DATABASE_URL asks for it. Set ssl = on in postgresql.conf; where nobody is on the ' +
        'way between, let DATABASE_URL say sslmode=disable.',
      { cause: error },
    );
  }
  return error;
}
