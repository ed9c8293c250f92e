import { AUTHORITY_WINDOW_MS, PermissionStateWriter, type Views } from '#segment';
import type { Bus } from '#bus';
import { every, type AuthorityTimer } from './authority-timer.js';

export interface PermissionStateTimerOptions {
  readonly bus: Bus;
  readonly views: Views;
  /** The partitions of `permission.events` that this process looks after now; each has one process. */
  readonly partitions: () => readonly number[];
  /** Tells when a cut is due, ms since the epoch. Readers believe the brokers' clock alone. */
  readonly now: () => number;
  /** Hears of every pass that failed; the next one tries again. */
  readonly onFailure: (error: unknown) => void;
  /** How often to look, ms. Default: 30 s. */
  readonly everyMs?: number;
  /** Default: {@link MIN_EVENTS_BETWEEN_CUTS}. */
  readonly minEvents?: number;
}

/** So many events of a partition a start reads more than it must, at most, for that snapshots are not written all the time. */
export const MIN_EVENTS_BETWEEN_CUTS = 500;

/** A cut must be older than the window by the brokers' clock; this process's clock may go ahead of it by so much, ms. */
const CLOCK_AHEAD_MS = 60_000;

/**
 * Keeps `permission.state`: for each partition, once enough has happened, snapshots of the agents as they were a window
 * ago, and the position they stand for. Whoever starts reads `permission.events` from there.
 */
export function startPermissionStateTimer(options: PermissionStateTimerOptions): AuthorityTimer {
  const { bus, views, partitions, now, onFailure, everyMs = 30_000, minEvents = MIN_EVENTS_BETWEEN_CUTS } = options;
  let writer: PermissionStateWriter | undefined;

  async function look(): Promise<void> {
    const found = views.cuts();
    if (found === undefined) return;
    writer ??= new PermissionStateWriter(bus, found);
    for (const partition of partitions()) {
      const cut = views.permissions.cutAt(partition, now() - AUTHORITY_WINDOW_MS - CLOCK_AHEAD_MS, (position) => {
        return (writer?.behind(partition, position) ?? 0) >= minEvents;
      });
      try {
        if (cut !== undefined) await writer.write(partition, cut);
      } catch (error) {
        onFailure(error);
      }
    }
  }

  return every(everyMs, look, onFailure);
}
