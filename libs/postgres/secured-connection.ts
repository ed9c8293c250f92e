import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { checkServerIdentity, createSecureContext, type ConnectionOptions } from 'node:tls';
import type { DatabaseAddress, DatabaseTls } from '#config';
import { DatabaseError } from './database-error.js';

/** The part of a connection's configuration that may change while a process runs. */
export interface Credentials {
  readonly ssl: ConnectionOptions | false;
  readonly password: string | undefined;
}

/** What the files of a connection hold now. Throws `REMIT_DATABASE_CREDENTIALS_UNREADABLE`. */
export function readCredentials({ host, tls, password }: DatabaseAddress): Credentials {
  return {
    ssl: tls === undefined ? false : tlsOptions(tls, host),
    password: password && ('text' in password ? password.text : contentOf(password.file).trim()),
  };
}

function tlsOptions({ mode, caFile, certFile, keyFile }: DatabaseTls, host: string): ConnectionOptions {
  const context = {
    ...(caFile === undefined ? {} : { ca: contentOf(caFile) }),
    ...(certFile === undefined ? {} : { cert: contentOf(certFile) }),
    ...(keyFile === undefined ? {} : { key: contentOf(keyFile) }),
  };
  try {
    // a file that holds no PEM is found out here, and not in the middle of a handshake
    if (context.ca !== undefined) new X509Certificate(context.ca);
    return {
      secureContext: createSecureContext({ minVersion: 'TLSv1.2', ...context }),
      rejectUnauthorized: mode !== 'require' || caFile !== undefined,
      checkServerIdentity: (_, certificate) =>
        mode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined,
    };
  } catch (error) {
    const files = [caFile, certFile, keyFile].filter((file) => file !== undefined).join(', ');
    throw new DatabaseError(
      'REMIT_DATABASE_CREDENTIALS_UNREADABLE',
      `${files}: PEM of a certificate, and of the key that belongs to it, is wanted for the connection to PostgreSQL`,
      { cause: error },
    );
  }
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { message } = error as Error;
    throw new DatabaseError(
      'REMIT_DATABASE_CREDENTIALS_UNREADABLE',
      `${file} cannot be read, and the connection to PostgreSQL needs it: ${message}`,
      { cause: error },
    );
  }
}
