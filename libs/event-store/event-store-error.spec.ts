import { describe, expect, it } from '@jest/globals';
import { CONNECTION_FAILURES, PROGRAM_FAULTS } from '#testing';
import { eventStoreErrorOf } from './event-store-error.js';

describe('a fault of the program', () => {
  it.each(PROGRAM_FAULTS)('is not taken for a database that is away: %s', (_, error) => {
    expect(eventStoreErrorOf(error).code).toBe('REMIT_EVENT_STORE_FAULT');
  });

  it.each(CONNECTION_FAILURES)('is not what a connection brings about: %s', (_, error) => {
    expect(eventStoreErrorOf(error).code).toBe('REMIT_EVENT_STORE_UNAVAILABLE');
  });

  it('keeps its cause, whose stack shows where it happened', () => {
    const error = new TypeError('x is undefined');
    expect(eventStoreErrorOf(error).cause).toBe(error);
  });
});
