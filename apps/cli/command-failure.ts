/** The command has failed and has already said why: only the exit code remains to be set. */
export class CommandFailure extends Error {}

/** Says why on stderr, and ends the command. */
export function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  throw new CommandFailure(message);
}
