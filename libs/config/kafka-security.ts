import { z } from 'zod';
import { isSafeUrl } from './loopback.js';

/** A secret: the text itself, or the file that holds it. Files are read anew whenever the secret is needed. */
export type Secret = { readonly text: string } | { readonly file: string };

/** Encryption of the connections to Kafka. Files hold PEM and are read anew for each connection. */
export interface KafkaTls {
  /** Certificates of the authorities that may vouch for a broker. Default: those that Node trusts. */
  readonly caFile?: string;
  /** This client's own certificate chain and its private key, for brokers that ask for one. */
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** Who this client is to Kafka. */
export type KafkaSasl =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: Secret;
    }
  /** A bearer token that somebody else renews in a file. */
  | { readonly mechanism: 'oauthbearer'; readonly token: { readonly file: string } }
  /** A bearer token from the client-credentials grant of OAuth 2.0 (RFC 6749, section 4.4). */
  | {
      readonly mechanism: 'oauthbearer';
      readonly tokenUrl: string;
      readonly clientId: string;
      readonly clientSecret: Secret;
      readonly scope?: string;
    };

/** How the connections to Kafka are secured. Neither: plain text, and the broker takes anybody. */
export interface KafkaSecurity {
  readonly tls?: KafkaTls;
  readonly sasl?: KafkaSasl;
}

export const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'] as const;

/** Every variable about it. */
export const kafkaSecurityVariables = {
  KAFKA_TLS: z.enum(['true', 'false'], 'must be true or false').optional(),
  KAFKA_TLS_CA_FILE: z.string().optional(),
  KAFKA_TLS_CERT_FILE: z.string().optional(),
  KAFKA_TLS_KEY_FILE: z.string().optional(),
  KAFKA_SASL_MECHANISM: z
    .string()
    .transform((text) => text.toLowerCase())
    .pipe(z.enum(SASL_MECHANISMS, `must be one of ${SASL_MECHANISMS.join(', ')}`))
    .optional(),
  KAFKA_SASL_USERNAME: z.string().optional(),
  KAFKA_SASL_PASSWORD: z.string().optional(),
  KAFKA_SASL_PASSWORD_FILE: z.string().optional(),
  KAFKA_SASL_TOKEN_FILE: z.string().optional(),
  KAFKA_SASL_TOKEN_URL: z.string().optional(),
  KAFKA_SASL_CLIENT_ID: z.string().optional(),
  KAFKA_SASL_CLIENT_SECRET: z.string().optional(),
  KAFKA_SASL_CLIENT_SECRET_FILE: z.string().optional(),
  KAFKA_SASL_SCOPE: z.string().optional(),
};

type KafkaSecurityVariables = { readonly [Name in keyof typeof kafkaSecurityVariables]?: string | undefined };

/** Reports a variable that is missing or does not go with the others; never returns. */
type Reject = (variable: keyof KafkaSecurityVariables, message: string) => never;

/** What the variables add up to; `invalid` is called with the first that does not fit. */
export function kafkaSecurityOf(
  read: KafkaSecurityVariables,
  { isLocal, invalid }: { readonly isLocal: boolean; readonly invalid: Reject },
): KafkaSecurity {
  const tls = tlsOf(read, invalid);
  const sasl = saslOf(read, invalid);
  if (sasl?.mechanism === 'plain' && tls === undefined && !isLocal) {
    invalid('KAFKA_SASL_MECHANISM', 'is plain, which sends the password readable: set KAFKA_TLS=true as well');
  }
  return { ...(tls === undefined ? {} : { tls }), ...(sasl === undefined ? {} : { sasl }) };
}

