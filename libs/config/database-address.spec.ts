import { describe, expect, it } from '@jest/globals';
import { ConfigError, readConfig, type Environment } from './config.js';
import { readDatabaseUrl } from './database-address.js';

const FAR = 'postgres://remit:hunter2@db.example/remit';

function problemOf(environment: Environment): string | undefined {
  try {
    readConfig(environment);
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return `${error.problems[0].variable} ${error.problems[0].message}`;
    throw error;
  }
}

describe('the address of the database', () => {
  it('is reached over TLS, and its host must prove who it is, unless it is this machine', () => {
    const modeOf = (url: string): string | undefined => {
      const read = readDatabaseUrl(url);
      if (!read.ok) throw new Error(read.problem);
      return read.address.tls?.mode;
    };
    expect(modeOf(FAR)).toBe('verify-full');
    expect(modeOf('postgres://remit@10.0.0.1/remit')).toBe('verify-full');
    expect(modeOf('postgres://remit@127.0.0.1/remit')).toBeUndefined();
    expect(modeOf('postgres://remit@[::1]/remit')).toBeUndefined();
    expect(modeOf('postgres://remit@localhost/remit?sslrootcert=ca.pem')).toBe('verify-full');
    expect(modeOf(`${FAR}?sslmode=disable`)).toBeUndefined();
  });

  it('says in what names psql knows where the files are', () => {
    expect(
      readDatabaseUrl(`${FAR}?sslmode=verify-ca&sslrootcert=/pki/ca.pem&sslcert=c.pem&sslkey=c%2Bkey.pem`),
    ).toEqual({
      ok: true,
      address: {
        host: 'db.example',
        port: 5432,
        database: 'remit',
        user: 'remit',
        password: { text: 'hunter2' },
        tls: { mode: 'verify-ca', caFile: '/pki/ca.pem', certFile: 'c.pem', keyFile: 'c+key.pem' },
      },
    });
  });

  it.each([
    ['?sslmode=prefer', 'has an sslmode that is not one of disable, require, verify-ca, verify-full'],
    ['?ssl_mode=verify-full', 'has a parameter that Remit does not know'],
    ['?sslmode=require&sslmode=disable', 'has the parameter sslmode twice'],
    ['?sslmode=disable&sslrootcert=ca.pem', 'says sslmode=disable, and yet names files for TLS'],
    ['?sslcert=c.pem', 'names one of sslcert and sslkey'],
    ['?passwordfile=p', 'holds a password, and a file with it is named as well'],
  ])('is refused with %s, and the error repeats nothing of it', (parameters, problem) => {
    const said = problemOf({ DATABASE_URL: `${FAR}${parameters}` });
    expect(said).toContain(`DATABASE_URL ${problem}`);
    expect(said).not.toMatch(/hunter2|db\.example/);
  });

  it('takes its password from a file, never from both', () => {
    const DATABASE_URL = 'postgres://remit@db.example/remit?sslmode=verify-full';
    const { databaseUrl } = readConfig({ DATABASE_URL, DATABASE_PASSWORD_FILE: '/run/secrets/remit db' });
    expect(readDatabaseUrl(databaseUrl)).toMatchObject({ address: { password: { file: '/run/secrets/remit db' } } });
    expect(problemOf({ DATABASE_URL: FAR, DATABASE_PASSWORD_FILE: 'p' })).toContain('DATABASE_PASSWORD_FILE');
    expect(problemOf({ DATABASE_PASSWORD_FILE: 'p' })).toContain('DATABASE_URL is not set');
  });
});

describe('what is set up on purpose and is not safe', () => {
  const cautionsOf = (environment: Environment): string[] =>
    readConfig(environment).cautions.map((text) => text.split(':')[0] ?? '');

  it('is said: plain text, or a server that nobody has checked, over a network', () => {
    expect(cautionsOf({ KAFKA_BROKERS: 'kafka.example:9092', DATABASE_URL: `${FAR}?sslmode=disable` })).toEqual([
      'KAFKA_BROKERS are reached without TLS',
      'DATABASE_URL says sslmode=disable',
    ]);
    expect(cautionsOf({ DATABASE_URL: `${FAR}?sslmode=require` })).toEqual([
      'DATABASE_URL says sslmode=require without sslrootcert',
    ]);
  });

  it('is not said of this machine, nor of connections that are secured', () => {
    const near = { KAFKA_BROKERS: '127.0.0.2:9092', DATABASE_URL: 'postgres://remit@localhost/remit' };
    expect(cautionsOf(near)).toEqual([]);
    expect(cautionsOf({ KAFKA_BROKERS: 'kafka.example:9093', KAFKA_TLS: 'true', DATABASE_URL: FAR })).toEqual([]);
  });
});
