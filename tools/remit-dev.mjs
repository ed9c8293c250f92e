#!/usr/bin/env node
// The one way to set up, run and test Remit. Needs nothing but Node 20 and npm; everything else it brings up itself.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HELP, helpOf } from './commands/help.mjs';
import { launch } from './launch.mjs';

const SCRIPT = fileURLToPath(import.meta.url);
const ROOT = dirname(dirname(SCRIPT));

const COMMANDS = {
  backends: () => import('./commands/backends.mjs').then((module) => module.backends),
  bench: () => import('./commands/bench.mjs').then((module) => module.bench),
  chaos: () => import('./commands/chaos.mjs').then((module) => module.chaos),
  cli: () => import('./commands/cli.mjs').then((module) => module.cli),
  demo: () => import('./commands/demo.mjs').then((module) => module.demo),
  start: () => import('./commands/start.mjs').then((module) => module.start),
  'test-observability': () => import('./commands/test-observability.mjs').then((module) => module.testObservability),
  test: () => import('./commands/test.mjs').then((module) => module.test),
};

function main() {
  const [name, ...args] = process.argv.slice(2);
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (name === undefined || !Object.hasOwn(COMMANDS, name)) {
    process.stderr.write(`${name === undefined ? 'Which command?' : `There is no command ${name}.`}\n\n${HELP}`);
    return 2;
  }
  const help = helpOf(name);
  if (help !== undefined && args.some((arg) => arg === '--help' || arg === '-h')) {
    process.stdout.write(help);
    return 0;
  }
  return launch({ root: ROOT, script: SCRIPT, argv: process.argv.slice(2), args, load: COMMANDS[name] });
}

process.exitCode = await main();
