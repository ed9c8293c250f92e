import { startBackends } from '../backends/backends.mjs';
import { build } from '../setup/build.mjs';
import { built, runProgram } from './foreground.mjs';

/** `bench`: every published figure against its baseline, on a broker and a database of its own. */
export async function bench({ root, args, openRun }) {
  await build(root);
  const run = await openRun({ name: 'bench', fresh: true });
  const addresses = await startBackends(run);
  return runProgram(run, { name: 'bench', args: [built(root, 'test', 'bench', 'main.js'), ...args], env: addresses });
}
