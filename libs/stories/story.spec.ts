import { describe, expect, it } from '@jest/globals';
import { charterTextOf } from './story.js';

const TEXT =
  'timezone: America/New_York\nboundaries:\n  - { id: w, hours: "09:00-17:00", days: mon-fri }\n  - { id: x, never: [drop] }\n';

function localHour(zone: string, at: number): number {
  return Number(new Intl.DateTimeFormat('en', { timeZone: zone, hour: 'numeric', hourCycle: 'h23' }).format(at));
}

describe('a story about hours plays alike at any time', () => {
  const everyHour = Array.from({ length: 24 }, (_, hour) => Date.UTC(2026, 0, 4, hour, 59));

  it.each(everyHour)('at %d it is noon for an open charter and three at night for a closed one', (now) => {
    for (const [hours, hour] of [
      ['open now', 12],
      ['closed now', 3],
    ] as const) {
      const zones = [...charterTextOf({ hours }, TEXT, now).matchAll(/timezone: (\S+?)[\s,]/g)].map(
        ([, zone]) => zone ?? '',
      );
      expect(zones).toHaveLength(2);
      for (const zone of zones) expect(localHour(zone, now)).toBe(hour);
    }
  });

  it('moves time windows only, and opens them every day', () => {
    const text = charterTextOf({ hours: 'open now' }, TEXT, 0);
    expect(text).toContain('mon-sun');
    expect(text).toContain('{ id: x, never: [ drop ] }');
  });
});
