import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { onceAMinute, onceAMinutePerCause } from './once-a-minute.js';

describe('what goes wrong again and again', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('is told once a minute', () => {
    const said: number[] = [];
    const tell = onceAMinute<number>((one) => said.push(one));
    for (let second = 0; second < 150; second += 1) {
      tell(second);
      jest.advanceTimersByTime(1000);
    }
    expect(said).toEqual([0, 60, 120]);
  });

  it('is told once a minute for each cause, so that a frequent one does not hide a rare one', () => {
    const said: string[] = [];
    const tell = onceAMinutePerCause<string>(
      (one) => one,
      (one) => said.push(one),
    );
    for (const one of ['refused', 'refused', 'key missing', 'refused', 'key missing']) tell(one);
    expect(said).toEqual(['refused', 'key missing']);
    jest.advanceTimersByTime(60_000);
    tell('refused');
    expect(said).toEqual(['refused', 'key missing', 'refused']);
  });

  it('is not told without end, however many causes there are', () => {
    const said: number[] = [];
    const tell = onceAMinutePerCause<number>(String, (one) => said.push(one));
    for (let cause = 0; cause < 10_000; cause += 1) tell(cause);
    expect(said.length).toBeLessThan(200);
  });
});
