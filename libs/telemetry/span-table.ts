import { SpanKind } from '@opentelemetry/api';
import { TOPICS } from '#contracts';

/** Where a name comes from. Both OpenTelemetry sets are still in development: hence this one table. */
export type NameSource = 'OpenTelemetry messaging (Kafka)' | 'OpenTelemetry GenAI' | 'OpenTelemetry errors' | 'Remit';

export interface SpanDeclaration {
  /** As Jaeger shows it; `{…}` stands for what differs. */
  readonly name: string;
  /** The topic it is about, where there is but one. */
  readonly topic?: string;
  readonly kind: SpanKind;
  readonly by: string;
  readonly under: string;
  readonly links: string;
  readonly means: string;
}

/** Kinds of spans by their number, as the conventions write them. */
export const SPAN_KINDS: readonly string[] = ['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];

/** Every span of Remit. */
export const SPANS = {
  invokeAgent: {
    name: 'invoke_agent {agent.id}',
    kind: SpanKind.INTERNAL,
    by: 'agent',
    under: 'the span that was active, else what the cause hands on, else none',
    links: '',
    means: 'One turn of an agent: what it proposes, waits for and does.',
  },
  sendIntent: {
    name: 'send agent.actions',
    topic: TOPICS.agentActions.name,
    kind: SpanKind.PRODUCER,
    by: 'agent, or permission for a second round',
    under: '`invoke_agent`; none for a second round, which starts a trace of its own',
    links: 'of a second round: the intent that was held',
    means: 'An intent is put on the log.',
  },
  judge: {
    name: 'process {topic}',
    kind: SpanKind.CONSUMER,
    by: 'each process with a layer, once per intent',
    under: 'the context that came with the message',
    links: 'the batch it came in',
    means: 'The layers of this process judge one intent. Their verdicts and findings are its events.',
  },
  sendDecision: {
    name: 'send agent.decisions',
    topic: TOPICS.agentDecisions.name,
    kind: SpanKind.PRODUCER,
    by: 'the process with the last layer',
    under: '`process {topic}` of the last layer',
    links: '',
    means: 'The decision. An error when it denies, with the rule and its reason.',
  },
  openApproval: {
    name: 'process agent.decisions',
    topic: TOPICS.agentDecisions.name,
    kind: SpanKind.CONSUMER,
    by: 'permission, for holds only',
    under: '`send agent.decisions`',
    links: '',
    means: 'A hold opens its request for approval.',
  },
  executeTool: {
    name: 'execute_tool {action.type}',
    kind: SpanKind.INTERNAL,
    by: 'agent',
    under: '`invoke_agent`',
    links: 'the decision that authorised it',
    means: 'The action itself. What the next agent does because of it hangs under it.',
  },
  sendOutcome: {
    name: 'send agent.outcomes',
    topic: TOPICS.agentOutcomes.name,
    kind: SpanKind.PRODUCER,
    by: 'agent',
    under: '`execute_tool`, else `invoke_agent`',
    links: '',
    means: 'The agent puts on record what came of the action.',
  },
  poll: {
    name: 'poll {topic}',
    kind: SpanKind.CLIENT,
    by: 'each process with a layer, once per batch that holds a traced intent',
    under: 'nothing: a trace of its own',
    links: '',
    means: 'A batch of messages of one partition is judged.',
  },
} as const satisfies Record<string, SpanDeclaration>;

export interface AttributeDeclaration {
  readonly name: string;
  readonly type: 'string' | 'int' | 'double' | 'boolean';
  readonly from: NameSource;
  readonly means: string;
}

const MESSAGING: NameSource = 'OpenTelemetry messaging (Kafka)';
const GEN_AI: NameSource = 'OpenTelemetry GenAI';
const ERRORS: NameSource = 'OpenTelemetry errors';

/** Every attribute of a span, of its events and links. No span carries parameters, or a person. */
export const ATTRIBUTES = {
  agentId: { name: 'agent.id', type: 'string', from: 'Remit', means: 'The agent whose action it is.' },
  genAiOperation: {
    name: 'gen_ai.operation.name',
    type: 'string',
    from: GEN_AI,
    means: '`invoke_agent` or `execute_tool`.',
  },
  genAiAgentId: { name: 'gen_ai.agent.id', type: 'string', from: GEN_AI, means: 'The same as `agent.id`.' },
  genAiAgentName: { name: 'gen_ai.agent.name', type: 'string', from: GEN_AI, means: 'The same as `agent.id`.' },
  genAiToolName: { name: 'gen_ai.tool.name', type: 'string', from: GEN_AI, means: "The action's verb." },
  chainId: { name: 'remit.chain.id', type: 'string', from: 'Remit', means: 'The chain, in every trace it is part of.' },
  intentId: { name: 'remit.intent.id', type: 'string', from: 'Remit', means: 'The intent.' },
  decisionId: { name: 'remit.decision.id', type: 'string', from: 'Remit', means: 'The decision.' },
  requestId: { name: 'remit.request.id', type: 'string', from: 'Remit', means: 'The request for approval of a hold.' },
  round: { name: 'remit.round', type: 'int', from: 'Remit', means: '1, or 2 after an approval has ended.' },
  actionType: { name: 'remit.action.type', type: 'string', from: 'Remit', means: "The action's verb." },
  actionTarget: { name: 'remit.action.target', type: 'string', from: 'Remit', means: 'The system acted on.' },
  actionDigest: { name: 'remit.action.digest', type: 'string', from: 'Remit', means: 'SHA-256 of the whole action.' },
  causeIntentId: {
    name: 'remit.cause.intent.id',
    type: 'string',
    from: 'Remit',
    means: 'The intent that is claimed to have led to this one.',
  },
  outcome: { name: 'remit.outcome', type: 'string', from: 'Remit', means: '`allow`, `deny` or `hold`.' },
  wouldBe: {
    name: 'remit.would_be',
    type: 'string',
    from: 'Remit',
    means: 'The outcome if every rule were enforced.',
  },
  rule: {
    name: 'remit.rule',
    type: 'string',
    from: 'Remit',
    means: 'On a span, the first rule that counted against it; on an event `remit.finding`, its rule.',
  },
  layer: { name: 'remit.layer', type: 'string', from: 'Remit', means: 'The layer of a verdict or finding.' },
  severity: { name: 'remit.severity', type: 'string', from: 'Remit', means: '`critical` or `non_critical`.' },
  effect: { name: 'remit.effect', type: 'string', from: 'Remit', means: '`violation` or `needs-approval`.' },
  enforced: { name: 'remit.enforced', type: 'boolean', from: 'Remit', means: 'Whether the finding counts here.' },
  reason: { name: 'remit.reason', type: 'string', from: 'Remit', means: 'What the rule says, for people.' },
  passed: { name: 'remit.passed', type: 'int', from: 'Remit', means: 'Rules of the layer that were satisfied.' },
  layerMs: { name: 'remit.layer.ms', type: 'double', from: 'Remit', means: 'Time that the layer took, ms.' },
  stage: { name: 'remit.stage', type: 'string', from: 'Remit', means: '`observe` or `enforce`.' },
  charterDigest: { name: 'remit.charter.digest', type: 'string', from: 'Remit', means: 'The charter that judged.' },
  outcomeStatus: {
    name: 'remit.outcome.status',
    type: 'string',
    from: 'Remit',
    means: 'What the agent reports: `executed`, `failed` or `rolled-back`.',
  },
  refusal: {
    name: 'error.type',
    type: 'string',
    from: ERRORS,
    means: 'Of a denied or failed span: the rule, or the code of the error, else its type.',
  },
  linkIs: {
    name: 'remit.link',
    type: 'string',
    from: 'Remit',
    means: 'Of a link: `batch`, `decision` or `held-intent`.',
  },
  fromRecord: {
    name: 'remit.from_record',
    type: 'boolean',
    from: 'Remit',
    means: 'The span was written afterwards, from the record.',
  },
  contentErased: {
    name: 'remit.content_erased',
    type: 'boolean',
    from: 'Remit',
    means: 'Of a span from the record: what the agent said was erased; this is what is left of it.',
  },
  system: { name: 'messaging.system', type: 'string', from: MESSAGING, means: '`kafka`.' },
  operation: {
    name: 'messaging.operation.name',
    type: 'string',
    from: MESSAGING,
    means: '`send`, `process` or `poll`.',
  },
  operationType: {
    name: 'messaging.operation.type',
    type: 'string',
    from: MESSAGING,
    means: '`send`, `process` or `receive`.',
  },
  destination: { name: 'messaging.destination.name', type: 'string', from: MESSAGING, means: 'The topic.' },
  partition: {
    name: 'messaging.destination.partition.id',
    type: 'string',
    from: MESSAGING,
    means: 'The partition.',
  },
  offset: { name: 'messaging.kafka.offset', type: 'int', from: MESSAGING, means: 'Where the message lies.' },
  group: {
    name: 'messaging.consumer.group.name',
    type: 'string',
    from: MESSAGING,
    means: 'The consumer group that shares the work.',
  },
  batchSize: {
    name: 'messaging.batch.message_count',
    type: 'int',
    from: MESSAGING,
    means: 'Messages of the batch.',
  },
} as const satisfies Record<string, AttributeDeclaration>;

/** Every event on a span. */
export const SPAN_EVENTS = {
  verdict: { name: 'remit.verdict', means: 'One layer has judged.' },
  finding: { name: 'remit.finding', means: 'One rule has something against it.' },
} as const;
