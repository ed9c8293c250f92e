import type { Hours } from '../charter/time-notation.js';
import type { LocalTime } from './local-time.js';

export interface TimeWindow extends Hours {
  /** Days on which the window starts, counted from Sunday. */
  readonly days: ReadonlySet<number>;
}

/** Whether a local time lies in the window. The hours after midnight belong to the day before. */
export function isInWindow(window: TimeWindow, local: LocalTime): boolean {
  const { start, end, days } = window;
  const minute = local.minuteOfDay;
  if (start < end) return days.has(local.weekday) && minute >= start && minute < end;
  return (days.has(local.weekday) && minute >= start) || (days.has((local.weekday + 6) % 7) && minute < end);
}
