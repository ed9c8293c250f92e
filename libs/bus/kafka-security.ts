import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import type { OauthbearerProviderResponse, SASLOptions } from 'kafkajs';
import type { KafkaSasl, KafkaSecurity, KafkaTls, Secret } from '#config';
import { BusError, messageOf } from './errors.js';

/** {@link KafkaSecurity} as kafkajs takes it. */
export interface SecuredConnection {
  /** The options of a new TLS connection, with what its files hold now. Undefined: no TLS. */
  readonly tls: (() => ConnectionOptions) | undefined;
  readonly sasl: SASLOptions | undefined;
}

/**
 * Certificates and secrets are read again for every connection, so a rotated file needs no restart. Throws
 * `REMIT_BUS_CREDENTIALS_UNREADABLE` at once where a file cannot be read now.
 */
export function securedConnection({ tls, sasl }: KafkaSecurity): SecuredConnection {
  if (tls !== undefined) tlsOptions(tls);
  return { tls: tls && (() => tlsOptions(tls)), sasl: sasl && saslOptions(sasl) };
}

function tlsOptions({ caFile, certFile, keyFile }: KafkaTls): ConnectionOptions {
  return {
    ...(caFile === undefined ? {} : { ca: contentOf(caFile) }),
    ...(certFile === undefined ? {} : { cert: contentOf(certFile) }),
    ...(keyFile === undefined ? {} : { key: contentOf(keyFile) }),
  };
}

function saslOptions(sasl: KafkaSasl): SASLOptions {
  if (sasl.mechanism !== 'oauthbearer') {
    const { mechanism, username, password } = sasl;
    secretText(password);
    return {
      mechanism,
      username,
      // kafkajs asks for it each time it authenticates
      get password() {
        return secretText(password);
      },
    };
  }
  if ('token' in sasl) {
    const { file } = sasl.token;
    secretText(sasl.token);
    return {
      mechanism: 'oauthbearer',
      oauthBearerProvider: async () => ({ value: (await readFile(file, 'utf8')).trim() }),
    };
  }
  return { mechanism: 'oauthbearer', oauthBearerProvider: clientCredentials(sasl) };
}

type ClientCredentials = Extract<KafkaSasl, { readonly tokenUrl: string }>;

const TOKEN_TIMEOUT_MS = 5000;
/** A token is not used in the last part of its life, ms. */
const EXPIRES_EARLY_MS = 30_000;

/** Tokens of the client-credentials grant (RFC 6749, section 4.4), each used by every connection until it expires. */
function clientCredentials(client: ClientCredentials): () => Promise<OauthbearerProviderResponse> {
  let token: { readonly value: string; readonly until: number } | undefined;
  return async () => {
    if (token === undefined || performance.now() > token.until) token = await fetchToken(client);
    return { value: token.value };
  };
}

async function fetchToken({ tokenUrl, clientId, clientSecret, scope }: ClientCredentials) {
  const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(secretText(clientSecret))}`);
  const answer = await fetch(tokenUrl, {
    method: 'POST',
    headers: { authorization: `Basic ${basic.toString('base64')}`, accept: 'application/json' },
    body: new URLSearchParams({ grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }) }),
    redirect: 'error',
    signal: AbortSignal.timeout(TOKEN_TIMEOUT_MS),
  });
  if (!answer.ok) throw refusedToken(`it answers ${String(answer.status)}`);
  const body = (await answer.json()) as { access_token?: unknown; expires_in?: unknown };
  if (typeof body.access_token !== 'string') throw refusedToken('its answer holds no access_token');
  const livesMs = typeof body.expires_in === 'number' ? body.expires_in * 1000 : 0;
  return { value: body.access_token, until: performance.now() + livesMs - EXPIRES_EARLY_MS };
}

function refusedToken(what: string): BusError {
  return new BusError('REMIT_BUS_NO_TOKEN', `the token endpoint gave no token for Kafka: ${what}`);
}

function secretText(secret: Secret): string {
  return 'text' in secret ? secret.text : contentOf(secret.file).trim();
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const message = `${file} cannot be read, and the connection to Kafka needs it: ${messageOf(error)}`;
    throw new BusError('REMIT_BUS_CREDENTIALS_UNREADABLE', message, error);
  }
}
