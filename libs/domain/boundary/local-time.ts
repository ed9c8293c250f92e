import { WEEKDAYS } from '../charter/time-notation.js';
import { boundedMemo } from '../matching/bounded-memo.js';

/** What the clock on the wall of a zone shows, to the minute. */
export interface LocalTime {
  /** 0 is Sunday. */
  readonly weekday: number;
  readonly minuteOfDay: number;
  /** Such as `sun 2026-03-08 03:15`. */
  readonly text: string;
}

const MINUTE_MS = 60_000;
/** Every zone in use is a multiple of this from UTC, and changes its offset at a multiple of it. */
const SLOT_MS = 15 * MINUTE_MS;
const REMEMBERED_SLOTS = 1024;
const REMEMBERED_MINUTES = 256;

/** Milliseconds that local time is ahead of UTC at an instant. */
function offsetReader(zone: string): (instant: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (instant) => {
    const parts = new Map(format.formatToParts(instant).map((part) => [part.type, Number(part.value)]));
    const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    const wall = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
    return wall - instant;
  };
}

const clockOf = boundedMemo(REMEMBERED_SLOTS, (zone: string) => {
  const offsetAt = offsetReader(zone);
  const offsetOfSlot = boundedMemo(REMEMBERED_SLOTS, (slot: number) => offsetAt(slot * SLOT_MS));
  return boundedMemo(REMEMBERED_MINUTES, (minute: number): LocalTime => {
    const instant = minute * MINUTE_MS;
    const wall = new Date(instant + offsetOfSlot(Math.floor(instant / SLOT_MS)));
    const iso = wall.toISOString();
    const weekday = wall.getUTCDay();
    return {
      weekday,
      minuteOfDay: wall.getUTCHours() * 60 + wall.getUTCMinutes(),
      text: `${WEEKDAYS[weekday] ?? ''} ${iso.slice(0, 10)} ${iso.slice(11, 16)}`,
    };
  });
});

/** Local time in an IANA zone at an instant, ms since the epoch, summer time included. */
export function localTimeIn(zone: string, instant: number): LocalTime {
  return clockOf(zone)(Math.floor(instant / MINUTE_MS));
}
