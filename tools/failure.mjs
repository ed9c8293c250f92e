/** A set-up that cannot go on. `code` is stable (`REMIT_SETUP_…`); the message says what is wrong and what to do. */
export class SetupFailure extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = 'SetupFailure';
    this.code = code;
  }
}

/** Progress for people. It goes to stderr, so that stdout carries results only. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}
