import { EVENTS, partitionOfKey, readEvent, TOPICS } from '#contracts';
import type { CharterEvent, PermissionEvent } from '#domain';
import type { HistoryEntry } from './history.js';

/** The key of every message on `charter.events`: there is one governing document. */
const CHARTER_KEY = TOPICS.charterEvents.keyedBy;

/** What a message of `charter.events` says; `undefined`: nothing that any reader counts. */
export function charterEventIn(entry: HistoryEntry): CharterEvent | undefined {
  if (entry.key?.toString('utf8') !== CHARTER_KEY) return undefined;
  const reading = readEvent(EVENTS.charterEvent, entry);
  return reading.ok ? reading.event.data : undefined;
}

/** Whose authority a message of `permission.events` is about; `undefined`: it lies where nobody counts it. */
export function agentOfPermissionEntry({ key, partition }: HistoryEntry): string | undefined {
  if (key === null || partitionOfKey(key, TOPICS.permissionEvents.partitions) !== partition) return undefined;
  return key.toString('utf8');
}

/** What it says; `undefined`: it cannot be read, or speaks of someone else, so it might have been a suspension. */
export function permissionEventIn(entry: HistoryEntry): PermissionEvent | undefined {
  const reading = readEvent(EVENTS.permissionEvent, entry);
  if (!reading.ok || entry.key?.toString('utf8') !== reading.event.data.agentId) return undefined;
  return reading.event.data;
}
