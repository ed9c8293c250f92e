import { startBackends } from '../backends/backends.mjs';
import { build } from '../setup/build.mjs';
import { built, runProgram } from './foreground.mjs';

/** `chaos`: faults against a running system, beside a client that knows what each decision must be. */
export async function chaos({ root, args, openRun }) {
  await build(root);
  const run = await openRun({ name: 'chaos', fresh: true });
  // scenarios kill and freeze brokers: each has its own
  const { DATABASE_URL } = await startBackends(run, ['postgres']);
  const env = { DATABASE_URL, KAFKA_BROKERS: '' };
  return runProgram(run, { name: 'chaos', args: [built(root, 'test', 'chaos', 'main.js'), ...args], env });
}
