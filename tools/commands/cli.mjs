import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { build } from '../setup/build.mjs';
import { NODE_OPTIONS } from '../system.mjs';
import { readEnvironment } from './backends.mjs';
import { built } from './foreground.mjs';

/** `cli …`: the command line tool, beside a running `start` without any addresses to give. */
export async function cli({ root, args, untilInterrupted }) {
  await build(root);
  const tool = spawn(process.execPath, [...NODE_OPTIONS, built(root, 'apps', 'cli', 'main.js'), ...args], {
    stdio: 'inherit',
    // the keys that the processes of this checkout use, wherever the command is run
    env: { REMIT_RECORD_KEYS: join(root, '.remit', 'record-keys'), ...readEnvironment(root), ...process.env },
  });
  void untilInterrupted().then(() => tool.kill());
  return new Promise((resolve) => {
    tool.once('error', () => resolve(1));
    tool.once('exit', (code) => resolve(code ?? 1));
  });
}
