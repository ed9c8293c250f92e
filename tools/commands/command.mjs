import { openRun } from '../run.mjs';

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

/**
 * Runs one command and stops everything it started, whether it ends, fails or is interrupted.
 *
 * @returns {Promise<number>} the exit code
 */
export async function runCommand(root, command, args) {
  let run;
  let interruption;
  const interrupted = new Promise((resolve) => {
    const interrupt = (exitCode) => {
      if (interruption !== undefined) return;
      interruption = exitCode;
      resolve(exitCode);
    };
    for (const [signal, exitCode] of Object.entries(EXIT_CODES)) process.on(signal, () => interrupt(exitCode));
    process.on('disconnect', () => interrupt(EXIT_CODES.SIGHUP));
  });
  const context = {
    root,
    args,
    /** Opens the run of this command; there is one at most. */
    openRun: async (options) => (run = await openRun(root, options)),
    untilInterrupted: () => interrupted,
  };
  try {
    const finished = command(context);
    // an interrupted command fails in its own way while its processes go; what counts is the interruption
    finished.catch(() => undefined);
    return await Promise.race([finished, interrupted]);
  } finally {
    await run?.close();
    process.disconnect?.();
    if (interruption !== undefined) process.exit(interruption);
  }
}
