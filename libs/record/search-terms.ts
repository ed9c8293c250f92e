import { z } from 'zod';
import { EVENTS, readEvent, TOPICS, type EventDeclaration } from '#contracts';
import type { RecordedMessage, SearchTerms, StoredHeaders } from './history.js';

/** Longer than any valid name or id; short enough for every index. */
const LONGEST_TERM = 256;

/**
 * The form in which a text is searched: what PostgreSQL cannot hold as text (NUL, lone surrogates) and what lies
 * beyond 256 UTF-16 units is replaced or cut. The message itself is kept byte for byte.
 */
export function searchTerm(text: string): string {
  return text.slice(0, LONGEST_TERM).toWellFormed().replaceAll('\0', '\uFFFD');
}

function fieldOf(data: unknown, name: string): unknown {
  return typeof data === 'object' && data !== null ? (data as Record<string, unknown>)[name] : undefined;
}

function termIn(data: unknown, name: string): string | null {
  const value = fieldOf(data, name);
  return typeof value === 'string' ? searchTerm(value) : null;
}

type TermsInData = Omit<SearchTerms, 'eventType' | 'eventId' | 'traceId'>;

/** Forgiving on purpose: what the layers refuse must be found all the same. */
function termsInData(data: unknown): TermsInData {
  const action = fieldOf(data, 'action');
  return {
    agentId: termIn(data, 'agentId'),
    intentId: termIn(data, 'intentId'),
    chainId: termIn(data, 'chainId'),
    actionType: termIn(action, 'type'),
    target: termIn(action, 'target'),
    outcome: termIn(data, 'outcome') ?? termIn(data, 'status'),
  };
}

function termsInIntent(intent: unknown): TermsInData {
  const terms = termsInData(intent);
  return { ...terms, chainId: terms.chainId ?? terms.intentId };
}

const TERMS_IN: Record<keyof typeof EVENTS, (data: unknown) => TermsInData> = {
  intent: termsInIntent,
  judgedIntent: (data) => termsInIntent(fieldOf(data, 'intent')),
  resubmittedIntent: (data) => termsInIntent(fieldOf(data, 'intent')),
  outcome: termsInData,
  decision: termsInData,
  permissionRequest: termsInData,
  permissionCommand: termsInData,
  permissionEvent: termsInData,
  permissionSnapshot: termsInData,
  permissionCut: termsInData,
  charterEvent: termsInData,
  checkpoint: termsInData,
  recordAccess: termsInData,
  logDiscrepancy: termsInData,
  deadLetter: termsInData,
};

interface Searchable {
  /** Without a schema, and without topics, nothing is asked of the bytes but to be a CloudEvent of the type. */
  readonly declaration: EventDeclaration;
  readonly termsIn: (data: unknown) => TermsInData;
}

const SEARCHABLE_BY_TOPIC = new Map<string, Searchable[]>();
for (const name of Object.keys(EVENTS) as (keyof typeof EVENTS)[]) {
  const { type, summary, topics } = EVENTS[name];
  const declaration = { type, summary, topics: [], data: z.unknown() };
  for (const topic of topics) {
    const searchable = SEARCHABLE_BY_TOPIC.get(topic.name) ?? [];
    searchable.push({ declaration, termsIn: TERMS_IN[name] });
    SEARCHABLE_BY_TOPIC.set(topic.name, searchable);
  }
}

const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

function traceIdOf(headers: StoredHeaders): string | null {
  const traceparent = headers['traceparent'];
  const bytes = Buffer.isBuffer(traceparent) ? traceparent : traceparent?.[0];
  return bytes === undefined ? null : (TRACEPARENT.exec(bytes.toString('latin1'))?.[1] ?? null);
}

const NOTHING_READ: Omit<SearchTerms, 'traceId'> = {
  eventType: null,
  eventId: null,
  agentId: null,
  intentId: null,
  chainId: null,
  actionType: null,
  target: null,
  outcome: null,
};

/** Whom and what a message is about, for the key it is sealed with. */
export interface Subject {
  /** Whose intent's content it holds; `undefined`: it belongs to no intent alone. */
  readonly intent: { readonly agentId: string; readonly intentId: string } | undefined;
  readonly agentId: string | null;
  /** The person the agent acts for. */
  readonly person: string | null;
}

export interface ReadMessage {
  readonly terms: SearchTerms;
  readonly subject: Subject;
}

const INTENT_CONTENT = new Set<string>(
  [
    TOPICS.agentActions,
    TOPICS.agentOutcomes,
    TOPICS.boundaryChecked,
    TOPICS.permissionChecked,
    TOPICS.scopeVerified,
  ].map(({ name }) => name),
);

function subjectOf(message: Pick<RecordedMessage, 'topic' | 'key'>, terms: SearchTerms, data: unknown): Subject {
  const deadKey = message.topic === TOPICS.deadLetters.name ? termIn(data, 'key') : null;
  const key = deadKey === null ? message.key : Buffer.from(deadKey, 'base64');
  const agentId = terms.agentId ?? (key === null ? null : searchTerm(key.toString('utf8')));
  const held = termIn(fieldOf(data, 'held'), 'intentId');
  const intentId = INTENT_CONTENT.has(message.topic) ? terms.intentId : held;
  const person = termIn(data, 'onBehalfOf') ?? termIn(fieldOf(data, 'intent'), 'onBehalfOf');
  return { intent: agentId === null || intentId === null ? undefined : { agentId, intentId }, agentId, person };
}

/** What a message says, as far as it can be read. Never throws. */
export function readMessage(message: Pick<RecordedMessage, 'topic' | 'key' | 'headers' | 'value'>): ReadMessage {
  const traceId = traceIdOf(message.headers);
  for (const { declaration, termsIn } of SEARCHABLE_BY_TOPIC.get(message.topic) ?? []) {
    const reading = readEvent(declaration, message);
    if (!reading.ok) continue;
    const { id, type, data } = reading.event;
    const terms = { eventType: searchTerm(type), eventId: searchTerm(id), ...termsIn(data), traceId };
    return { terms, subject: subjectOf(message, terms, data) };
  }
  const terms = { ...NOTHING_READ, traceId };
  return { terms, subject: subjectOf(message, terms, undefined) };
}

/** What a message can be found by: one that nobody can read by time and trace only. */
export function searchTermsOf(message: Pick<RecordedMessage, 'topic' | 'key' | 'headers' | 'value'>): SearchTerms {
  return readMessage(message).terms;
}

/** The bytes that a decision has where, and only where, a rule has found something. */
export function findingOf(rule: string): Buffer {
  return Buffer.from(`"rule":${JSON.stringify(rule)}`);
}
