import { describe, it } from '@jest/globals';
import { HISTORY_PROMISES, HISTORY_READING_PROMISES } from '#testing';
import { MemoryHistory } from './memory-history.js';

describe('history in memory', () => {
  it.each([...HISTORY_PROMISES, ...HISTORY_READING_PROMISES])('$promise', async ({ keptBy }) => {
    await keptBy(new MemoryHistory());
  });
});
