import { describe, it } from '@jest/globals';
import { HISTORY_PROMISES } from '#testing';
import { MemoryHistory } from './memory-history.js';

describe('history in memory', () => {
  it.each(HISTORY_PROMISES)('$promise', async ({ keptBy }) => {
    await keptBy(new MemoryHistory());
  });
});
