import type { Secret } from './kafka-security.js';
import { isLoopbackHost } from './loopback.js';

/** Encryption of the connections to PostgreSQL. Files hold PEM and are read anew for each connection. */
export interface DatabaseTls {
  /**
   * `require` encrypts and asks for no certificate unless `caFile` is set; `verify-ca` wants one that an authority
   * vouches for; `verify-full` one for this very host.
   */
  readonly mode: 'require' | 'verify-ca' | 'verify-full';
  /** Certificates of the authorities that may vouch for the server. Undefined: those that Node trusts. */
  readonly caFile: string | undefined;
  /** This client's own certificate chain and its private key: both or neither. */
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

/** What a `postgres://` URL says. */
export interface DatabaseAddress {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string | undefined;
  readonly password: Secret | undefined;
  /** Undefined: plain text. */
  readonly tls: DatabaseTls | undefined;
}

/** What one says of a database, in words that hold nothing of its URL. */
export type DatabaseAddressReading =
  { readonly ok: true; readonly address: DatabaseAddress } | { readonly ok: false; readonly problem: string };

export const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;

const DEFAULT_PORT = 5432;
const LARGEST_PORT = 65_535;
const FORM = 'must be postgres://user:password@host:port/database';
/** Names are those of libpq, so that psql takes the same URL, but for the last: the file holds the password and nothing else. */
const PARAMETERS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'passwordfile'] as const;

type Parameters = Readonly<Partial<Record<(typeof PARAMETERS)[number], string>>>;

/** Reads a `postgres://` URL. A parameter that is not known is a problem: what it asks for would not be done. */
export function readDatabaseUrl(text: string): DatabaseAddressReading {
  const url = URL.parse(text);
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol) || url.hostname === '' || url.pathname.length <= 1) {
    return { ok: false, problem: FORM };
  }
  const port = url.port === '' ? DEFAULT_PORT : Number(url.port);
  if (port < 1 || port > LARGEST_PORT) return { ok: false, problem: FORM };
  const parameters: Record<string, string> = {};
  for (const [name, value] of url.searchParams) {
    if (!PARAMETERS.some((known) => known === name)) {
      return { ok: false, problem: `has a parameter that Remit does not know; it knows ${PARAMETERS.join(', ')}` };
    }
    if (Object.hasOwn(parameters, name)) return { ok: false, problem: `has the parameter ${name} twice` };
    parameters[name] = value;
  }
  const tls = tlsOf(parameters, url.hostname);
  if (typeof tls === 'string') return { ok: false, problem: tls };
  const password = unescaped(url.password);
  const { passwordfile } = parameters as Parameters;
  if (password !== '' && passwordfile !== undefined) {
    return { ok: false, problem: 'holds a password, and a file with it is named as well: leave out one' };
  }
  const user = unescaped(url.username);
  return {
    ok: true,
    address: {
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port,
      database: unescaped(url.pathname.slice(1)),
      user: user === '' ? undefined : user,
      password:
        passwordfile === undefined ? (password === '' ? undefined : { text: password }) : { file: passwordfile },
      tls,
    },
  };
}

/** A host that is not this machine is reached over TLS and must prove who it is, unless the URL says otherwise. */
function tlsOf(parameters: Parameters, hostname: string): DatabaseTls | undefined | string {
  const { sslrootcert, sslcert, sslkey } = parameters;
  const isNamed = [sslrootcert, sslcert, sslkey].some((value) => value !== undefined);
  const standard = isLoopbackHost(hostname) && !isNamed ? 'disable' : 'verify-full';
  const mode = SSL_MODES.find((one) => one === (parameters.sslmode ?? standard));
  if (mode === undefined) return `has an sslmode that is not one of ${SSL_MODES.join(', ')}`;
  if (mode === 'disable') {
    return isNamed ? 'says sslmode=disable, and yet names files for TLS: leave out one' : undefined;
  }
  if ((sslcert === undefined) !== (sslkey === undefined)) {
    return 'names one of sslcert and sslkey: a client certificate and its key go together';
  }
  return { mode, caFile: sslrootcert === 'system' ? undefined : sslrootcert, certFile: sslcert, keyFile: sslkey };
}

/** The same database, with the password in a file instead. */
export function withPasswordFile(text: string, file: string): string {
  const url = new URL(text);
  url.searchParams.set('passwordfile', file);
  return url.href;
}

/** Percent escapes as what they mean; text that has none, or wrong ones, as it is. */
export function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