function tlsOf(read: KafkaSecurityVariables, invalid: Reject): KafkaTls | undefined {
  const { KAFKA_TLS: wanted, KAFKA_TLS_CA_FILE: ca, KAFKA_TLS_CERT_FILE: cert, KAFKA_TLS_KEY_FILE: key } = read;
  const isNamed = [ca, cert, key].some((file) => file !== undefined);
  if (wanted === 'false' && isNamed) invalid('KAFKA_TLS', 'is false, and yet files for TLS are named: leave out one');
  if (wanted === 'false' || (wanted === undefined && !isNamed)) return undefined;
  if ((cert === undefined) !== (key === undefined)) {
    const absent = cert === undefined ? 'KAFKA_TLS_CERT_FILE' : 'KAFKA_TLS_KEY_FILE';
    invalid(absent, 'is not set; a client certificate and its key go together');
  }
  return {
    ...(ca === undefined ? {} : { caFile: ca }),
    ...(cert === undefined || key === undefined ? {} : { certFile: cert, keyFile: key }),
  };
}

const SASL_ONLY = [
  'KAFKA_SASL_USERNAME',
  'KAFKA_SASL_PASSWORD',
  'KAFKA_SASL_PASSWORD_FILE',
  'KAFKA_SASL_TOKEN_FILE',
  'KAFKA_SASL_TOKEN_URL',
] as const;

function saslOf(read: KafkaSecurityVariables, invalid: Reject): KafkaSasl | undefined {
  const mechanism = read.KAFKA_SASL_MECHANISM as (typeof SASL_MECHANISMS)[number] | undefined;
  if (mechanism === undefined) {
    const named = SASL_ONLY.find((variable) => read[variable] !== undefined);
    if (named !== undefined) {
      invalid('KAFKA_SASL_MECHANISM', `is not set, but ${named} is; it is one of ${SASL_MECHANISMS.join(', ')}`);
    }
    return undefined;
  }
  if (mechanism === 'oauthbearer') return bearerOf(read, invalid);
  const username = read.KAFKA_SASL_USERNAME ?? invalid('KAFKA_SASL_USERNAME', `is not set; ${mechanism} needs it`);
  return { mechanism, username, password: secretOf(read, 'KAFKA_SASL_PASSWORD', invalid) };
}

function bearerOf(read: KafkaSecurityVariables, invalid: Reject): KafkaSasl {
  const { KAFKA_SASL_TOKEN_FILE: file, KAFKA_SASL_TOKEN_URL: tokenUrl, KAFKA_SASL_SCOPE: scope } = read;
  if ((file === undefined) === (tokenUrl === undefined)) {
    invalid('KAFKA_SASL_TOKEN_FILE', 'or KAFKA_SASL_TOKEN_URL must be set, one of the two, for oauthbearer');
  }
  if (file !== undefined) return { mechanism: 'oauthbearer', token: { file } };
  if (!isSafeUrl(tokenUrl ?? '')) {
    invalid('KAFKA_SASL_TOKEN_URL', 'must be https://…, or http://… on this machine');
  }
  return {
    mechanism: 'oauthbearer',
    tokenUrl: tokenUrl ?? '',
    clientId:
      read.KAFKA_SASL_CLIENT_ID ?? invalid('KAFKA_SASL_CLIENT_ID', 'is not set; the token is asked for in its name'),
    clientSecret: secretOf(read, 'KAFKA_SASL_CLIENT_SECRET', invalid),
    ...(scope === undefined ? {} : { scope }),
  };
}

/** From the variable itself or from the file named by the variable with `_FILE`. */
function secretOf(
  read: KafkaSecurityVariables,
  variable: 'KAFKA_SASL_PASSWORD' | 'KAFKA_SASL_CLIENT_SECRET',
  invalid: Reject,
): Secret {
  const text = read[variable];
  const file = read[`${variable}_FILE`];
  if (text !== undefined && file !== undefined) invalid(variable, `and ${variable}_FILE are both set: leave out one`);
  if (file !== undefined) return { file };
  if (text !== undefined) return { text };
  return invalid(`${variable}_FILE`, `is not set, and neither is ${variable}`);
}
