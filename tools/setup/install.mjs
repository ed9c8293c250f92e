import { createHash } from 'node:crypto';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupFailure, say } from '../failure.mjs';
import { identityOf, isAlive, sleep } from '../processes.mjs';

const OLDEST_NODE = [22, 15];
const REEXECUTED = 'REMIT_DEV_REEXECUTED';

/**
 * Installs the locked packages when they are missing or the lock has changed. A second run of the same checkout waits
 * for the first. Throws `REMIT_SETUP_INSTALL_FAILED`.
 */
export async function ensureInstalled(root) {
  const stamp = join(root, 'node_modules', '.remit-installed');
  const locked = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const isCurrent = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === locked;
  if (isCurrent()) return;
  const unlock = await lock(join(root, '.remit'), 'installing.json');
  try {
    if (isCurrent()) return;
    if (!isInstalled(root)) install(root);
    writeFileSync(stamp, locked);
  } finally {
    unlock();
  }
}

/** Waits while another living process holds the lock. */
async function lock(folder, name) {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  const holder = { pid: process.pid, identity: identityOf(process.pid) };
  for (let waits = 0; ; waits += 1) {
    try {
      writeFileSync(file, JSON.stringify(holder), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (!isAlive(readHolder(file))) rmSync(file, { force: true });
    else if (waits === 0) say('Waiting for another run that installs packages');
    await sleep(200);
  }
}

function readHolder(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}

function install(root) {
  say('Installing packages (npm ci)');
  const installed = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (installed.status !== 0) {
    throw new SetupFailure(
      'REMIT_SETUP_INSTALL_FAILED',
      'npm ci failed; its own message is above. Check the network and the registry that npm is set to, then try again',
    );
  }
}

/** Whether somebody has already run npm for this very lock: npm keeps its own copy of what it installed. */
function isInstalled(root) {
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    const present = JSON.parse(readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8')).packages;
    return Object.entries(wanted).every(
      ([path, { version, optional }]) => path === '' || optional === true || present[path]?.version === version,
    );
  } catch {
    return false;
  }
}

/** The pinned Node of this checkout, else the running one where it is new enough. Throws `REMIT_SETUP_NO_NODE`. */
export function pinnedNode(root) {
  const pinned = join(root, 'node_modules', '.bin', 'node');
  if (spawnSync(pinned, ['--version'], { stdio: 'ignore' }).status === 0) return realpathSync(pinned);
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return process.execPath;
  throw new SetupFailure(
    'REMIT_SETUP_NO_NODE',
    `the packaged Node does not run on this machine and Node ${process.versions.node} is too old; install Node 24`,
  );
}

/**
 * Runs the same script again under the pinned Node, unless this already is it.
 *
 * @returns {Promise<number | undefined>} the exit code of the second run; `undefined` when this run may go on
 */
export function underPinnedNode(root, script, args) {
  if (process.env[REEXECUTED] !== undefined) {
    delete process.env[REEXECUTED];
    return Promise.resolve(undefined);
  }
  const node = pinnedNode(root);
  if (node === realpathSync(process.execPath)) return Promise.resolve(undefined);
  const child = spawn(node, [script, ...args], {
    env: { ...process.env, [REEXECUTED]: '1', PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH ?? ''}` },
    // the channel tells the second run when the first one dies
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  // Ctrl-C reaches both, a signal from elsewhere only this one: passing it on twice does no harm
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.once('error', () => resolve(1));
    child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 1)));
  });
}
