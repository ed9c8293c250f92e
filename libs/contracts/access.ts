import { readEvent, type EventBytes } from './cloud-events.js';
import { EVENTS } from './events.js';
import { TOPICS, type TopicDeclaration } from './topics.js';

/** The processes of Remit, each with its own credentials. */
export const SERVICES = ['boundary', 'permission', 'verifier', 'policy', 'audit', 'standalone'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** What one process may do on Kafka, and for which topics its signature counts. */
export interface ServiceAccess {
  readonly reads: readonly TopicDeclaration[];
  readonly writes: readonly TopicDeclaration[];
  /** Consumer groups it joins. */
  readonly groups: readonly string[];
}

/** The consumer groups: what they are called is said here alone. */
export const GROUPS = {
  boundary: 'remit.boundary',
  permission: 'remit.permission',
  verification: 'remit.verification',
  policy: 'remit.policy',
  /** Compares the event store with the log. */
  eventStore: 'remit.event-store',
  commands: 'remit.permission-commands',
  requests: 'remit.permission-requests',
  uses: 'remit.permission-uses',
  rounds: 'remit.permission-rounds',
  /** Stores every message, and judges nothing. */
  audit: 'remit.audit',
} as const;

/** Groups of private readers begin so; each is used by one reader once. */
const SERVICE_VIEWS = 'remit.view.';
const agentViews = (principal: string): string => `agent-${principal}.view.`;

/** What every service that judges reads besides intents. */
const VIEWS = [
  TOPICS.charterEvents,
  TOPICS.permissionEvents,
  TOPICS.permissionState,
  // every process waits where people must acknowledge a discrepancy first, and says what it finds itself
  TOPICS.logDiscrepancies,
] as const;

const BOUNDARY: ServiceAccess = {
  reads: [...VIEWS, TOPICS.agentActions],
  writes: [TOPICS.boundaryChecked, TOPICS.logDiscrepancies, TOPICS.deadLetters],
  groups: [GROUPS.boundary],
};

const PERMISSION: ServiceAccess = {
  reads: [
    ...VIEWS,
    TOPICS.boundaryChecked,
    TOPICS.permissionCommands,
    TOPICS.permissionRequests,
    TOPICS.agentActions,
    TOPICS.agentDecisions,
    TOPICS.agentOutcomes,
  ],
  writes: [
    TOPICS.permissionChecked,
    TOPICS.permissionCommands,
    TOPICS.permissionEvents,
    TOPICS.permissionState,
    TOPICS.charterEvents,
    TOPICS.agentActions,
    TOPICS.auditAccess,
    TOPICS.logDiscrepancies,
    TOPICS.deadLetters,
  ],
  groups: [GROUPS.permission, GROUPS.eventStore, GROUPS.commands, GROUPS.requests, GROUPS.uses, GROUPS.rounds],
};

const VERIFIER: ServiceAccess = {
  reads: [...VIEWS, TOPICS.permissionChecked],
  writes: [TOPICS.scopeVerified, TOPICS.permissionEvents, TOPICS.logDiscrepancies, TOPICS.deadLetters],
  groups: [GROUPS.verification],
};

const POLICY: ServiceAccess = {
  reads: [...VIEWS, TOPICS.scopeVerified],
  writes: [TOPICS.agentDecisions, TOPICS.permissionEvents, TOPICS.logDiscrepancies, TOPICS.deadLetters],
  groups: [GROUPS.policy],
};

const AUDIT: ServiceAccess = {
  reads: Object.values(TOPICS),
  writes: [TOPICS.auditCheckpoints, TOPICS.auditAccess, TOPICS.logDiscrepancies, TOPICS.deadLetters],
  groups: [GROUPS.audit],
};

function together(all: readonly ServiceAccess[]): ServiceAccess {
  const union = <Item>(of: (access: ServiceAccess) => readonly Item[]): Item[] => [...new Set(all.flatMap(of))];
  return {
    reads: union(({ reads }) => reads),
    writes: union(({ writes }) => writes),
    groups: union(({ groups }) => groups),
  };
}

/** The least that each process needs. `standalone` is all of them. */
export const SERVICE_ACCESS: Readonly<Record<ServiceName, ServiceAccess>> = {
  boundary: BOUNDARY,
  permission: PERMISSION,
  verifier: VERIFIER,
  policy: POLICY,
  audit: AUDIT,
  standalone: together([BOUNDARY, PERMISSION, VERIFIER, POLICY, AUDIT]),
};

/** Where the control API runs: these alone say what a person has said. */
const CONTROL_API_HOSTS: readonly ServiceName[] = ['permission', 'standalone'];

/**
 * Whether a service that writes to a topic may write this very message there. Every process reports discrepancies; only
 * where the control API runs does somebody acknowledge one. What nobody can read is for its readers to refuse.
 */
export function mayWrite(service: ServiceName, topic: string, message: EventBytes): boolean {
  if (topic !== TOPICS.logDiscrepancies.name || CONTROL_API_HOSTS.includes(service)) return true;
  const reading = readEvent(EVENTS.logDiscrepancy, message);
  return !reading.ok || reading.event.data.event !== 'LogDiscrepancyAcknowledged';
}

/** What agents need: say what they intend, report and ask; read what was decided. */
export const AGENT_ACCESS = {
  reads: [TOPICS.agentDecisions],
  writes: [TOPICS.agentActions, TOPICS.agentOutcomes, TOPICS.permissionRequests],
} as const satisfies Omit<ServiceAccess, 'groups'>;

/** One permission of Kafka's authorizer. */
export interface AccessRule {
  /** Without `User:`. */
  readonly principal: string;
  readonly resource: 'topic' | 'group';
  readonly name: string;
  readonly match: 'literal' | 'prefix';
  readonly operations: readonly ('read' | 'write' | 'describe' | 'describe-configs' | 'create')[];
}

/** The rules of a service's principal. */
export function rulesOfService(service: ServiceName, principal: string): AccessRule[] {
  const { reads, writes, groups } = SERVICE_ACCESS[service];
  return [
    ...rulesOfTopics(principal, { reads, writes }),
    // every process checks at its start that all topics are there and set as they must be
    ...Object.values(TOPICS).map(({ name }): AccessRule => ({
      principal,
      resource: 'topic',
      name,
      match: 'literal',
      operations: ['describe', 'describe-configs'],
    })),
    ...groups.map((name): AccessRule => ({
      principal,
      resource: 'group',
      name,
      match: 'literal',
      operations: ['read'],
    })),
    { principal, resource: 'group', name: SERVICE_VIEWS, match: 'prefix', operations: ['read'] },
  ];
}

/**
 * The rules of an agent's principal, which is called as its agent id: its consumer groups are nobody else's. Agents that
 * share a principal all connect with `clientId: 'agent-PRINCIPAL'`.
 */
export function rulesOfAgent(principal: string): AccessRule[] {
  return [
    ...rulesOfTopics(principal, AGENT_ACCESS),
    { principal, resource: 'group', name: agentViews(principal), match: 'prefix', operations: ['read'] },
  ];
}

function rulesOfTopics(principal: string, { reads, writes }: Omit<ServiceAccess, 'groups'>): AccessRule[] {
  const rule = (operation: 'read' | 'write', { name }: TopicDeclaration): AccessRule => ({
    principal,
    resource: 'topic',
    name,
    match: 'literal',
    operations: [operation],
  });
  return [...reads.map((topic) => rule('read', topic)), ...writes.map((topic) => rule('write', topic))];
}

/** Rules as lines for `kafka-acls.sh`, after its address options. Adding one that is there changes nothing. */
export function aclArguments({ principal, resource, name, match, operations }: AccessRule): string[] {
  return [
    '--add',
    '--allow-principal',
    `User:${principal}`,
    ...operations.flatMap((operation) => [
      '--operation',
      operation
        .split('-')
        .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
        .join(''),
    ]),
    resource === 'topic' ? '--topic' : '--group',
    name,
    '--resource-pattern-type',
    match === 'literal' ? 'literal' : 'prefixed',
  ];
}
