import { describe, expect, it } from '@jest/globals';
import { isLoopbackHost } from './loopback.js';

describe('a host on this machine', () => {
  it.each(['localhost', '127.0.0.1', '127.1.2.3', '[::1]', '::1', 'LOCALHOST'])('%s is', (host) => {
    expect(isLoopbackHost(host)).toBe(true);
  });

  it.each(['kafka.example', '127.0.0.1.example', 'localhost.example', '10.0.0.1', '[::]', '0.0.0.0', ''])(
    '%p is not',
    (host) => {
      expect(isLoopbackHost(host)).toBe(false);
    },
  );
});
