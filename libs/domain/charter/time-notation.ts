import { nearestName } from '../matching/near-names.js';

/** Days of the week as a charter writes them, from Sunday, as JavaScript counts them. */
export const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;

const MINUTES_PER_DAY = 24 * 60;

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** What a duration looks like. */
export const DURATION_PATTERN = /^([1-9]\d{0,5})(ms|s|m|h|d)$/;
/** What hours look like; {@link hoursOf} refuses more. */
export const HOURS_PATTERN = /^([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)$/;

/** Milliseconds of a duration such as `30s`, `15m` or `1h`; undefined when it is none. */
export function durationMs(text: string): number | undefined {
  const match = DURATION_PATTERN.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS];
}

/** Minutes since local midnight, the end excluded. An end at or before the start lies on the next day. */
export interface Hours {
  readonly start: number;
  readonly end: number;
}

/** The hours of `09:00-17:00` or, past midnight, `22:00-06:00`; undefined when the text is neither. */
export function hoursOf(text: string): Hours | undefined {
  const match = HOURS_PATTERN.exec(text);
  if (match === null) return undefined;
  const start = Number(match[1]) * 60 + Number(match[2]);
  const end = Number(match[3]) * 60 + Number(match[4]);
  if (start >= MINUTES_PER_DAY || end > MINUTES_PER_DAY) return undefined;
  return { start, end };
}

function weekdaysOfText(text: string): number[] | undefined {
  const [from, to, ...rest] = text.split('-').map((day) => (WEEKDAYS as readonly string[]).indexOf(day));
  if (from === undefined || from < 0 || rest.length > 0) return undefined;
  if (to === undefined) return [from];
  if (to < 0) return undefined;
  const days: number[] = [];
  for (let day = from; ; day = (day + 1) % 7) {
    days.push(day);
    if (day === to) return days;
  }
}

/** The days of `mon`, `mon-fri`, `sat-mon` or a list of such, counted from Sunday; undefined when one is none. */
export function weekdaysOf(days: string | readonly string[]): ReadonlySet<number> | undefined {
  const found = new Set<number>();
  for (const text of typeof days === 'string' ? [days] : days) {
    const some = weekdaysOfText(text);
    if (some === undefined) return undefined;
    for (const day of some) found.add(day);
  }
  return found;
}

/** How a time zone is written. */
export const ZONE_SHAPE = 'must be an IANA time zone, Area/City, such as America/New_York, or UTC';

/**
 * Abbreviations mean several zones, or one without summer time: to this platform `BST` is Dhaka's and `EST` the same all
 * year. An offset (`+02:00`) has no summer time either, and a country (`Japan`) may come to have several zones.
 */
const ZONE = /^[a-z]+(?:\/[a-z0-9_+-]+){1,2}$/i;

/** Zones that people mean by an abbreviation. */
const MEANT_BY: Readonly<Record<string, readonly string[]>> = {
  ACST: ['Australia/Adelaide'],
  ACT: ['Australia/Sydney', 'America/Rio_Branco'],
  AEST: ['Australia/Sydney', 'Australia/Brisbane'],
  AST: ['America/Halifax', 'Asia/Riyadh'],
  AWST: ['Australia/Perth'],
  BST: ['Europe/London', 'Asia/Dhaka'],
  CDT: ['America/Chicago'],
  CEST: ['Europe/Berlin', 'Europe/Paris'],
  CET: ['Europe/Berlin', 'Europe/Paris'],
  CST: ['America/Chicago', 'Asia/Shanghai'],
  CST6CDT: ['America/Chicago'],
  EDT: ['America/New_York'],
  EET: ['Europe/Helsinki', 'Europe/Athens'],
  EST: ['America/New_York'],
  EST5EDT: ['America/New_York'],
  GB: ['Europe/London'],
  GMT: ['UTC', 'Europe/London'],
  HKT: ['Asia/Hong_Kong'],
  HST: ['Pacific/Honolulu'],
  IST: ['Asia/Kolkata', 'Asia/Jerusalem', 'Europe/Dublin'],
  JAPAN: ['Asia/Tokyo'],
  JST: ['Asia/Tokyo'],
  KST: ['Asia/Seoul'],
  MET: ['Europe/Berlin', 'Europe/Paris'],
  MSK: ['Europe/Moscow'],
  MST: ['America/Denver', 'America/Phoenix'],
  MST7MDT: ['America/Denver'],
  NST: ['America/St_Johns'],
  NZST: ['Pacific/Auckland'],
  PDT: ['America/Los_Angeles'],
  PST: ['America/Los_Angeles'],
  PST8PDT: ['America/Los_Angeles'],
  SGT: ['Asia/Singapore'],
  SST: ['Pacific/Pago_Pago', 'Asia/Singapore'],
  WET: ['Europe/Lisbon'],
  Z: ['UTC'],
  ZULU: ['UTC'],
};

/** Whether this platform knows the zone, and its name says where it is. */
export function isTimeZone(zone: string): boolean {
  if (zone !== 'UTC' && !ZONE.test(zone)) return false;
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** Whether a zone is one of those that are only an offset, the same all year, with the sign turned round. */
export function isFixedOffset(zone: string): boolean {
  return /^etc\/gmt[-+]?\d/i.test(zone) && !/^etc\/gmt[-+]?0$/i.test(zone);
}

/** What who wrote this most likely meant. */
export function zoneHint(zone: string): string | undefined {
  const abbreviated = zone.toUpperCase();
  const meant = Object.hasOwn(MEANT_BY, abbreviated) ? MEANT_BY[abbreviated] : undefined;
  if (meant !== undefined) return `did you mean ${meant.map((one) => `\`${one}\``).join(' or ')}?`;
  const near = nearestName(zone, Intl.supportedValuesOf('timeZone'));
  return near === undefined ? undefined : `did you mean \`${near}\`?`;
}
