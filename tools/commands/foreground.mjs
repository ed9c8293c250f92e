import { join } from 'node:path';
import { NODE_OPTIONS } from '../system.mjs';

/**
 * Runs a program of this checkout in a run, with our stdout and stderr; another one where `command` names it. Resolves
 * with its exit code.
 */
export async function runProgram(run, { name, command, args, env = {}, nodeOptions = [] }) {
  const program = run.start({
    name,
    command: command ?? process.execPath,
    args: command === undefined ? [...NODE_OPTIONS, ...nodeOptions, ...args] : args,
    cwd: run.root,
    env: { ...process.env, ...env },
  });
  const { code } = await program.exited;
  run.forget(program);
  return code ?? 1;
}

export const built = (root, ...path) => join(root, 'dist', ...path);
