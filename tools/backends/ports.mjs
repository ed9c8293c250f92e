import { connect, createServer } from 'node:net';
import { say } from '../failure.mjs';

const HOST = '127.0.0.1';

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

const handedOut = new Set();

/** The preferred port of 127.0.0.1, or the next free one, said aloud. Never hands out the same port twice. */
export async function choosePort(what, preferred) {
  for (let port = preferred; port < preferred + 500; port += 1) {
    if (handedOut.has(port) || !(await isFree(port))) continue;
    handedOut.add(port);
    if (port !== preferred) say(`${what}: port ${preferred} is busy, taking ${port}`);
    return port;
  }
  throw new Error(`no free port in ${preferred}–${preferred + 499} for ${what}`);
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
