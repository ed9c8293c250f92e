import { describe, expect, it } from '@jest/globals';
import { sayingOf } from './command-failure.js';

describe('what a command says when it fails', () => {
  const withCode = (code: string, message: string): Error => Object.assign(new Error(message), { code });

  it('begins with the code of the error, once', () => {
    expect(sayingOf(withCode('REMIT_RECORD_UNAVAILABLE', 'no answer'))).toBe('REMIT_RECORD_UNAVAILABLE: no answer');
    expect(sayingOf(withCode('REMIT_BUS_X', 'REMIT_BUS_X: gone'))).toBe('REMIT_BUS_X: gone');
  });

  it('is what the error says where it has no code of ours', () => {
    expect(sayingOf(withCode('ENOENT', 'no such file'))).toBe('no such file');
    expect(sayingOf('thrown text')).toBe('thrown text');
  });
});
