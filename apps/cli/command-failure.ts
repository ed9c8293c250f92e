/** The command has failed and has already said why: only the exit code remains to be set. */
export class CommandFailure extends Error {}

/** Says why on stderr, and ends the command. */
export function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  throw new CommandFailure(message);
}

/** What an error says, after its code: what went wrong is looked up, and told from other things, by that. */
export function sayingOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' && error.code.startsWith('REMIT_') ? error.code : '';
  return code === '' || error.message.startsWith(code) ? error.message : `${code}: ${error.message}`;
}
