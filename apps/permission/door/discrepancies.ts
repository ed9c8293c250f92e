import { CONTROL_TOPICS, TOPICS, type DiscrepancyView } from '#contracts';
import { discrepancySentence, type LogDiscrepancy, type StandingDiscrepancy } from '#domain';

/** A discrepancy for people. */
export function discrepancyView({ discrepancy, foundAt, acknowledged }: StandingDiscrepancy): DiscrepancyView {
  return {
    ...discrepancy,
    status: acknowledged === undefined ? 'open' : 'acknowledged',
    says: discrepancySentence(discrepancy),
    todo: todoOf(discrepancy),
    foundAt,
    ...(acknowledged === undefined
      ? {}
      : { acknowledgedBy: acknowledged.by, acknowledgedAt: acknowledged.at, reason: acknowledged.reason }),
  };
}

function todoOf({ kind, topic, reader }: LogDiscrepancy): string {
  switch (kind) {
    case 'log-cut':
      if (topic === TOPICS.charterEvents.name) return 'activate the charter again, then acknowledge';
      if (topic === TOPICS.permissionEvents.name) {
        return 'acknowledge: every permission event that the event store holds is published again, then judging goes on. What was appended until then is denied; agents send it again';
      }
      return `find out who deleted them, or why ${reader} stood still; agents must send again what got no decision. Acknowledge: reading goes on at what the log still has`;
    case 'log-lost':
      return CONTROL_TOPICS.includes(topic)
        ? 'put the topic back if you can, and start again. Else acknowledge: the partition is filled up to where it was, and what the event store holds is published again; then activate the charter again'
        : 'put the topic back if you can, and start again. Else acknowledge: the partition is filled up to where it was, and what was appended to it since is void; agents send it again';
    case 'stream-forked':
      return 'what the log says counts. Look into event_store.set_aside for what the database held instead, order again what is still wanted, then acknowledge';
    case 'checkpoints-lost':
      return 'keep the published checkpoints. Acknowledge once the audit log has been read on: the next checkpoint says that it was restored';
    default:
      return kind satisfies never;
  }
}
