import { startBackends } from '../backends/backends.mjs';
import { build } from '../setup/build.mjs';
import { doorEnvironment, ON_ANY_MACHINE, startSystem } from '../system.mjs';
import { built, runProgram } from './foreground.mjs';

/** `demo`: the stories against a running system. stdout is the demo's own, so that `--json` stays pure. */
export async function demo({ root, args, openRun }) {
  await build(root);
  const run = await openRun({ name: 'demo', fresh: true });
  const addresses = { ...(await startBackends(run)), ...ON_ANY_MACHINE };
  const processes = await startSystem(run, addresses, { services: args.includes('--services') });
  const stories = [built(root, 'tools', 'demo', 'main.js'), ...args.filter((arg) => arg !== '--services')];
  const env = { ...addresses, ...doorEnvironment(run, processes) };
  return runProgram(run, { name: 'stories', args: stories, env });
}
