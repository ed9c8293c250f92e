import { describe, expect, it } from '@jest/globals';
import { notStored, TrulyNotStored } from './not-stored.js';

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

describe('a transaction marker behind the last message', () => {
  /** A log whose one partition has messages at these offsets, markers at all others, and counts what it is asked. */
  class Log {
    asked = 0;

    constructor(readonly messages: readonly number[]) {}

    firstBetween(_topic: string, _partition: number, from: number, to: number): Promise<number | undefined> {
      this.asked += 1;
      return Promise.resolve(this.messages.find((offset) => offset >= from && offset < to));
    }
  }

  const at = (offset: number) => new Map([['t', [offset]]]);

  it('is nothing that is missing, and the log is asked once for each place', async () => {
    const log = new Log([0, 1, 2]);
    const missing = new TrulyNotStored(log);
    const count = async (end: number, stored: number) => [...(await missing.count(at(end), at(stored))).values()];
    // it may be on its way: the log is asked where nothing has moved
    expect(await count(5, 3)).toEqual([[2]]);
    expect(log.asked).toBe(0);
    for (let time = 0; time < 5; time += 1) expect(await count(5, 3)).toEqual([[0]]);
    expect(log.asked).toBe(1);
    expect(await count(6, 3)).toEqual([[0]]);
    expect(log.asked).toBe(2);
  });

  it('hides no message that is missing', async () => {
    const log = new Log([0, 1, 4]);
    const missing = new TrulyNotStored(log);
    const count = async (stored: number) => [...(await missing.count(at(6), at(stored))).values()];
    for (let time = 0; time < 5; time += 1) expect(await count(2)).toEqual([[4]]);
    expect(log.asked).toBe(1);
    expect([...(await missing.count(at(6), at(5), { atOnce: true })).values()]).toEqual([[0]]);
  });
});
