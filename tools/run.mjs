import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupFailure, say } from './failure.mjs';
import { identityOf, isAlive, openGuard, startProcess, stopRecorded } from './processes.mjs';

const RECORD = 'run.json';

function readRecord(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, RECORD), 'utf8'));
  } catch {
    return undefined;
  }
}

function writeRecord(folder, record) {
  const draft = join(folder, `${RECORD}.${process.pid}`);
  writeFileSync(draft, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, join(folder, RECORD));
}

export const stateFolder = (root) => join(root, '.remit', 'state');
const runsFolder = (root) => join(root, '.remit', 'runs');

/** What a `backends --keep` of this checkout left running, if it still does. */
export function keptRun(root) {
  const record = readRecord(stateFolder(root));
  return record?.kept === true && record.processes.some(isAlive) ? record : undefined;
}

/** Stops what `backends --keep` left running. */
export async function stopKept(root) {
  const folder = stateFolder(root);
  const record = readRecord(folder);
  if (record === undefined || record.kept !== true) return false;
  await stopAll(record);
  rmSync(join(folder, RECORD), { force: true });
  return true;
}

async function stopAll(record) {
  await Promise.all(record.processes.map((process) => stopRecorded(process)));
  for (const cleanup of record.cleanups) {
    await startProcess({ name: 'clean-up', ...cleanup, log: '/dev/null' }).exited;
  }
}

/** Stops processes of runs that crashed together with their guard, and removes their throw-away state. */
export async function sweepLeftovers(root) {
  for (const name of entries(runsFolder(root))) {
    const folder = join(runsFolder(root), name);
    const record = readRecord(folder);
    if (record === undefined || isAlive(record.owner)) continue;
    if (record.processes.some(isAlive)) say(`Stopping what a crashed run left behind (${name})`);
    await stopAll(record);
    rmSync(folder, { recursive: true, force: true });
  }
  const record = readRecord(stateFolder(root));
  if (record !== undefined && record.kept !== true && !isAlive(record.owner)) {
    if (record.processes.some(isAlive)) say('Stopping what a crashed start left behind');
    await stopAll(record);
    rmSync(join(stateFolder(root), RECORD), { force: true });
  }
}

function entries(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Takes the folder for this run, unless another has it. */
function claim(folder, record) {
  try {
    writeFileSync(join(folder, RECORD), JSON.stringify(record), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    const holder = readRecord(folder);
    throw new SetupFailure(
      'REMIT_SETUP_STATE_IN_USE',
      holder?.kept === true
        ? 'the backends left running by `backends --keep` use .remit/state; stop them with: node tools/remit-dev.mjs backends --stop'
        : `process ${holder?.owner.pid} (${holder?.name}) of this checkout uses .remit/state; stop it, or work in another clone`,
    );
  }
}

/**
 * A run owns a folder and every process started for it, and stops them when it closes or dies.
 * Fresh runs have a folder of their own each, so any number may go on at once; the kept state has one user at a time.
 *
 * Throws `REMIT_SETUP_STATE_IN_USE`.
 *
 * @param {string} root the checkout
 * @param {{ name: string, fresh: boolean, announces?: boolean }} options `announces`: says what it stops
 */
export async function openRun(root, { name, fresh, announces = false }) {
  await sweepLeftovers(root);
  const folder = fresh ? join(runsFolder(root), `${name}-${process.pid}`) : stateFolder(root);
  mkdirSync(folder, { recursive: true });
  const record = {
    name,
    kept: false,
    owner: { pid: process.pid, identity: identityOf(process.pid) },
    processes: [],
    cleanups: [],
  };
  claim(folder, record);
  const guard = openGuard();
  const started = new Map();
  let open = true;

  const release = (pid) => {
    record.processes = record.processes.filter((process) => process.pid !== pid);
    guard.release({ pid });
    started.delete(pid);
    writeRecord(folder, record);
  };

  return {
    root,
    folder,
    fresh,
    /** Starts a process that ends with this run at the latest. `log` is a file name inside the run's folder. */
    start(what) {
      if (!open)
        throw new SetupFailure('REMIT_SETUP_STOPPING', `${what.name} was not started: the run is being stopped`);
      const process = startProcess({ ...what, ...(what.log === undefined ? {} : { log: join(folder, what.log) }) });
      if (process.record.pid === undefined) return process;
      guard.entrust(process.record);
      record.processes.push(process.record);
      started.set(process.record.pid, process);
      writeRecord(folder, record);
      return process;
    },
    async stop(process, graceMs) {
      await stopRecorded(process.record, graceMs);
      await process.exited;
      release(process.record.pid);
    },
    /** Marks a process that has ended by itself. */
    forget: (process) => release(process.record.pid),
    /** A command to run when the run is over, also by the next run should this one crash. */
    cleanUpWith(cleanup) {
      record.cleanups.push(cleanup);
      writeRecord(folder, record);
    },
    /** Leaves everything running behind this process. */
    keep() {
      open = false;
      for (const process of record.processes) {
        guard.release(process);
        started.get(process.pid)?.child.unref();
      }
      record.kept = true;
      writeRecord(folder, record);
      guard.close();
    },
    /** Stops everything, newest first, and removes what was fresh. */
    async close() {
      if (record.kept) return;
      open = false;
      if (announces && started.size > 0) say('Stopping, newest first …');
      for (const process of [...started.values()].reverse()) {
        const began = performance.now();
        const wasAlive = isAlive(process.record);
        await stopRecorded(process.record, fresh ? 5_000 : 15_000);
        await process.exited;
        if (announces && wasAlive) say(`Stopped ${process.record.name} (${Math.round(performance.now() - began)} ms)`);
      }
      await stopAll(record);
      guard.close();
      if (fresh) rmSync(folder, { recursive: true, force: true });
      else rmSync(join(folder, RECORD), { force: true });
    },
  };
}
