import { describe, expect, it } from '@jest/globals';
import { ConfigError, readConfig, type Environment } from './config.js';

const REMOTE = { KAFKA_BROKERS: 'kafka.example:9093' };
const SCRAM = { KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512', KAFKA_SASL_USERNAME: 'remit-audit' };

function wrongVariable(environment: Environment): string | undefined {
  try {
    readConfig(environment);
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error.problems[0].variable;
    throw error;
  }
}

describe('the security of the connections to Kafka', () => {
  it('is off by default', () => {
    expect(readConfig(REMOTE).kafkaSecurity).toEqual({});
  });

  it('is TLS with the authorities that Node trusts, or with those of a file', () => {
    expect(readConfig({ ...REMOTE, KAFKA_TLS: 'true' }).kafkaSecurity).toEqual({ tls: {} });
    expect(readConfig({ ...REMOTE, KAFKA_TLS_CA_FILE: '/etc/kafka/ca.pem' }).kafkaSecurity).toEqual({
      tls: { caFile: '/etc/kafka/ca.pem' },
    });
  });

  it('takes a client certificate together with its key', () => {
    const files = { KAFKA_TLS_CERT_FILE: 'cert.pem', KAFKA_TLS_KEY_FILE: 'key.pem' };
    expect(readConfig({ ...REMOTE, ...files }).kafkaSecurity.tls).toEqual({ certFile: 'cert.pem', keyFile: 'key.pem' });
    expect(wrongVariable({ ...REMOTE, KAFKA_TLS_CERT_FILE: 'cert.pem' })).toBe('KAFKA_TLS_KEY_FILE');
    expect(wrongVariable({ ...REMOTE, KAFKA_TLS: 'false', KAFKA_TLS_CA_FILE: 'ca.pem' })).toBe('KAFKA_TLS');
  });

  it('takes a password from the environment or from a file, never both', () => {
    const file = { ...REMOTE, ...SCRAM, KAFKA_SASL_PASSWORD_FILE: '/run/secrets/kafka' };
    expect(readConfig(file).kafkaSecurity.sasl).toEqual({
      mechanism: 'scram-sha-512',
      username: 'remit-audit',
      password: { file: '/run/secrets/kafka' },
    });
    expect(readConfig({ ...REMOTE, ...SCRAM, KAFKA_SASL_PASSWORD: 'pw' }).kafkaSecurity.sasl).toMatchObject({
      password: { text: 'pw' },
    });
    expect(wrongVariable({ ...file, KAFKA_SASL_PASSWORD: 'pw' })).toBe('KAFKA_SASL_PASSWORD');
    expect(wrongVariable({ ...REMOTE, ...SCRAM })).toBe('KAFKA_SASL_PASSWORD_FILE');
  });

  it('never lets a password or a client secret into a log', () => {
    const environment = { ...REMOTE, ...SCRAM, KAFKA_SASL_PASSWORD: 'pw-1', KAFKA_SASL_CLIENT_SECRET: 'pw-2' };
    expect(readConfig(environment).secrets).toEqual(['pw-1', 'pw-2']);
  });

  it('sends no readable password over a network', () => {
    const plain = { KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'remit', KAFKA_SASL_PASSWORD: 'pw' };
    expect(wrongVariable({ ...REMOTE, ...plain })).toBe('KAFKA_SASL_MECHANISM');
    expect(wrongVariable({ ...REMOTE, ...plain, KAFKA_TLS: 'true' })).toBeUndefined();
    expect(wrongVariable({ KAFKA_BROKERS: '127.0.0.1:9092,[::1]:9092', ...plain })).toBeUndefined();
  });

  it('takes bearer tokens from a file or from an identity provider', () => {
    const bearer = { ...REMOTE, KAFKA_TLS: 'true', KAFKA_SASL_MECHANISM: 'oauthbearer' };
    expect(readConfig({ ...bearer, KAFKA_SASL_TOKEN_FILE: 'token' }).kafkaSecurity.sasl).toEqual({
      mechanism: 'oauthbearer',
      token: { file: 'token' },
    });
    const provider = {
      ...bearer,
      KAFKA_SASL_TOKEN_URL: 'https://id.example/token',
      KAFKA_SASL_CLIENT_ID: 'remit',
      KAFKA_SASL_CLIENT_SECRET_FILE: 'secret',
    };
    expect(readConfig(provider).kafkaSecurity.sasl).toEqual({
      mechanism: 'oauthbearer',
      tokenUrl: 'https://id.example/token',
      clientId: 'remit',
      clientSecret: { file: 'secret' },
    });
    expect(wrongVariable(bearer)).toBe('KAFKA_SASL_TOKEN_FILE');
    expect(wrongVariable({ ...provider, KAFKA_SASL_TOKEN_URL: 'http://id.example/token' })).toBe(
      'KAFKA_SASL_TOKEN_URL',
    );
  });

  it('says which mechanism is missing where only a name or password is set', () => {
    expect(wrongVariable({ ...REMOTE, KAFKA_SASL_USERNAME: 'remit' })).toBe('KAFKA_SASL_MECHANISM');
    expect(wrongVariable({ ...REMOTE, KAFKA_SASL_MECHANISM: 'gssapi' })).toBe('KAFKA_SASL_MECHANISM');
  });
});
