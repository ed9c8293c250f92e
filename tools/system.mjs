import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { choosePort } from './backends/ports.mjs';
import { SetupFailure, say } from './failure.mjs';
import { lastLines, sleep } from './processes.mjs';

const SERVICES = ['boundary', 'permission', 'verifier', 'policy', 'audit'];
const PREFERRED_HTTP_PORT = 18080;
/** A busy machine is slow; a process that cannot start ends by itself and is noticed at once. */
const READY_TIMEOUT_MS = 180_000;

/** Node's own options for every process of Remit: stack traces in TypeScript. */
export const NODE_OPTIONS = ['--enable-source-maps'];

/** What plays stories may run on a machine that stands still for seconds: processes catch up, and deny nothing for that. */
export const ON_ANY_MACHINE = { REMIT_VIEW_WAIT_MS: '60000', REMIT_GROUP_SESSION_MS: '10000' };

/** The charter to begin with, when none is in force: it allows and denies at any hour, as the example to paste shows. */
const FIRST_CHARTER = 'charters/cloud-operations.yaml';

/**
 * The keys with which each process of a run signs what it writes, made once for its state folder; those of the
 * environment, if it names any. What lay on the log before there were keys counts without.
 */
async function signingEnvironment(run, names) {
  if (process.env.REMIT_TRUSTED_KEYS_FILE) return () => ({});
  const { createSigningKey } = await import(pathToFileURL(join(run.root, 'dist', 'libs', 'signing', 'index.js')).href);
  const folder = join(run.folder, 'signing');
  const trustedKeysFile = join(folder, 'trusted-keys.json');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const keyFile = (name) => join(folder, `${name}.pem`);
  for (const name of names) {
    if (existsSync(keyFile(name))) continue;
    const unsignedUntil = existsSync(trustedKeysFile) ? undefined : Date.now();
    createSigningKey({ service: name, keyFile: keyFile(name), trustedKeysFile, unsignedUntil });
  }
  return (name) => ({ REMIT_SIGNING_KEY_FILE: keyFile(name), REMIT_TRUSTED_KEYS_FILE: trustedKeysFile });
}

/** The process with the door for people. */
const hasDoor = (name) => name === 'standalone' || name === 'permission';

/** What the command line needs to come through the door of a run: where it is, and the folder of its dev key. */
export function doorEnvironment(run, processes) {
  const { port } = processes.find(({ name }) => hasDoor(name));
  return { REMIT_DOOR_URL: `http://127.0.0.1:${port}`, REMIT_STATE_DIR: join(run.folder, 'door') };
}

/**
 * Starts Remit in one process, or as five, and waits until all of it is ready to judge.
 *
 * Throws `REMIT_SETUP_SYSTEM_NOT_READY`.
 *
 * @returns {Promise<{ name: string, port: number, exited: Promise<unknown> }[]>}
 */
export async function startSystem(run, addresses, { services }) {
  const names = services ? SERVICES : ['standalone'];
  const started = performance.now();
  const signing = await signingEnvironment(run, names);
  const processes = [];
  for (const [index, name] of names.entries()) {
    const port = await choosePort(name, PREFERRED_HTTP_PORT + index);
    const process_ = run.start({
      name,
      command: process.execPath,
      args: [...NODE_OPTIONS, join(run.root, 'dist', 'apps', name, 'main.js')],
      cwd: run.root,
      env: {
        ...process.env,
        ...addresses,
        ...signing(name),
        HOST: '127.0.0.1',
        PORT: String(port),
        ...(hasDoor(name) ? { REMIT_STATE_DIR: join(run.folder, 'door') } : {}),
      },
      log: `${name}.log`,
    });
    processes.push({ name, port, log: process_.log, exited: process_.exited });
  }
  await untilReady(run, addresses, processes);
  say(`Remit: ready as ${names.join(', ')} (${Math.round(performance.now() - started)} ms)`);
  return processes;
}

/** Polls every process's /readyz, and activates the first charter as soon as a charter is what they lack. */
async function untilReady(run, addresses, processes) {
  const ended = new Map();
  for (const { name, exited } of processes) void exited.then((how) => ended.set(name, how));
  const deadline = performance.now() + READY_TIMEOUT_MS;
  let hasActivated = false;
  for (;;) {
    const states = await Promise.all(processes.map(({ port }) => readiness(port)));
    if (states.every((state) => state.ready)) return;
    const lost = processes.find(({ name }) => ended.has(name));
    if (lost !== undefined) {
      throw new SetupFailure(
        'REMIT_SETUP_SYSTEM_NOT_READY',
        `${lost.name} ended before it was ready; the end of ${lost.log}:\n${lastLines(lost.log)}`,
      );
    }
    if (!hasActivated && lacksOnlyCharter(states)) {
      hasActivated = true;
      await activateFirstCharter(run, { ...addresses, ...doorEnvironment(run, processes) });
    }
    if (performance.now() > deadline) {
      const waiting = processes.flatMap(({ name }, index) =>
        states[index].ready ? [] : [`${name}: ${JSON.stringify(states[index].checks)}`],
      );
      throw new SetupFailure(
        'REMIT_SETUP_SYSTEM_NOT_READY',
        `not ready after ${READY_TIMEOUT_MS / 1000} s; logs are in ${run.folder}\n${waiting.join('\n')}`,
      );
    }
    await sleep(100);
  }
}

async function readiness(port) {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2000) });
    return { ready: answer.ok, checks: (await answer.json()).checks ?? {} };
  } catch {
    return { ready: false, checks: { health: 'does not answer' } };
  }
}

function lacksOnlyCharter(states) {
  const missing = states.flatMap(({ checks }) => Object.entries(checks).filter(([, state]) => state !== 'ok'));
  return missing.length > 0 && missing.every(([check]) => check === 'charter');
}

async function activateFirstCharter(run, addresses) {
  if (!existsSync(join(run.root, FIRST_CHARTER))) {
    throw new SetupFailure('REMIT_SETUP_NO_CHARTER', `${FIRST_CHARTER} is missing: it is the charter to begin with`);
  }
  const activation = run.start({
    name: 'charter',
    command: process.execPath,
    args: [...NODE_OPTIONS, join(run.root, 'dist', 'apps', 'cli', 'main.js'), 'charter', 'activate', FIRST_CHARTER],
    cwd: run.root,
    env: { ...process.env, ...addresses },
    log: 'charter.log',
  });
  const { code } = await activation.exited;
  run.forget(activation);
  if (code !== 0) {
    throw new SetupFailure(
      'REMIT_SETUP_CHARTER_REFUSED',
      `${FIRST_CHARTER} could not be activated; the end of ${activation.log}:\n${lastLines(activation.log)}`,
    );
  }
  say(`Charter: ${FIRST_CHARTER} is in force`);
}
