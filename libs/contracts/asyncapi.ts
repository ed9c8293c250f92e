import { MAX_ATTRIBUTE_LENGTH, STRUCTURED_CONTENT_TYPE, TRACE_HEADERS } from './cloud-events.js';
import { type EventDeclaration, EVENTS } from './events.js';
import { type JsonSchema, embeddedSchemaOf, shortNameOf } from './json-schemas.js';
import { TOPICS, type TopicDeclaration, topicConfiguration } from './topics.js';

/** An AsyncAPI 3.0.0 document, as data. */
export type AsyncApiDocument = JsonSchema;

type Event = EventDeclaration;
type Party = 'agent' | 'boundary' | 'permission' | 'verifier' | 'policy' | 'audit' | 'operator';

interface Flow {
  readonly party: Party;
  readonly action: 'send' | 'receive';
  readonly topic: TopicDeclaration;
  readonly summary: string;
}

function flow(party: Party, action: Flow['action'], topic: TopicDeclaration, summary: string): Flow {
  return { party, action, topic, summary };
}

const PARTIES: Readonly<Record<Party, string>> = {
  agent: 'Any program that acts: through the SDK or with a plain Kafka client.',
  boundary: 'First layer: what an agent can never do.',
  permission: 'Second layer: standing permissions and grants; the one door for people.',
  verifier: 'Third layer: was this agent meant to do this at all.',
  policy: 'Fourth layer: conditions; folds all verdicts into the decision.',
  audit: 'Stores every event of every topic.',
  operator: 'People, by the command line.',
};

function layer(party: Party, from: TopicDeclaration, to: TopicDeclaration): Flow[] {
  return [
    flow(party, 'receive', from, 'Judges what arrives here.'),
    flow(party, 'send', to, 'Passes on what it judged.'),
    flow(party, 'receive', TOPICS.charterEvents, 'Follows the charter in force.'),
    flow(party, 'receive', TOPICS.permissionEvents, 'Follows the agents’ temporary authority.'),
    flow(party, 'send', TOPICS.deadLetters, 'Puts aside what it cannot read.'),
  ];
}

/** Every process compares what it reads with the log. */
const DISCREPANCY_FLOWS: readonly Flow[] = (['boundary', 'permission', 'verifier', 'policy', 'audit'] as const).flatMap(
  (party) => [
    flow(party, 'send', TOPICS.logDiscrepancies, 'Says where the log and what it has read do not agree.'),
    ...(party === 'audit'
      ? []
      : [flow(party, 'receive', TOPICS.logDiscrepancies, 'Waits where people must acknowledge something first.')]),
  ],
);

/** Who sends what where, when each layer is a process of its own. */
const FLOWS: readonly Flow[] = [
  flow('agent', 'send', TOPICS.agentActions, 'Says what it intends to do.'),
  flow('agent', 'receive', TOPICS.agentDecisions, 'Awaits the first final decision that is not void.'),
  flow('agent', 'send', TOPICS.agentOutcomes, 'Says what came of an allowed action.'),
  flow('agent', 'send', TOPICS.permissionRequests, 'Asks for a permission.'),
  ...layer('boundary', TOPICS.agentActions, TOPICS.boundaryChecked),
  ...layer('permission', TOPICS.boundaryChecked, TOPICS.permissionChecked),
  flow('permission', 'send', TOPICS.charterEvents, 'Activates the charter that a person brought through the door.'),
  flow('permission', 'send', TOPICS.permissionCommands, 'Passes on what people ordered at the door, and timers.'),
  flow('permission', 'receive', TOPICS.permissionCommands, 'Decides what was ordered.'),
  flow('permission', 'receive', TOPICS.permissionRequests, 'Decides what agents ask for.'),
  flow('permission', 'receive', TOPICS.agentDecisions, 'Opens a request for each hold, and settles uses.'),
  flow('permission', 'send', TOPICS.permissionEvents, 'Says what came of it.'),
  flow('permission', 'send', TOPICS.agentActions, 'Starts round 2 of a held intent once people have decided.'),
  ...layer('verifier', TOPICS.permissionChecked, TOPICS.scopeVerified),
  ...layer('policy', TOPICS.scopeVerified, TOPICS.agentDecisions),
  ...Object.values(TOPICS).map((topic) => flow('audit', 'receive', topic, 'Stores it.')),
  flow('audit', 'send', TOPICS.deadLetters, 'Puts aside what it cannot read.'),
  flow('audit', 'send', TOPICS.auditCheckpoints, 'Signs what it has stored.'),
  ...DISCREPANCY_FLOWS,
  flow('operator', 'send', TOPICS.auditAccess, 'Says who reads the record, and what was erased.'),
];

const KAFKA_BINDING = '0.5.0';

function eventsOf(topic: TopicDeclaration): Event[] {
  const events: readonly Event[] = Object.values(EVENTS);
  return events.filter((event) => event.topics.includes(topic));
}

/** `governance.boundary-checked` → `governance-boundary-checked`: ids in the document have no points. */
function channelIdOf(topic: TopicDeclaration): string {
  return topic.name.replaceAll('.', '-');
}

/** Both modes of an event, as they are called in the document. */
function messageIdsOf(event: Event): [structured: string, binary: string] {
  const id = shortNameOf(event).replaceAll('.', '-');
  return [id, `${id}-binary`];
}

function byKey<Value>(entries: readonly (readonly [string, Value])[]): Record<string, Value> {
  return Object.fromEntries(entries);
}

function refTo(...path: readonly string[]): { $ref: string } {
  return { $ref: `#/${path.join('/')}` };
}

