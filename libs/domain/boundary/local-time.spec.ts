import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { localTimeIn } from './local-time.js';

const zones = [
  'UTC',
  'America/New_York',
  'Europe/Berlin',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Chatham',
  'Pacific/Apia',
  'Africa/Casablanca',
];

/** The platform's own answer, asked afresh each time. */
function asPlatformSays(zone: string, instant: number): string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    dateStyle: 'short',
    timeStyle: 'short',
    hourCycle: 'h23',
  });
  const weekday = new Intl.DateTimeFormat('en-GB', { timeZone: zone, weekday: 'short' }).format(instant);
  const [date, time] = format.format(instant).split(', ');
  return `${weekday.toLowerCase().slice(0, 3)} ${date?.split('/').reverse().join('-') ?? ''} ${time ?? ''}`;
}

describe('local time', () => {
  it('is what the clock on the wall shows, in every zone and at every instant', () => {
    const instant = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2040, 0, 1) });
    fc.assert(
      fc.property(fc.constantFrom(...zones), instant, (zone, at) => {
        expect(localTimeIn(zone, at).text).toBe(asPlatformSays(zone, at));
      }),
      { numRuns: 300 },
    );
  });

  it('is right in every quarter of an hour around both changes of the clocks', () => {
    const quarter = 15 * 60_000;
    for (const change of ['2026-03-08T07:00Z', '2026-11-01T06:00Z', '2026-03-29T01:00Z', '2026-10-25T01:00Z']) {
      for (let step = -12; step <= 12; step += 1) {
        for (const zone of ['America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe']) {
          const at = Date.parse(change) + step * quarter - 1;
          expect(localTimeIn(zone, at).text).toBe(asPlatformSays(zone, at));
        }
      }
    }
  });
});
