import { expect, it } from '@jest/globals';
import { notStored } from './not-stored.js';

it('what lies on the log and not in the record is counted by topic and partition, and never below nothing', () => {
  const ends = new Map([
    ['known', [5, 3, 0]],
    ['unknown', [2]],
  ]);
  const stored = new Map([['known', [4, 7]]]);
  expect([...notStored(ends, stored)]).toEqual([
    ['known', [1, 0, 0]],
    ['unknown', [2]],
  ]);
});
