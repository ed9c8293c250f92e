import { describe, expect, it } from '@jest/globals';
import { recordAccessSchema } from './record-access.js';

const reading = {
  event: 'RecordRead',
  by: 'ann',
  at: '2026-11-24T09:30:00.000Z',
  how: 'chain',
  selection: { chainOrTrace: 'incident-42' },
};

describe('who has done what with the record', () => {
  it('is the person, and beside them the account at the terminal', () => {
    const both = { ...reading, account: 'ann-laptop@station-7' };
    expect(recordAccessSchema.parse(both)).toEqual(both);
  });

  it('is still read where it was written before accounts were', () => {
    expect(recordAccessSchema.parse(reading)).toEqual(reading);
  });

  it('is never nobody', () => {
    expect(recordAccessSchema.safeParse({ ...reading, by: '' }).success).toBe(false);
    expect(recordAccessSchema.safeParse({ ...reading, account: '' }).success).toBe(false);
  });
});
