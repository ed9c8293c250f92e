import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { say } from '../failure.mjs';
import { identityOf, isAlive } from '../processes.mjs';

const HOST = '127.0.0.1';

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

const RANGE = 500;
/** One file for each port that a process has chosen: between choosing and listening nobody else may choose it. */
const claims = () => join(tmpdir(), `remit-ports-${userInfo().uid}`);

const claimed = new Set();
process.once('exit', () => {
  for (const file of claimed) rmSync(file, { force: true });
});

/** Takes a port for this process, for as long as it lives; `false`: another that lives has it. */
function claim(port) {
  mkdirSync(claims(), { recursive: true, mode: 0o700 });
  const file = join(claims(), String(port));
  const owner = JSON.stringify({ pid: process.pid, identity: identityOf(process.pid) });
  for (;;) {
    try {
      writeFileSync(file, owner, { flag: 'wx' });
      claimed.add(file);
      return true;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isAlive(ownerOf(file))) return false;
    rmSync(file, { force: true });
  }
}

/** Whoever claimed; nobody that lives when the claim is gone or was never finished. */
function ownerOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}

/**
 * The preferred port of 127.0.0.1, or the next one that is free, which no process chooses again while this one lives.
 * A process of somebody else may still take it first: whoever listens has to make sure that it is he who answers.
 */
export async function freePort(preferred) {
  for (let port = preferred; port < preferred + RANGE; port += 1) {
    if ((await isFree(port)) && claim(port)) return port;
  }
  throw new Error(`no free port in ${preferred}–${preferred + RANGE - 1}`);
}

/** A {@link freePort}, said aloud where it is not the preferred one. */
export async function choosePort(what, preferred) {
  const port = await freePort(preferred);
  if (port !== preferred) say(`${what}: port ${preferred} is busy, taking ${port}`);
  return port;
}

/** Sends bytes to a local port; resolves with the first bytes that come back, `undefined` when nobody answers. */
export function ask(port, bytes, timeoutMs = 1000) {
  return new Promise((resolve) => {
    const socket = connect({ port, host: HOST });
    const finish = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish(undefined));
    socket.once('error', () => finish(undefined));
    socket.once('close', () => finish(undefined));
    socket.once('connect', () => socket.write(bytes));
    socket.once('data', finish);
  });
}
