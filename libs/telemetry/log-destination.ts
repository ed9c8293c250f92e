import { writeSync } from 'node:fs';

/** Takes whole lines, one at a time. */
export interface LogDestination {
  write(line: string): void;
}

const STDOUT = 1;
const PAUSE_MS = 5;
const LONGEST_WAIT_MS = 1000;
const NOBODY_READS: ReadonlySet<string> = new Set(['EPIPE', 'EBADF', 'EIO']);
const NOTHING = Buffer.alloc(0);

/**
 * Standard output, written to before `write` returns, so that nothing is lost when the process ends. A log stops no
 * judgement: once nobody reads any more, lines are dropped; a reader that is slow is waited for a little, and from then
 * on costs lines instead of time until it has caught up. No line is ever cut short by the next.
 */
export function standardOutput(
  writeTo: (bytes: Buffer) => number = (bytes) => writeSync(STDOUT, bytes),
): LogDestination {
  let isGone = false;
  let waitMs = LONGEST_WAIT_MS;
  let unfinished: Buffer = NOTHING;
  return {
    write(line) {
      if (isGone) return;
      try {
        unfinished = writeWithin(waitMs, unfinished, writeTo);
        if (unfinished.length === 0) {
          const whole = Buffer.from(line);
          const rest = writeWithin(waitMs, whole, writeTo);
          // what has not begun can be dropped; what has begun must be finished
          if (rest.length < whole.length) unfinished = rest;
          waitMs = rest.length === 0 ? LONGEST_WAIT_MS : 0;
        } else waitMs = 0;
      } catch {
        isGone = true;
      }
    },
  };
}

/** What is left to write after the wait. Throws only when there is no output any more. */
function writeWithin(ms: number, bytes: Buffer, writeTo: (bytes: Buffer) => number): Buffer {
  let rest = bytes;
  for (let waited = 0; rest.length > 0;) {
    try {
      rest = rest.subarray(writeTo(rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== undefined && NOBODY_READS.has(code)) throw error;
      if (code !== 'EAGAIN' || waited >= ms) return rest;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
      waited += PAUSE_MS;
    }
  }
  return rest;
}
