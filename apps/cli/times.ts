import { durationMs } from '#domain';
import { fail } from './command-failure.js';

const ISO_TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** A moment, ms since the epoch: `now`, ISO 8601 with its zone, or a date (UTC). Ends the command when it is none. */
export function timeOf(text: string, now: number): number {
  if (text === 'now') return now;
  const time = ISO_TIME.test(text) && isDay(text.slice(0, 10)) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) {
    fail(`REMIT_CLI_TIME: ${JSON.stringify(text)} is no time; give 2026-11-03, 2026-11-03T12:00:00Z or now`);
  }
  return time;
}

/** Whether there is such a day: the parser takes 30 February for 2 March. */
function isDay(day: string): boolean {
  const time = Date.parse(day);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(day);
}

/** The stretch from one time to before another, each as {@link timeOf}. Ends the command when nothing can lie in it. */
export function rangeOf(
  { from, to }: { readonly from?: string | undefined; readonly to?: string | undefined },
  now: number,
): { readonly from: number | undefined; readonly to: number | undefined } {
  const range = {
    from: from === undefined ? undefined : timeOf(from, now),
    to: to === undefined ? undefined : timeOf(to, now),
  };
  if (range.from !== undefined && range.to !== undefined && range.from >= range.to) {
    fail(`REMIT_CLI_TIME: nothing lies from ${String(from)} to before ${String(to)}: --from must be earlier than --to`);
  }
  return range;
}

/** The moment as the record names it; `undefined` stays so. */
export function isoOf(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString();
}

/** A duration such as `30s`, ms. Ends the command when it is none. */
export function durationOf(text: string): number {
  const ms = durationMs(text);
  if (ms === undefined) fail(`REMIT_CLI_DURATION: ${JSON.stringify(text)} is no duration; give 30s, 15m, 2h or 1d`);
  return ms;
}
