#!/usr/bin/env node
// The command line tool of this checkout, brought up to date first.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from './launch.mjs';

const SCRIPT = fileURLToPath(import.meta.url);
const args = process.argv.slice(2);

process.exitCode = await launch({
  root: dirname(dirname(SCRIPT)),
  script: SCRIPT,
  argv: args,
  args,
  load: () => import('./commands/cli.mjs').then((module) => module.cli),
});
