import { beforeEach, describe, expect, it } from '@jest/globals';
import { ReadingClock } from './reading-clock.js';

describe('whether a reader reads or only seems to', () => {
  let now: number;
  let clock: ReadingClock;

  beforeEach(() => {
    now = 0;
    clock = new ReadingClock(() => now);
  });

  /** Lets seconds pass, one tick each; what the last tick says. */
  function pass(seconds: number, everySecond: () => void = () => undefined): number {
    let idle = 0;
    for (let second = 0; second < seconds; second += 1) {
      now += 1000;
      everySecond();
      idle = clock.tick();
    }
    return idle;
  }

  it('a member that fetches reads, whether anything comes or not', () => {
    clock.joined();
    expect(pass(60, () => clock.fetched())).toBe(0);
    expect(clock.standstillMs).toBe(0);
  });

  it('a member that lost its partitions and never joined again stands still, although it fetches', () => {
    clock.joined();
    clock.lost();
    const fetching = (): void => {
      clock.fetched();
      clock.answered();
    };
    expect(pass(30, fetching)).toBe(30_000);
    expect(clock.standstillMs).toBe(30_000);
  });

  it('a member that has joined and does not fetch stands still', () => {
    clock.joined();
    expect(pass(65, () => clock.answered())).toBe(60_000);
  });

  it('a member with a batch in hand reads, however long that takes', () => {
    clock.joined();
    const done = clock.inHand();
    expect(pass(600, () => clock.answered())).toBe(0);
    done();
    expect(pass(4)).toBe(0);
  });

  it('without an answer of the brokers nobody stands still, but a new consumer is due all the same', () => {
    expect(pass(30)).toBe(30_000);
    expect(clock.standstillMs).toBe(0);
  });

  it('a standstill outlives the consumer that is made anew, and ends only when something is read', () => {
    pass(25, () => clock.answered());
    clock.restart();
    expect(pass(10, () => clock.answered())).toBe(10_000);
    expect(clock.standstillMs).toBe(35_000);
    clock.joined();
    expect(pass(1)).toBe(0);
    expect(clock.standstillMs).toBe(0);
  });

  it('an outage of the brokers says nothing about the reader, however long it lasts', () => {
    pass(5, () => clock.answered());
    clock.restart();
    pass(40);
    expect(clock.couldHaveRead()).toBe(false);
    clock.restart();
    pass(16, () => clock.answered());
    expect(clock.couldHaveRead()).toBe(true);
  });

  it('a process that was stopped itself does not take its own absence for a standstill', () => {
    clock.joined();
    clock.answered();
    now += 40_000;
    expect(clock.tick()).toBeLessThan(5000);
  });
});
