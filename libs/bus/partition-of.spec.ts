import { describe, expect, it } from '@jest/globals';
import { partitionOf } from './partition-of.js';

/** With this many partitions the number of the partition is the hash itself, without its sign. */
const HASH_WITHOUT_SIGN = 2 ** 31;

describe('the partition of a key', () => {
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('%j lies where the Java client puts it', (key, javaHash) => {
    expect(partitionOf(key, HASH_WITHOUT_SIGN)).toBe(javaHash & 0x7fffffff);
    expect(partitionOf(Buffer.from(key), 12)).toBe((javaHash & 0x7fffffff) % 12);
  });
});
