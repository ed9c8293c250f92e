import { describe, expect, it } from '@jest/globals';
import { CONNECTION_FAILURES, PROGRAM_FAULTS } from '#testing';
import { recordErrorOf } from './record-error.js';

describe('a fault of the program', () => {
  it.each(PROGRAM_FAULTS)('is not taken for a database that is away: %s', (_, error) => {
    expect(recordErrorOf(error).code).toBe('REMIT_RECORD_FAULT');
  });

  it.each(CONNECTION_FAILURES)('is not what a connection brings about: %s', (_, error) => {
    expect(recordErrorOf(error).code).toBe('REMIT_RECORD_UNAVAILABLE');
  });

  it('keeps its cause, whose stack shows where it happened', () => {
    const error = new TypeError('x is undefined');
    expect(recordErrorOf(error).cause).toBe(error);
  });
});
