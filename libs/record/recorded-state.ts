import { sha256, TOPICS } from '#contracts';
import {
  evolveAuthorityState,
  evolveCharterState,
  placeOf,
  type AuthorityState,
  type CharterState,
  type StateAt,
} from '#domain';
import { agentOfPermissionEntry, charterEventIn, permissionEventIn } from './governing-events.js';
import type { HistoryEntry, HistoryReading } from './history.js';

/**
 * What was in force at a time, ms since the epoch: what an intent appended then was judged by. Like every judgement it
 * counts the events of earlier milliseconds, in partition order with a running maximum of their append times.
 */
export async function stateOfRecordAt(history: HistoryReading, time: number): Promise<StateAt> {
  let charter: CharterState | undefined;
  for await (const entry of eventsBefore(history, TOPICS.charterEvents.name, 0, time)) {
    charter = evolveCharterState(charter, { ...placeOf(entry), event: charterEventIn(entry) }, sha256);
  }
  const authorities = new Map<string, AuthorityState>();
  const { name: topic, partitions } = TOPICS.permissionEvents;
  for (let partition = 0; partition < partitions; partition += 1) {
    for await (const entry of eventsBefore(history, topic, partition, time)) {
      const agentId = agentOfPermissionEntry(entry);
      if (agentId === undefined) continue;
      const placed = { ...placeOf(entry), event: permissionEventIn(entry) };
      authorities.set(agentId, evolveAuthorityState(authorities.get(agentId), placed));
    }
  }
  return { time, charter, authorities };
}

async function* eventsBefore(
  history: HistoryReading,
  topic: string,
  partition: number,
  time: number,
): AsyncGenerator<HistoryEntry> {
  for await (const page of history.partition({ topic, partition, from: 0 })) {
    for (const entry of page) {
      // The first one of this time ends it: whatever its clock says, nothing behind it is earlier in the log.
      if (entry.appendTime >= time) return;
      yield entry;
    }
  }
}
