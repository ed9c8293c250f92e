import { readFile } from 'node:fs/promises';
import { messageOf } from '#bus';
import { fail } from './command-failure.js';

/** The text of a file that the command was given. Ends the command when it cannot be read. */
export async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) =>
    fail(`REMIT_CLI_FILE: cannot read ${file}: ${messageOf(error)}`),
  );
}