const attribute = { type: 'string', minLength: 1, maxLength: MAX_ATTRIBUTE_LENGTH };
const traceHeaders = byKey(
  TRACE_HEADERS.map((name) => [name, { type: 'string', description: 'W3C trace context, carried on untouched.' }]),
);

function attributesOf(event: Event): Record<string, JsonSchema> {
  return {
    specversion: { type: 'string', const: '1.0' },
    id: { ...attribute, description: 'Unique among the events of the source.' },
    source: { ...attribute, description: 'Who wrote the event, such as /agents/cost-monitor.' },
    type: { type: 'string', const: event.type },
    subject: { ...attribute, description: 'What the event is about; the key says it too.' },
    time: { type: 'string', format: 'date-time', description: 'The writer’s own word: nothing is judged by it.' },
  };
}

const REQUIRED_ATTRIBUTES = ['specversion', 'id', 'source', 'type'];

const KEYS: Readonly<Record<TopicDeclaration['keyedBy'], JsonSchema | undefined>> = {
  'agent id': { type: 'string', description: 'The agent’s id. Its murmur2 hash chooses the partition.' },
  charter: { type: 'string', const: 'charter', description: 'Always the same: there is one governing document.' },
  none: undefined,
};

function messagesOf(event: Event): (readonly [string, JsonSchema])[] {
  const [structured, binary] = messageIdsOf(event);
  const data = refTo('components', 'schemas', shortNameOf(event).replaceAll('.', '-'));
  const key = KEYS[event.topics[0]?.keyedBy ?? 'none'];
  const rest = { bindings: { kafka: { ...(key === undefined ? {} : { key }), bindingVersion: KAFKA_BINDING } } };
  const ceHeaders = Object.entries(attributesOf(event)).map(([name, schema]) => [`ce_${name}`, schema] as const);
  return [
    [
      structured,
      {
        name: event.type,
        title: event.type,
        summary: event.summary,
        description: 'CloudEvents 1.0 in structured mode, as Remit writes it.',
        contentType: STRUCTURED_CONTENT_TYPE,
        headers: {
          type: 'object',
          required: ['content-type'],
          properties: { 'content-type': { type: 'string', const: STRUCTURED_CONTENT_TYPE }, ...traceHeaders },
        },
        payload: {
          type: 'object',
          required: [...REQUIRED_ATTRIBUTES, 'data'],
          properties: {
            ...attributesOf(event),
            datacontenttype: { type: 'string', const: 'application/json' },
            data,
          },
        },
        ...rest,
      },
    ],
    [
      binary,
      {
        name: event.type,
        title: `${event.type}, binary mode`,
        summary: event.summary,
        description: 'CloudEvents 1.0 in binary mode, which every reader accepts too.',
        contentType: 'application/json',
        headers: {
          type: 'object',
          required: REQUIRED_ATTRIBUTES.map((name) => `ce_${name}`),
          properties: {
            'content-type': { type: 'string', const: 'application/json' },
            ...byKey(ceHeaders),
            ...traceHeaders,
          },
        },
        payload: data,
        ...rest,
      },
    ],
  ];
}

function channelOf(topic: TopicDeclaration): JsonSchema {
  const ids = eventsOf(topic).flatMap(messageIdsOf);
  return {
    address: topic.name,
    summary: `Carries ${topic.carries}.`,
    description: `Keyed by ${topic.keyedBy}. Written by ${topic.writer === 'agents' ? 'agents' : 'Remit only'}.`,
    ...(ids.length === 0 ? {} : { messages: byKey(ids.map((id) => [id, refTo('components', 'messages', id)])) }),
    bindings: {
      kafka: {
        topic: topic.name,
        partitions: topic.partitions,
        topicConfiguration: topicConfiguration(topic),
        bindingVersion: KAFKA_BINDING,
      },
    },
  };
}

function operationOf({ party, action, topic, summary }: Flow): readonly [string, JsonSchema] {
  const channel = channelIdOf(topic);
  return [
    `${party}-${action}-${channel}`,
    {
      action,
      channel: refTo('channels', channel),
      summary,
      tags: [{ name: party }],
      messages: eventsOf(topic)
        .flatMap(messageIdsOf)
        .map((id) => refTo('channels', channel, 'messages', id)),
    },
  ];
}

/** All topics, messages and flows of Remit as one AsyncAPI 3.0.0 document. */
export function asyncApiDocument(): AsyncApiDocument {
  const topics: readonly TopicDeclaration[] = Object.values(TOPICS);
  const events: readonly Event[] = Object.values(EVENTS);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Remit',
      version: '1',
      description:
        'Governance for AI agents on Kafka: intents in, decisions out. Every topic uses broker append time. ' +
        'An operation’s tag says whose it is; several neighbouring layers in one process skip the topics between them.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      tags: Object.entries(PARTIES).map(([name, description]) => ({ name, description })),
    },
    defaultContentType: STRUCTURED_CONTENT_TYPE,
    servers: {
      kafka: {
        host: '{brokers}',
        protocol: 'kafka',
        description: 'The brokers that Remit runs on.',
        variables: { brokers: { default: '127.0.0.1:9092', description: 'Host and port; printed at start.' } },
      },
    },
    channels: byKey(topics.map((topic) => [channelIdOf(topic), channelOf(topic)])),
    // Topics whose messages nobody has declared yet are listed as channels, but nobody sends or receives there.
    operations: byKey(FLOWS.filter(({ topic }) => eventsOf(topic).length > 0).map(operationOf)),
    components: {
      schemas: byKey(events.map((event) => [shortNameOf(event).replaceAll('.', '-'), embeddedSchemaOf(event)])),
      messages: byKey(events.flatMap(messagesOf)),
    },
  };
}
