// Stops the entrusted process groups when the pipe from the start-up script closes, which happens however it ends.
import { createInterface } from 'node:readline';
import { stopRecorded } from './processes.mjs';

const entrusted = new Map();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);

for await (const line of createInterface({ input: process.stdin })) {
  const [sign, pid, stopSignal, ...identity] = line.split(' ');
  if (sign === '+') entrusted.set(pid, { pid: Number(pid), stopSignal, identity: identity.join(' ') });
  if (sign === '-') entrusted.delete(pid);
}

await Promise.all([...entrusted.values()].reverse().map((record) => stopRecorded(record)));
