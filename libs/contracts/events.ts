import type { z } from 'zod';
import {
  charterEventSchema,
  checkpointSchema,
  deadLetterSchema,
  decisionSchema,
  intentSchema,
  judgedIntentSchema,
  logDiscrepancyEventSchema,
  outcomeReportSchema,
  permissionAskSchema,
  permissionCommandSchema,
  permissionCutSchema,
  permissionEventSchema,
  permissionSnapshotSchema,
  recordAccessSchema,
  resubmittedIntentSchema,
} from '#domain';
import { TOPICS, type TopicDeclaration } from './topics.js';

/** One kind of message: its CloudEvents type, what it carries and where it may lie. */
export interface EventDeclaration<Data = unknown> {
  readonly type: string;
  readonly data: z.ZodType<Data>;
  readonly topics: readonly TopicDeclaration[];
  readonly summary: string;
  /** Largest message, bytes: key, value and headers together. Only of what agents write. */
  readonly maxBytes?: number;
}

function event<Data>(
  type: string,
  data: z.ZodType<Data>,
  topics: readonly TopicDeclaration[],
  summary: string,
): EventDeclaration<Data> {
  return { type, data, topics, summary };
}

/** What agents write: any client may have sent it, and a topic's own limit is one of batches. */
function agentEvent<Data>(
  type: string,
  data: z.ZodType<Data>,
  topic: TopicDeclaration,
  summary: string,
): EventDeclaration<Data> {
  return { ...event(type, data, [topic], summary), maxBytes: topic.maxMessageBytes };
}

/** Every message of Remit, once. Types, JSON Schemas and the AsyncAPI document come from this table. */
export const EVENTS = {
  intent: agentEvent('io.remit.intent.v1', intentSchema, TOPICS.agentActions, 'An agent says what it intends to do.'),
  resubmittedIntent: event(
    'io.remit.resubmitted-intent.v1',
    resubmittedIntentSchema,
    [TOPICS.agentActions],
    'Remit itself appends a held intent again, once its approval has ended.',
  ),
  outcome: agentEvent(
    'io.remit.outcome.v1',
    outcomeReportSchema,
    TOPICS.agentOutcomes,
    'An agent says what came of an allowed action.',
  ),
  judgedIntent: event(
    'io.remit.judged-intent.v1',
    judgedIntentSchema,
    [TOPICS.boundaryChecked, TOPICS.permissionChecked, TOPICS.scopeVerified],
    'An intent on its way through the layers, with the verdicts so far.',
  ),
  decision: event('io.remit.decision.v1', decisionSchema, [TOPICS.agentDecisions], 'Remit has decided an intent.'),
  permissionRequest: agentEvent(
    'io.remit.permission-request.v1',
    permissionAskSchema,
    TOPICS.permissionRequests,
    'An agent asks for a permission, or takes its request back.',
  ),
  permissionCommand: event(
    'io.remit.permission-command.v1',
    permissionCommandSchema,
    [TOPICS.permissionCommands],
    'A person or a timer orders something about an agent’s temporary authority.',
  ),
  permissionEvent: event(
    'io.remit.permission-event.v1',
    permissionEventSchema,
    [TOPICS.permissionEvents],
    'A fact about an agent’s temporary authority.',
  ),
  permissionSnapshot: event(
    'io.remit.permission-snapshot.v1',
    permissionSnapshotSchema,
    [TOPICS.permissionState],
    'What an agent’s permission events add up to.',
  ),
  permissionCut: event(
    'io.remit.permission-cut.v1',
    permissionCutSchema,
    [TOPICS.permissionState],
    'Up to here a partition of permission events is in the snapshots.',
  ),
  charterEvent: event(
    'io.remit.charter-event.v1',
    charterEventSchema,
    [TOPICS.charterEvents],
    'A fact about the governing charter.',
  ),
  checkpoint: event(
    'io.remit.checkpoint.v1',
    checkpointSchema,
    [TOPICS.auditCheckpoints],
    'Audit has closed an epoch of the record and signed it.',
  ),
  recordAccess: event(
    'io.remit.record-access.v1',
    recordAccessSchema,
    [TOPICS.auditAccess],
    'Somebody has read the record, destroyed keys or dropped what was kept long enough.',
  ),
  logDiscrepancy: event(
    'io.remit.log-discrepancy.v1',
    logDiscrepancyEventSchema,
    [TOPICS.logDiscrepancies],
    'The log and a database or a consumer group do not agree, or somebody has acknowledged it.',
  ),
  deadLetter: event(
    'io.remit.dead-letter.v1',
    deadLetterSchema,
    [TOPICS.deadLetters],
    'A message that nobody could read, whole, with the reason.',
  ),
} as const;
