#!/usr/bin/env node
// The command line tool: of a checkout, which is brought up to date first, or of the package, where everything is built.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const SCRIPT = fileURLToPath(import.meta.url);
const ROOT = dirname(dirname(SCRIPT));
const args = process.argv.slice(2);

// npm packs no lock
if (existsSync(join(ROOT, 'package-lock.json'))) {
  const { launch } = await import('./launch.mjs');
  const load = () => import('./commands/cli.mjs').then((module) => module.cli);
  process.exitCode = await launch({ root: ROOT, script: SCRIPT, argv: args, args, load });
} else {
  await import(pathToFileURL(join(ROOT, 'dist', 'apps', 'cli', 'main.js')).href);
}
