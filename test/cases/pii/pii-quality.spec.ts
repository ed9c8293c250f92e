import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { measurePiiQuality, readPiiCases, type Half } from './pii-quality.js';

const { positives, traps } = readPiiCases(join(import.meta.dirname, '../../..'));

/** What the detector must not fall below. The tuning half may not have a known miss; the other shows what to expect. */
const FLOORS: readonly { half: Half; recall: number; precision: number }[] = [
  { half: 'tuning', recall: 1, precision: 1 },
  { half: 'held-out', recall: 0.75, precision: 0.9 },
];

describe('personal data are told from what only looks like them', () => {
  it.each(FLOORS)('of the $half half, recall and precision are at least $recall and $precision', (floor) => {
    const quality = measurePiiQuality(floor.half, positives[floor.half], traps[floor.half]);
    expect(quality).toMatchObject({
      positives: positives[floor.half].length,
      traps: traps[floor.half].length,
    });
    expect(quality.recall).toBeGreaterThanOrEqual(floor.recall);
    expect(quality.precision).toBeGreaterThanOrEqual(floor.precision);
  });

  it('is measured on sixty positives and sixty traps at least, half of them never tuned on', () => {
    expect(positives.tuning.length + positives['held-out'].length).toBeGreaterThanOrEqual(60);
    expect(traps.tuning.length + traps['held-out'].length).toBeGreaterThanOrEqual(60);
    expect(positives['held-out'].length).toBeGreaterThanOrEqual(positives.tuning.length);
    expect(traps['held-out'].length).toBeGreaterThanOrEqual(traps.tuning.length);
  });
});
