import type { EntryTerms } from './entry-hash.js';

/** The published version of the Open Cybersecurity Schema Framework that {@link ocsfEventOf} writes. */
export const OCSF_VERSION = '1.5.0';

const API_ACTIVITY = 6003;
const APPLICATION_ACTIVITY = 6;
const OTHER_ACTIVITY = 99;
/** `metadata.product` of every event. */
const PRODUCT = { name: 'Remit', vendor_name: 'Remit' };

const SEVERITIES = { informational: 1, low: 2, medium: 3 } as const;
const STATUSES = { unknown: 0, success: 1, failure: 2, other: 99 } as const;

function severityOf(outcome: string | null): number {
  switch (outcome) {
    case 'deny':
    case 'failed':
      return SEVERITIES.medium;
    case 'hold':
    case 'rolled-back':
      return SEVERITIES.low;
    default:
      return SEVERITIES.informational;
  }
}

function statusOf(outcome: string | null): number {
  switch (outcome) {
    case null:
      return STATUSES.unknown;
    case 'allow':
    case 'executed':
      return STATUSES.success;
    case 'deny':
    case 'failed':
      return STATUSES.failure;
    default:
      return STATUSES.other;
  }
}

/** Where an event lies in the record, what it can be found by, and the hash that proves it. */
export interface OcsfSource extends EntryTerms {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** ms since the epoch. */
  readonly appendTime: number;
}

/**
 * An event of the record as an OCSF event of class API Activity (6003): an agent (the actor) calls an action (the
 * operation) on a system (the resource). It says what the record can be searched by and nothing that is sealed.
 */
export function ocsfEventOf(source: OcsfSource): Record<string, unknown> {
  const { topic, partition, offset, appendTime, eventType, agentId, intentId, chainId, actionType, target } = source;
  const { outcome, traceId, eventId } = source;
  const activity = actionType ?? eventType ?? 'unreadable message';
  return {
    class_uid: API_ACTIVITY,
    class_name: 'API Activity',
    category_uid: APPLICATION_ACTIVITY,
    category_name: 'Application Activity',
    activity_id: OTHER_ACTIVITY,
    activity_name: activity,
    type_uid: API_ACTIVITY * 100 + OTHER_ACTIVITY,
    type_name: 'API Activity: Other',
    time: appendTime,
    severity_id: severityOf(outcome),
    status_id: statusOf(outcome),
    ...(outcome === null ? {} : { status: outcome }),
    message: [agentId ?? 'somebody', activity, target ?? topic, outcome ?? ''].join(' ').trim(),
    metadata: {
      version: OCSF_VERSION,
      product: PRODUCT,
      uid: `${topic}/${String(partition)}/${String(offset)}`,
      log_name: topic,
      ...(eventType === null ? {} : { event_code: eventType }),
      ...(chainId === null ? {} : { correlation_uid: chainId }),
    },
    actor: { app_name: agentId ?? 'unknown', ...(agentId === null ? {} : { app_uid: agentId }) },
    api: {
      operation: activity,
      ...(target === null ? {} : { service: { name: target } }),
      ...(intentId === null ? {} : { request: { uid: intentId } }),
    },
    src_endpoint: { name: agentId ?? 'unknown' },
    ...(target === null ? {} : { resources: [{ name: target, type: 'system' }] }),
    unmapped: { eventId, traceId },
  };
}
