import { describe, it } from '@jest/globals';
import { EVENT_STORE_PROMISES, noteSchema } from '#testing';
import { MemoryEventStorage, MemoryEventStore } from './memory-event-store.js';

describe('the event store in memory', () => {
  it.each(EVENT_STORE_PROMISES)('$promise', async ({ keptBy }) => {
    const storage = new MemoryEventStorage();
    await keptBy(() => Promise.resolve(new MemoryEventStore(noteSchema, storage)));
  });
});
