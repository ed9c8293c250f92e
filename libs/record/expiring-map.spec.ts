import { describe, expect, it } from '@jest/globals';
import { ExpiringMap } from './expiring-map.js';

const LONG_MS = 3_600_000;

describe('What a process remembers of keys', () => {
  it('is what it used last, and never more than it may keep', () => {
    const map = new ExpiringMap<number>(100, LONG_MS);
    for (let i = 0; i < 1000; i += 1) map.set(String(i), i);

    const remembered = Array.from({ length: 1000 }, (_, i) => i).filter((i) => map.get(String(i)) !== undefined);
    expect(remembered.length).toBeLessThanOrEqual(100);
    expect(remembered).toEqual(expect.arrayContaining(Array.from({ length: 50 }, (_, i) => 950 + i)));
  });

  it('is what was said last of a name', () => {
    const map = new ExpiringMap<number>(2, LONG_MS);
    map.set('name', 1);
    map.set('other', 1);
    map.set('name', 2);
    expect(map.get('name')).toBe(2);
  });

  it('is nothing once its time is over, or when it was told to forget', () => {
    const expired = new ExpiringMap<number>(100, -1);
    expired.set('name', 1);
    expect(expired.get('name')).toBeUndefined();

    const cleared = new ExpiringMap<number>(2, LONG_MS);
    for (const name of ['one', 'two', 'three']) cleared.set(name, 1);
    cleared.clear();
    expect(['one', 'two', 'three'].map((name) => cleared.get(name))).toEqual([undefined, undefined, undefined]);
  });
});
