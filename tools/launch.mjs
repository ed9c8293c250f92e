import { SetupFailure, say } from './failure.mjs';
import { ensureInstalled, underPinnedNode } from './setup/install.mjs';

/**
 * Gets a checkout ready and runs one command in it, under the pinned Node.
 *
 * @param {{ root: string, script: string, argv: string[], args: string[], load: () => Promise<Function> }} what
 *   `script` and `argv`: how to run the same again; `load`: the command, which may need packages
 * @returns {Promise<number>} the exit code
 */
export async function launch({ root, script, argv, args, load }) {
  try {
    await ensureInstalled(root);
    const exitCode = await underPinnedNode(root, script, argv);
    if (exitCode !== undefined) return exitCode;
    const { runCommand } = await import('./commands/command.mjs');
    return await runCommand(root, await load(), args);
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error;
    say(`${error.code}: ${error.message}`);
    return 1;
  }
}
