import { describe, expect, it } from '@jest/globals';
import { standardOutput } from './log-destination.js';

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

describe('standard output', () => {
  it('takes a line whole, however little it takes at once', () => {
    let taken = '';
    const output = standardOutput((bytes) => {
      taken += bytes.toString('utf8', 0, 3);
      return Math.min(3, bytes.length);
    });
    output.write('{"msg":"one"}\n');
    expect(taken).toBe('{"msg":"one"}\n');
  });

  it('that nobody reads any more stops nothing, and is left alone', () => {
    let tries = 0;
    const output = standardOutput(() => {
      tries += 1;
      throw failure('EPIPE');
    });
    output.write('one\n');
    output.write('two\n');
    expect(tries).toBe(1);
  });

  it('that is full loses lines instead of time, never halves of them, and goes on once it has room', () => {
    let taken = '';
    let room = 6;
    const output = standardOutput((bytes) => {
      if (room === 0) throw failure('EAGAIN');
      const count = Math.min(room, bytes.length);
      taken += bytes.toString('utf8', 0, count);
      room -= count;
      return count;
    });
    output.write('first\n');
    room = 2;
    output.write('second\n');
    output.write('third\n');
    output.write('fourth\n');
    room = 1000;
    output.write('fifth\n');
    expect(taken).toBe('first\nsecond\nfifth\n');
  });

  it('on a full disk drops what does not fit, and writes again when it does', () => {
    let taken = '';
    let isFull = true;
    const output = standardOutput((bytes) => {
      if (isFull) throw failure('ENOSPC');
      taken += bytes.toString('utf8');
      return bytes.length;
    });
    output.write('lost\n');
    isFull = false;
    output.write('kept\n');
    expect(taken).toBe('kept\n');
  });
});
