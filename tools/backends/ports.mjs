import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { say } from '../failure.mjs';
import { identityOf, isAlive } from '../processes.mjs';

const HOST = '127.0.0.1';

/** Whether somebody could listen there now. */
export function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

const RANGE = 500;
/**
 * One file for each port that a process has chosen: between choosing and listening nobody else may choose it. It is
 * named `PORT.NUMBER`, and of one port the highest number counts: whoever takes a port over from a process that has
 * ended takes the next number, which only one can, and so never removes what somebody else has just taken.
 */
const claims = () => join(tmpdir(), `remit-ports-${userInfo().uid}`);
const fileOf = (port, number) => join(claims(), `${port}.${number}`);

/** The number that counts; 0: nobody has claimed the port yet. */
function lastClaimOn(port) {
  const numbers = readdirSync(claims()).map((name) => (name.startsWith(`${port}.`) ? Number(name.split('.')[1]) : 0));
  return Math.max(0, ...numbers);
}

/** Takes a port for this process, for as long as it lives; `false`: another that lives has it. */
function claim(port) {
  mkdirSync(claims(), { recursive: true, mode: 0o700 });
  // written before it has its name: nobody ever reads half of it
  const draft = join(claims(), `draft-${randomUUID()}`);
  writeFileSync(draft, JSON.stringify({ pid: process.pid, identity: identityOf(process.pid) }));
  try {
    for (;;) {
      const last = lastClaimOn(port);
      if (isAlive(ownerOf(fileOf(port, last)))) return false;
      const mine = last + 1;
      try {
        linkSync(draft, fileOf(port, mine));
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
        continue;
      }
      // a listing that is made while others take and remove may miss the number that counts
      if (lastClaimOn(port) === mine) {
        rmSync(fileOf(port, last), { force: true });
        return true;
      }
      rmSync(fileOf(port, mine), { force: true });
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Whoever claimed; nobody that lives when nobody has, or when somebody else has just taken it over. */
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
