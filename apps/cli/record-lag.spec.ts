import { describe, expect, it } from '@jest/globals';
import { IN_FORCE, lagNote } from './record-lag.js';

describe('a record that is behind the log', () => {
  it('says so, and how far', () => {
    expect(lagNote(12_816)).toContain(
      'the record is 12,816 messages of intents, decisions and outcomes behind the log',
    );
    expect(lagNote(1)).toContain('1 message of');
    expect(lagNote(2, IN_FORCE)).toContain('2 messages of charter and permission events behind the log');
  });

  it('says nothing where it holds everything', () => {
    expect(lagNote(0)).toBe('');
  });
});
