import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const GUARD = fileURLToPath(new URL('./guard.mjs', import.meta.url));

/**
 * Tells this life of a process id from any other: boot and start time, so that a reused id is never taken for ours.
 * `undefined` when no such process lives.
 */
export function identityOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}/${rest[18]}`;
  } catch {
    if (process.platform === 'linux') return undefined;
  }
  const started = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  return started.status === 0 ? started.stdout.trim() : undefined;
}

export function isAlive({ pid, identity }) {
  return identity !== undefined && identityOf(pid) === identity;
}

/** Signals the process and all it started that stayed in its group. A group that is gone is no error. */
export function signalGroup(pid, signal) {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, signal);
      return;
    } catch {
      // the group is gone, or the process never led one: try the process itself
    }
  }
}

/** Asks with the process's own stop signal, waits at most `graceMs`, then kills. Only ever acts on a verified identity. */
export async function stopRecorded(record, graceMs = 10_000) {
  if (!isAlive(record)) return;
  signalGroup(record.pid, record.stopSignal);
  const deadline = performance.now() + graceMs;
  while (isAlive(record) && performance.now() < deadline) await sleep(25);
  if (isAlive(record)) signalGroup(record.pid, 'SIGKILL');
  while (isAlive(record)) await sleep(25);
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * A second process that outlives this one by a moment: when this one ends, however it ends, the guard stops every
 * process group still entrusted to it.
 */
export function openGuard() {
  const guard = spawn(process.execPath, [GUARD], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  guard.stdin.on('error', () => undefined);
  guard.on('error', () => undefined);
  guard.unref();
  guard.stdin.unref?.();
  return {
    entrust: ({ pid, identity, stopSignal }) => guard.stdin.write(`+ ${pid} ${stopSignal} ${identity}\n`),
    release: ({ pid }) => guard.stdin.write(`- ${pid}\n`),
    close: () => guard.stdin.end(),
  };
}

/**
 * Starts a process in a group of its own.
 *
 * @param {{ name: string, command: string, args: string[], env?: NodeJS.ProcessEnv, cwd?: string, uid?: number,
 *   gid?: number, log?: string, output?: 'inherit', stopSignal?: NodeJS.Signals }} what
 *   `log`: file that takes stdout and stderr; without it they go to ours.
 */
export function startProcess(what) {
  const sink = what.log === undefined ? 'inherit' : openSync(what.log, 'a');
  const child = spawn(what.command, what.args, {
    cwd: what.cwd,
    env: what.env ?? process.env,
    detached: true,
    stdio: ['ignore', sink, sink],
    ...(what.uid === undefined ? {} : { uid: what.uid, gid: what.gid }),
  });
  if (typeof sink === 'number') closeSync(sink);
  const exited = new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: 127, signal: null, error }));
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const record = {
    name: what.name,
    pid: child.pid,
    identity: child.pid === undefined ? undefined : identityOf(child.pid),
    stopSignal: what.stopSignal ?? 'SIGTERM',
  };
  return { record, child, exited, log: what.log };
}

/** The last lines of a log, for a message about a process that failed. */
export function lastLines(file, count = 15) {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '';
  }
}
