/** A topic as Remit needs it. The start of every process creates what is missing and refuses what differs. */
export interface TopicDeclaration {
  readonly name: string;
  /** Fixed for life: partition numbers are part of an agent's address. */
  readonly partitions: number;
  /** Largest message, bytes: key, value and headers together. Of what agents write, readers check it. */
  readonly maxMessageBytes: number;
  /** Largest record batch, bytes: Kafka's `max.message.bytes`, which limits what a client sends at once. */
  readonly maxBatchBytes: number;
  /** `null`: never expires. */
  readonly retentionMs: number | null;
  /** Keep only the newest message of each key. */
  readonly compacted: boolean;
  readonly keyedBy: 'agent id' | 'charter' | 'none';
  readonly carries: string;
  /** Without it nobody knows what the charter says and what agents may do: where it is in doubt, nobody judges. */
  readonly controls: boolean;
  /** Who may write: agents can send anything, so readers of these topics trust nothing. */
  readonly writer: 'agents' | 'remit';
  /** Its messages are signed by the service that writes them, where keys are in use; others are refused. */
  readonly signed: boolean;
}

const KIB = 1024;
const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

/** Every topic keyed by agent has this many partitions, so that one agent has one partition number everywhere. */
export const AGENT_PARTITIONS = 12;

/** Room in a record batch beyond the largest message, bytes: for key, headers and the batch's own fields. */
const BATCH_ROOM_BYTES = 4 * KIB;

/**
 * Record batch that every topic takes, bytes: more than common clients send by default. librdkafka (Python, Go, .NET)
 * sends 1,000,000, franz-go and sarama about as much, Java 16 KiB; Kafka's own default limit is 1 MiB and 12 bytes.
 */
export const COMMON_BATCH_BYTES = 1024 * KIB + BATCH_ROOM_BYTES;

function topic(
  name: string,
  carries: string,
  rest: Partial<Omit<TopicDeclaration, 'name' | 'carries'>> = {},
): TopicDeclaration {
  const { maxMessageBytes = 1024 * KIB } = rest;
  return {
    name,
    carries,
    partitions: AGENT_PARTITIONS,
    maxMessageBytes,
    maxBatchBytes: Math.max(COMMON_BATCH_BYTES, maxMessageBytes + BATCH_ROOM_BYTES),
    retentionMs: 7 * DAY_MS,
    compacted: false,
    keyedBy: 'agent id',
    writer: 'remit',
    controls: false,
    signed: false,
    ...rest,
  };
}

/** Largest message an agent may send, bytes: key, value and headers together. */
export const AGENT_MESSAGE_BYTES = 64 * KIB;

/** Every topic of Remit, declared once. Names and keys are those of the design; docs and start-up read this table. */
export const TOPICS = {
  agentActions: topic('agent.actions', 'intents', { maxMessageBytes: AGENT_MESSAGE_BYTES, writer: 'agents' }),
  agentOutcomes: topic('agent.outcomes', 'executed, failed, rolled back', {
    maxMessageBytes: AGENT_MESSAGE_BYTES,
    writer: 'agents',
  }),
  boundaryChecked: topic('governance.boundary-checked', 'intents with the boundary verdict', { signed: true }),
  permissionChecked: topic('governance.permission-checked', 'intents with two verdicts', { signed: true }),
  scopeVerified: topic('governance.scope-verified', 'intents with three verdicts', { signed: true }),
  agentDecisions: topic('agent.decisions', 'decisions, with the digest of the action, not its parameters', {
    retentionMs: 30 * DAY_MS,
    signed: true,
  }),
  permissionRequests: topic('permission.requests', 'what agents ask for', {
    maxMessageBytes: AGENT_MESSAGE_BYTES,
    writer: 'agents',
  }),
  permissionCommands: topic('permission.commands', 'what people and timers ordered', { signed: true }),
  permissionEvents: topic('permission.events', 'what came of it', { retentionMs: null, controls: true, signed: true }),
  permissionState: topic('permission.state', 'snapshots to start from', {
    retentionMs: null,
    compacted: true,
    signed: true,
  }),
  charterEvents: topic('charter.events', 'activated', {
    controls: true,
    partitions: 1,
    retentionMs: null,
    keyedBy: 'charter',
    signed: true,
  }),
  auditCheckpoints: topic('audit.checkpoints', 'signed checkpoints', {
    partitions: 1,
    retentionMs: null,
    keyedBy: 'none',
  }),
  auditAccess: topic('audit.access', 'who read the audit log', { partitions: 1, retentionMs: null, keyedBy: 'none' }),
  logDiscrepancies: topic('governance.discrepancies', 'where log and databases do not agree, and who acknowledged it', {
    partitions: 1,
    retentionMs: null,
    signed: true,
    keyedBy: 'none',
  }),
  deadLetters: topic('governance.dead-letters', 'what could not be read, whole, with the reason', {
    partitions: 1,
    maxMessageBytes: 4096 * KIB,
    retentionMs: 30 * DAY_MS,
    keyedBy: 'none',
  }),
} as const satisfies Record<string, TopicDeclaration>;

/** Names of the topics that control what is judged and how. */
export const CONTROL_TOPICS: readonly string[] = Object.values<TopicDeclaration>(TOPICS)
  .filter(({ controls }) => controls)
  .map(({ name }) => name);

/** A topic's configuration on the broker. */
export function topicConfiguration(topic: TopicDeclaration): Readonly<Record<string, string | number | string[]>> {
  return {
    'cleanup.policy': [topic.compacted ? 'compact' : 'delete'],
    'retention.ms': topic.retentionMs ?? -1,
    'max.message.bytes': topic.maxBatchBytes,
    // judging depends on it: an agent must not choose the time it is judged at
    'message.timestamp.type': 'LogAppendTime',
    // the broker unpacks what agents compress, so that no reader meets a codec it lacks
    'compression.type': 'uncompressed',
    // every start reads a compacted topic whole, so what is superseded has to go soon
    ...(topic.compacted
      ? { 'segment.ms': HOUR_MS, 'max.compaction.lag.ms': HOUR_MS, 'min.cleanable.dirty.ratio': 0.1 }
      : {}),
  };
}
