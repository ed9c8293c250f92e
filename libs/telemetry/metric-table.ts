import { ASK_REFUSAL_CODES, GAP_KINDS, LAYERS, LOG_DISCREPANCY_KINDS, outcomeSchema, severitySchema } from '#domain';

export type InstrumentKind = 'counter' | 'gauge' | 'histogram';

export interface MetricAttribute {
  readonly name: string;
  readonly from: 'OpenTelemetry messaging' | 'OpenTelemetry errors' | 'OpenTelemetry runtime' | 'Remit';
  /** Every value it can have; a text where the values are bounded by something else, which it names. */
  readonly values: readonly string[] | string;
}

export interface MetricDeclaration {
  readonly name: string;
  readonly instrument: InstrumentKind;
  /** UCUM; what is counted in braces. */
  readonly unit: string;
  readonly by: string;
  readonly means: string;
  readonly attributes: readonly MetricAttribute[];
  /** Upper bounds of the buckets, in the metric's unit. Histograms only. */
  readonly buckets?: readonly number[];
  /** Buckets carry the trace of one observation, where it was traced. */
  readonly exemplars?: true;
}

/** An agent, a verb or an outcome that this process cannot name is told as one of these. */
export const OTHER = 'other';
export const UNKNOWN = 'unknown';

const AGENT_ID = {
  name: 'agent.id',
  from: 'Remit',
  values: `the agents that the charter in force declares, else \`${UNKNOWN}\``,
} as const satisfies MetricAttribute;
const ACTION_TYPE = {
  name: 'remit.action.type',
  from: 'Remit',
  values: `the verbs that the charter in force names in full, without \`*\`, else \`${OTHER}\``,
} as const satisfies MetricAttribute;
const LAYER = { name: 'remit.layer', from: 'Remit', values: LAYERS } as const satisfies MetricAttribute;
const TOPIC = {
  name: 'messaging.destination.name',
  from: 'OpenTelemetry messaging',
  values: "Remit's topics",
} as const satisfies MetricAttribute;
const GROUP = {
  name: 'messaging.consumer.group.name',
  from: 'OpenTelemetry messaging',
  values: "Remit's consumer groups",
} as const satisfies MetricAttribute;
const READER = {
  name: 'remit.reader',
  from: 'Remit',
  values: "Remit's consumer groups, and `view` for what keeps a materialized view up to date",
} as const satisfies MetricAttribute;
const PARTITION = {
  name: 'messaging.destination.partition.id',
  from: 'OpenTelemetry messaging',
  values: 'the partitions of the topic, at most 12',
} as const satisfies MetricAttribute;
const OPERATION = {
  name: 'messaging.operation.name',
  from: 'OpenTelemetry messaging',
  values: ['process'],
} as const satisfies MetricAttribute;
const SYSTEM = {
  name: 'messaging.system',
  from: 'OpenTelemetry messaging',
  values: ['kafka'],
} as const satisfies MetricAttribute;
const THREAD = {
  name: 'thread.name',
  from: 'OpenTelemetry runtime',
  values: ['main', 'audit'],
} as const satisfies MetricAttribute;
const WORKER = { name: 'remit.worker', from: 'Remit', values: ['audit'] } as const satisfies MetricAttribute;
const BATCH_ERROR = {
  name: 'error.type',
  from: 'OpenTelemetry errors',
  values: `Remit's error codes, else \`_OTHER\`; left out where the batch went well`,
} as const satisfies MetricAttribute;

/** Decisions are a matter of milliseconds; how far the tail reaches is what is asked of them. */
const DECISION_BUCKETS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30] as const;
const LAYER_BUCKETS = [
  0.000_001, 0.000_005, 0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1,
] as const;
const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000] as const;

/** Why an intent was denied for want of something to judge it by, and by which rule. */
export const FAIL_CLOSED_REASONS = [
  'no-active-charter',
  'authority-unknown',
  'not-kept',
  'charter-differs',
  'layer-error',
  'unknown-agent',
  'unknown-system',
] as const;

/** How a finding counts: for real, or not, and then why not. */
const FINDING_MODES = ['enforced', 'shadow', 'outside-share', 'observe'] as const;

/** What happened to an action. Each is counted on its own, so their sum means nothing. */
const ACTION_STATUSES = ['decided', 'void', 'executed', 'failed', 'rolled-back'] as const;

/** How soon a grant must end to count as expiring, ms. */
export const EXPIRING_WITHIN_MS = 15 * 60_000;

/** At most so many intents of a batch have the time of their layers recorded: each costs a few microseconds. */
export const LAYER_TIMES_PER_BATCH = 4;

