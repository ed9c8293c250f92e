import { describe, expect, it } from '@jest/globals';
import { editDistance, hintFor, nearestName } from './near-names.js';

describe('a hint', () => {
  it.each([
    ['', '', 0],
    ['abc', 'abc', 0],
    ['abc', 'acb', 1],
    ['abc', 'abcd', 1],
    ['abc', 'ab', 1],
    ['kitten', 'sitting', 3],
  ])('counts the letters between %p and %p', (one, other, distance) => {
    expect(editDistance(one, other)).toBe(distance);
    expect(editDistance(other, one)).toBe(distance);
  });

  it('names the field that was meant', () => {
    expect(nearestName('destinaton', ['target', 'destination', 'parameters'])).toBe('destination');
    expect(hintFor('destinaton', ['target', 'destination'], 'fields')).toBe('did you mean `destination`?');
  });

  it('does not guess when nothing is close', () => {
    expect(nearestName('zzz', ['target', 'destination'])).toBeUndefined();
    expect(hintFor('zzz', ['target', 'destination'], 'fields')).toBe('fields: target, destination');
    expect(hintFor('zzz', [], 'fields')).toBeUndefined();
  });
});
