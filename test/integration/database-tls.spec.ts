import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { appendFile, chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf, messageOf } from '#bus';
import { readConfig } from '#config';
import { PostgresEventStore } from '#event-store';
import { openDatabase } from '#postgres';
import { PostgresHistory } from '#record';
import { eventually, requireDatabaseUrl } from '#testing';
import { createAuthority, type Authority, type Certified } from './certificates.js';
import { startOwnPostgres, type OwnPostgres } from './own-postgres.js';

const PASSWORD = 'nine-lives-of-a-cat';

interface Reached {
  readonly encrypted?: boolean;
  readonly code?: string | undefined;
  readonly said?: string;
}

describe('connections to a PostgreSQL with TLS', () => {
  let server: OwnPostgres;
  let authority: Authority;
  let folder: string;
  const file = (name: string): string => join(folder, name);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'remit-database-tls-'));
    authority = await createAuthority('Remit spec');
    await writeFile(file('ca.pem'), authority.certificate);
    await writeFile(file('other-ca.pem'), (await createAuthority('Somebody else')).certificate);
    server = await startOwnPostgres();
    for (const name of ['remit_tls', 'remit_certified']) {
      await server.query(`CREATE ROLE ${name} LOGIN SUPERUSER PASSWORD '${PASSWORD}'`);
    }
    await server.stop();
    const { certificate, privateKey } = await authority.certify('localhost');
    await writeToServer('server.crt', certificate);
    await writeToServer('server.key', privateKey);
    await appendFile(
      join(server.data, 'postgresql.conf'),
      "\nssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\nssl_ca_file = 'clients.crt'\n",
    );
    await writeToServer('clients.crt', authority.certificate);
    await writeToServer(
      'pg_hba.conf',
      [
        'hostssl all remit_certified 127.0.0.1/32 cert',
        'hostssl all remit_tls 127.0.0.1/32 scram-sha-256',
        'host all remit 127.0.0.1/32 scram-sha-256',
      ].join('\n'),
    );
    await server.start();
  });

  afterAll(async () => {
    await server.drop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Writes one of the server's files, readable to nobody else. */
  async function writeToServer(name: string, content: string): Promise<void> {
    const path = join(server.data, name);
    await writeFile(path, `${content}\n`, { mode: 0o600 });
    const { uid, gid } = await stat(server.data);
    await chown(path, uid, gid);
  }

  /** The address of the database with other credentials and parameters. */
  function address(user: string, parameters: Record<string, string>, password = PASSWORD): string {
    const url = new URL(server.url);
    url.username = user;
    url.password = password;
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url.href;
  }

  /** Over a connection of its own: whether it is encrypted, or why there is none. */
  async function reach(databaseUrl: string): Promise<Reached> {
    try {
      const source = await openDatabase({
        databaseUrl,
        schema: 'public',
        poolSize: 1,
        applicationName: 'spec',
        statementMs: null,
      });
      try {
        const [row] = await source.query<{ ssl: boolean }[]>(
          'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
        );
        return { encrypted: row?.ssl === true };
      } finally {
        await source.destroy();
      }
    } catch (error) {
      return { code: codeOf(error), said: messageOf(error) };
    }
  }

  it('a host whose certificate is verified is accepted, by name and by address', async () => {
    const verified = address('remit_tls', { sslmode: 'verify-full', sslrootcert: file('ca.pem') });
    expect(await reach(verified)).toEqual({ encrypted: true });
    expect(await reach(verified.replace('@127.0.0.1:', '@localhost:'))).toEqual({ encrypted: true });
  });

  it('every mode but disable encrypts', async () => {
    for (const sslmode of ['require', 'verify-ca', 'verify-full']) {
      const sslrootcert = file('ca.pem');
      expect(await reach(address('remit', { sslmode, sslrootcert }, new URL(server.url).password))).toEqual({
        encrypted: true,
      });
    }
    expect(await reach(server.url)).toEqual({ encrypted: false });
  });

  it.each(['require', 'verify-ca', 'verify-full'])(
    'a server that another authority vouches for is refused with %s, and the error says what to do',
    async (sslmode) => {
      const { code, said } = await reach(address('remit_tls', { sslmode, sslrootcert: file('other-ca.pem') }));
      expect(code).toBe('REMIT_DATABASE_NOT_TRUSTED');
      expect(said).toMatch(/sslrootcert/);
      expect(said).not.toContain(PASSWORD);
    },
  );

  it('a server that is certified for another host is refused with verify-full only', async () => {
    const other = await authority.certify('db.example', 'db.example');
    await install(other);
    try {
      const here = (sslmode: string): string => address('remit_tls', { sslmode, sslrootcert: file('ca.pem') });
      const refused = await until(here('verify-full'), ({ encrypted }) => encrypted !== true);
      expect(refused).toMatchObject({
        code: 'REMIT_DATABASE_NOT_TRUSTED',
        said: expect.stringContaining('127.0.0.1') as unknown,
      });
      expect(await reach(here('verify-ca'))).toEqual({ encrypted: true });
    } finally {
      await install(await authority.certify('localhost'));
    }
  });

  it('a rotated certificate and a rotated password count from the next connection on', async () => {
    const ca = file('rotated-ca.pem');
    const passwordFile = file('password');
    await writeFile(ca, authority.certificate);
    await writeFile(passwordFile, `${PASSWORD}\n`);
    const { databaseUrl } = readConfig({
      DATABASE_URL: address('remit_tls', { sslmode: 'verify-full', sslrootcert: ca }, ''),
      DATABASE_PASSWORD_FILE: passwordFile,
    });
    const source = await openDatabase({
      databaseUrl,
      schema: 'public',
      poolSize: 1,
      applicationName: 'rotating',
      statementMs: null,
    });
    try {
      const next = await createAuthority('Remit spec, next year');
      await install(await next.certify('localhost'));
      await server.query(`ALTER ROLE remit_tls PASSWORD '${PASSWORD}-2'`);
      await until(databaseUrl, ({ code }) => code === 'REMIT_DATABASE_NOT_TRUSTED');
      await writeFile(ca, next.certificate);
      await writeFile(passwordFile, `${PASSWORD}-2\n`);
      // the pool's only connection goes, so that it must make another
      const ended = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1';
      await server.query(ended, ['rotating']);
      const askAgain = (): Promise<unknown> => source.query('SELECT 1').catch(() => askAgain());
      await askAgain();
    } finally {
      await source.destroy();
      await server.query(`ALTER ROLE remit_tls PASSWORD '${PASSWORD}'`);
      await install(await authority.certify('localhost'));
    }
  });

  it('a client certificate authenticates, and without one the server takes nobody', async () => {
    const { certificate, privateKey } = await authority.certify('remit_certified');
    await writeFile(file('client.pem'), certificate);
    await writeFile(file('client.key'), privateKey, { mode: 0o600 });
    const trusted = { sslmode: 'verify-full', sslrootcert: file('ca.pem') };
    const certified = { ...trusted, sslcert: file('client.pem'), sslkey: file('client.key') };
    expect(await reach(address('remit_certified', certified, ''))).toEqual({ encrypted: true });
    expect(await reach(address('remit_certified', trusted, ''))).toMatchObject({
      code: expect.stringMatching(/^28/) as unknown,
    });
  });

  it('a file that cannot be read, or holds no PEM, is an error that names it, and stops no process', async () => {
    await writeFile(file('half.pem'), authority.certificate.slice(0, 100));
    for (const name of ['nowhere.pem', 'half.pem']) {
      const { code, said } = await reach(address('remit_tls', { sslmode: 'verify-full', sslrootcert: file(name) }));
      expect([code, said]).toEqual(['REMIT_DATABASE_CREDENTIALS_UNREADABLE', expect.stringContaining(file(name))]);
      expect(said).not.toContain(PASSWORD);
    }
  });

  it('a server without TLS is refused where TLS is asked for, and no password is sent to it', async () => {
    const plain = new URL(requireDatabaseUrl());
    plain.searchParams.set('sslmode', 'require');
    const { code, said } = await reach(plain.href);
    expect(code).toBe('REMIT_DATABASE_NO_TLS');
    expect(said).toContain('ssl = on');
  });

  it('the audit log and the event store tell such an error by its code, and open where the server proves itself', async () => {
    const right = address('remit_tls', { sslmode: 'verify-full', sslrootcert: file('ca.pem') });
    const wrong = address('remit_tls', { sslmode: 'verify-full', sslrootcert: file('other-ca.pem') });
    const refusal = { code: 'REMIT_DATABASE_NOT_TRUSTED' };
    const schema = z.unknown();
    await expect(openHistory(wrong)).rejects.toMatchObject(refusal);
    await expect(PostgresEventStore.open(schema, { databaseUrl: wrong })).rejects.toMatchObject(refusal);
    await openHistory(right);
    const store = await PostgresEventStore.open(schema, { databaseUrl: right });
    await store.ping();
    await store.close();
  });

  async function openHistory(databaseUrl: string): Promise<void> {
    const history = new PostgresHistory({ databaseUrl, keyFolder: file('keys') });
    try {
      await history.ping();
    } finally {
      await history.close();
    }
  }

  async function install({ certificate, privateKey }: Certified): Promise<void> {
    await writeToServer('server.crt', certificate);
    await writeToServer('server.key', privateKey);
    await server.query('SELECT pg_reload_conf()');
  }

  /** Tries again until the server has taken over what it was told. */
  async function until(databaseUrl: string, holds: (reached: Reached) => boolean): Promise<Reached> {
    let reached = await reach(databaseUrl);
    await eventually(async () => holds((reached = await reach(databaseUrl))));
    return reached;
  }
});