/** Every metric of Remit, and every attribute with all that it can say. None of them holds an agent's free text. */
export const METRICS = {
  actions: {
    name: 'agent.actions',
    instrument: 'counter',
    unit: '{action}',
    by: 'permission',
    means:
      'Actions by what became of them, each status on its own: `decided` once per decision that counts (a hold and the ' +
      'decision after it are two), `void` for decisions that came too late, the others as agents report them.',
    attributes: [
      ACTION_TYPE,
      { name: 'remit.outcome', from: 'Remit', values: [...outcomeSchema.options, UNKNOWN] },
      { name: 'remit.status', from: 'Remit', values: ACTION_STATUSES },
      { name: 'remit.stage', from: 'Remit', values: ['enforce', 'observe', UNKNOWN] },
      AGENT_ID,
    ],
  },
  findings: {
    name: 'remit.findings',
    instrument: 'counter',
    unit: '{finding}',
    by: 'each process with a layer',
    means: 'What rules found against intents. A batch that is judged again counts again.',
    attributes: [
      { name: 'remit.rule', from: 'Remit', values: 'the rules of the charter in force and those that come with Remit' },
      LAYER,
      { name: 'remit.mode', from: 'Remit', values: FINDING_MODES },
      { name: 'remit.effect', from: 'Remit', values: ['violation', 'needs-approval'] },
      { name: 'remit.severity', from: 'Remit', values: severitySchema.options },
    ],
  },
  failClosed: {
    name: 'remit.fail_closed',
    instrument: 'counter',
    unit: '{denial}',
    by: 'each process with a layer',
    means: 'Intents denied for want of something to judge them by.',
    attributes: [{ name: 'remit.reason', from: 'Remit', values: FAIL_CLOSED_REASONS }],
  },
  decisionDuration: {
    name: 'remit.decision.duration',
    instrument: 'histogram',
    unit: 's',
    by: 'permission',
    means: "From the intent's append to the append of its decision, both by the brokers' clock.",
    attributes: [{ name: 'remit.outcome', from: 'Remit', values: outcomeSchema.options }],
    buckets: DECISION_BUCKETS,
    exemplars: true,
  },
  layerDuration: {
    name: 'remit.layer.duration',
    instrument: 'histogram',
    unit: 's',
    by: 'each process with a layer',
    means:
      `Time one layer took for one intent. Of each batch at most ${String(LAYER_TIMES_PER_BATCH)} intents, evenly ` +
      'spread over it: quantiles are right, the count is not that of intents.',
    attributes: [LAYER],
    buckets: LAYER_BUCKETS,
    exemplars: true,
  },
  consumedMessages: {
    name: 'messaging.client.consumed.messages',
    instrument: 'counter',
    unit: '{message}',
    by: 'every process',
    means: 'Messages handed to this process. Those of a batch that failed come, and count, again.',
    attributes: [SYSTEM, OPERATION, TOPIC, GROUP, BATCH_ERROR],
  },
  processDuration: {
    name: 'messaging.process.duration',
    instrument: 'histogram',
    unit: 's',
    by: 'every process',
    means: 'Time a batch took, until its results were acknowledged and its offset committed.',
    attributes: [SYSTEM, OPERATION, TOPIC, GROUP, BATCH_ERROR],
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
  },
  batchSize: {
    name: 'remit.batch.size',
    instrument: 'histogram',
    unit: '{message}',
    by: 'every process',
    means: 'Messages of a batch.',
    attributes: [TOPIC, GROUP],
    buckets: BATCH_BUCKETS,
  },
  consumerLag: {
    name: 'remit.consumer.lag',
    instrument: 'gauge',
    unit: '{message}',
    by: 'every process',
    means: "Messages on the log that the group has not worked off yet, of each of this process's partitions.",
    attributes: [GROUP, TOPIC, PARTITION],
  },
  consumerOffset: {
    name: 'remit.consumer.offset',
    instrument: 'gauge',
    unit: '{message}',
    by: 'every process',
    means:
      "The offset of the next message to be worked off, of each of this process's partitions: the group gets on as long " +
      'as it rises.',
    attributes: [GROUP, TOPIC, PARTITION],
  },
  readerStandstill: {
    name: 'remit.reader.standstill',
    instrument: 'gauge',
    unit: 's',
    by: 'every process',
    means:
      'For how long a reader has not read although the brokers answered: not in its group, or in it and not fetching. 0 ' +
      'while it reads, and while it works on a batch. Of several readers with one name, the longest.',
    attributes: [READER],
  },
  readersRenewed: {
    name: 'remit.readers.renewed',
    instrument: 'counter',
    unit: '{reader}',
    by: 'every process',
    means: 'Readers that had not read for 16 s and were made anew.',
    attributes: [READER],
  },
  deadLetters: {
    name: 'remit.dead_letters',
    instrument: 'counter',
    unit: '{message}',
    by: 'every process',
    means: 'Messages that nobody could read, or whose result no topic would take, by the topic they came from.',
    attributes: [
      { name: 'error.type', from: 'OpenTelemetry errors', values: "Remit's error codes, else `_OTHER`" },
      TOPIC,
    ],
  },
  signatureRefusals: {
    name: 'remit.signature.refusals',
    instrument: 'counter',
    unit: '{message}',
    by: 'every process, where signing keys are in use',
    means:
      'Messages that only Remit writes and that no trusted key of the right service has signed. Nobody acts on them.',
    attributes: [
      { name: 'error.type', from: 'OpenTelemetry errors', values: "Remit's error codes, `REMIT_SIGNATURE_…`" },
      TOPIC,
    ],
  },
  givenUp: {
    name: 'remit.messages.given_up',
    instrument: 'counter',
    unit: '{message}',
    by: 'every process',
    means:
      'Messages that could be read and can never be worked off, by group: each is a dead letter, and what would have ' +
      'come of it is missing.',
    attributes: [
      { name: 'error.type', from: 'OpenTelemetry errors', values: "Remit's error codes, else `_OTHER`" },
      TOPIC,
      GROUP,
    ],
  },
  requestsRefused: {
    name: 'remit.requests.refused',
    instrument: 'counter',
    unit: '{request}',
    by: 'permission',
    means:
      'Requests of agents that were refused without an event: beyond the limits of an agent, or of an agent that the ' +
      'charter does not know. A request that is redelivered counts again.',
    attributes: [{ name: 'error.type', from: 'OpenTelemetry errors', values: ASK_REFUSAL_CODES }],
  },
  publishingFailures: {
    name: 'remit.publishing.failures',
    instrument: 'counter',
    unit: '{failure}',
    by: 'permission',
    means:
      'Failures of the sweep that publishes what a crash or an outage has left in the event store: of each agent whose ' +
      'events could not be published, and of each pass that could not read the store. Every five seconds it tries again.',
    attributes: [],
  },
  holdsOpen: {
    name: 'remit.holds.open',
    instrument: 'gauge',
    unit: '{hold}',
    by: 'permission',
    means: 'Held actions that wait for people.',
    attributes: [],
  },
  holdsAge: {
    name: 'remit.holds.age',
    instrument: 'gauge',
    unit: 's',
    by: 'permission',
    means: 'Age of the oldest held action. Left out where none is held.',
    attributes: [],
  },
  holdsTimeLeft: {
    name: 'remit.holds.time_left',
    instrument: 'gauge',
    unit: 's',
    by: 'permission',
    means: 'Until the next held action runs out of time, and is denied. Left out where none is held.',
    attributes: [],
  },
  grantsActive: {
    name: 'remit.grants.active',
    instrument: 'gauge',
    unit: '{grant}',
    by: 'permission',
    means: 'Temporary permissions in force.',
    attributes: [],
  },
  grantsExpiring: {
    name: 'remit.grants.expiring',
    instrument: 'gauge',
    unit: '{grant}',
    by: 'permission',
    means: `Temporary permissions in force that end within ${String(EXPIRING_WITHIN_MS / 60_000)} minutes.`,
    attributes: [],
  },
  grantsTimeLeft: {
    name: 'remit.grants.time_left',
    instrument: 'gauge',
    unit: 's',
    by: 'permission',
    means: 'Until the next temporary permission ends. Left out where none is in force.',
    attributes: [],
  },
  agentsSuspended: {
    name: 'remit.agents.suspended',
    instrument: 'gauge',
    unit: '{agent}',
    by: 'permission',
    means: 'Agents that may do nothing for now.',
    attributes: [],
  },
  auditLag: {
    name: 'remit.audit.lag',
    instrument: 'gauge',
    unit: '{message}',
    by: 'audit',
    means: 'Messages on the log that are not in the record yet, whoever has to store them.',
    attributes: [TOPIC],
  },
  recordAnswerAge: {
    name: 'remit.record.answer.age',
    instrument: 'gauge',
    unit: 's',
    by: 'audit',
    means:
      'Since the database last said what the record holds, or since this process asks: so old is what `remit.audit.lag` ' +
      'knows of the record.',
    attributes: [],
  },
  recordGaps: {
    name: 'remit.record.gaps',
    instrument: 'gauge',
    unit: '{gap}',
    by: 'audit',
    means: 'What does not add up in the record of the last day, as `remit audit gaps` lists it.',
    attributes: [{ name: 'remit.gap', from: 'Remit', values: GAP_KINDS }],
  },
  reconciliationLag: {
    name: 'remit.reconciliation.lag',
    instrument: 'gauge',
    unit: '{message}',
    by: 'audit',
    means:
      'Messages on the log that the watch for discrepancies has not looked at, as of its last look. Those of the last ' +
      'minute, and decisions of the last five, are not due yet. Left out before the first look.',
    attributes: [],
  },
  reconciliationAge: {
    name: 'remit.reconciliation.age',
    instrument: 'gauge',
    unit: 's',
    by: 'audit',
    means:
      'Since the watch for discrepancies last looked at everything that was due, or since this process started: so old is ' +
      'what `remit.record.gaps` says.',
    attributes: [],
  },
  logDiscrepancies: {
    name: 'remit.log.discrepancies',
    instrument: 'gauge',
    unit: '{discrepancy}',
    by: 'every process',
    means:
      'Where the log and those who read it do not agree, and nobody has acknowledged it yet, as `remit log discrepancies` ' +
      'lists it. Every process says the same.',
    attributes: [{ name: 'remit.discrepancy', from: 'Remit', values: LOG_DISCREPANCY_KINDS }],
  },
  checkpointAge: {
    name: 'remit.record.checkpoint.age',
    instrument: 'gauge',
    unit: 's',
    by: 'audit',
    means: 'Since the newest checkpoint was signed, or looked for with nothing new to sign.',
    attributes: [],
  },
  recordVerified: {
    name: 'remit.record.verified',
    instrument: 'gauge',
    unit: '{boolean}',
    by: 'audit',
    means: '1: every epoch this process has checked is as its checkpoint says. 0: one is not, until a check succeeds.',
    attributes: [],
  },
  verificationFailures: {
    name: 'remit.record.verification.failures',
    instrument: 'counter',
    unit: '{failure}',
    by: 'audit',
    means: 'Epochs that were found not to be as their checkpoint says, or that could not be signed for that reason.',
    attributes: [],
  },
  spansExported: {
    name: 'remit.spans.exported',
    instrument: 'counter',
    unit: '{span}',
    by: 'every process that traces',
    means: 'Spans that the collector has taken.',
    attributes: [],
  },
  spansDropped: {
    name: 'remit.spans.dropped',
    instrument: 'counter',
    unit: '{span}',
    by: 'every process that traces',
    means: 'Spans that nobody will see: too many were waiting (`not-sent`), or the collector was away (`not-taken`).',
    attributes: [{ name: 'remit.reason', from: 'Remit', values: ['not-sent', 'not-taken'] }],
  },
  workerRunning: {
    name: 'remit.worker.running',
    instrument: 'gauge',
    unit: '{worker}',
    by: 'standalone',
    means: '1 while the worker thread has started and answers, else 0. What it does not do is done once it runs again.',
    attributes: [WORKER],
  },
  workerRestarts: {
    name: 'remit.worker.restarts',
    instrument: 'counter',
    unit: '{restart}',
    by: 'standalone',
    means: 'Worker threads that have ended by themselves and were started again.',
    attributes: [WORKER],
  },
  eventLoopDelay: {
    name: 'nodejs.eventloop.delay.p99',
    instrument: 'gauge',
    unit: 's',
    by: 'every process',
    means: 'How late the event loop was, 99th percentile since the scrape before.',
    attributes: [THREAD],
  },
  eventLoopUtilization: {
    name: 'nodejs.eventloop.utilization',
    instrument: 'gauge',
    unit: '1',
    by: 'every process',
    means: 'Share of the time since the scrape before in which the event loop was busy.',
    attributes: [THREAD],
  },
  heapUsed: {
    name: 'v8js.memory.heap.used',
    instrument: 'gauge',
    unit: 'By',
    by: 'every process',
    means: 'Heap memory in use.',
    attributes: [
      THREAD,
      {
        name: 'v8js.heap.space.name',
        from: 'OpenTelemetry runtime',
        values: "V8's heap spaces, about ten",
      },
    ],
  },
} as const satisfies Record<string, MetricDeclaration>;

/** Units that Prometheus spells out. Braces only say what is counted. */
const UNIT_WORDS: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes' };

/** A name in which Prometheus allows letters, digits and `_`. */
export function prometheusLabelOf(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_]/g, '_');
}

/**
 * What Prometheus calls a metric: its family, and of a counter the one sample. Histograms have `_bucket`, `_sum` and
 * `_count` behind the family's name.
 */
export function prometheusNameOf({ name, unit, instrument }: Pick<MetricDeclaration, 'name' | 'unit' | 'instrument'>): {
  readonly family: string;
  readonly sample: string;
} {
  const word = unit === '1' && instrument === 'gauge' ? 'ratio' : UNIT_WORDS[unit];
  const family = prometheusLabelOf(name) + (word === undefined ? '' : `_${word}`);
  return { family, sample: instrument === 'counter' ? `${family}_total` : family };
}
