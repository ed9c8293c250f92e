/** The command has failed and has already said why: only the exit code remains to be set. */
export class CommandFailure extends Error {}
