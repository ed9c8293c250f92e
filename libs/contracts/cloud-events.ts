import { isUtf8 } from 'node:buffer';
import type { EventDeclaration } from './events.js';
import { hasOnlyPlainText, membersOf, scanJson } from './exact-json.js';

/** A header as the bus hands it out: a repeated name has an array. */
type HeaderValue = Uint8Array | readonly Uint8Array[] | null | undefined;
type HeaderValues = Readonly<Record<string, HeaderValue>>;

/** What {@link readEvent} needs of a message. */
export interface EventBytes {
  /** Left out where only value and headers are known. */
  readonly key?: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: HeaderValues;
}

/** The context attributes of a CloudEvent (CloudEvents 1.0) and its data. */
export interface CloudEvent<Data> {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  /** RFC 3339. The producer's own word: nothing is judged by it. */
  readonly time?: string;
  readonly data: Data;
}

/** Codes of messages that cannot be read. Each is also the code of the dead letter. */
export type UnreadableCode =
  | 'REMIT_EVENT_EMPTY'
  | 'REMIT_EVENT_TOO_LARGE'
  | 'REMIT_EVENT_NOT_JSON'
  | 'REMIT_EVENT_NOT_EXACT'
  | 'REMIT_EVENT_NOT_A_CLOUDEVENT'
  | 'REMIT_EVENT_WRONG_TYPE'
  | 'REMIT_EVENT_INVALID';

export type EventReading<Data> =
  | { readonly ok: true; readonly event: CloudEvent<Data> }
  | { readonly ok: false; readonly code: UnreadableCode; readonly reason: string };

/** The media type of a CloudEvent in structured mode, as {@link writeEvent} writes it. */
export const STRUCTURED_CONTENT_TYPE = 'application/cloudevents+json';

/** The trace context headers that every service carries on untouched (W3C Trace Context and Baggage). */
export const TRACE_HEADERS = ['traceparent', 'tracestate', 'baggage'] as const;

/** Longest context attribute, characters: what an index of the record still takes. */
export const MAX_ATTRIBUTE_LENGTH = 512;

/** The trace context of a message, byte for byte, to be sent on with whatever follows from it. */
export function traceHeadersOf<Value>(headers: Readonly<Record<string, Value>>): Record<string, Value> {
  const carried: Record<string, Value> = {};
  for (const name of TRACE_HEADERS) {
    const value = headers[name];
    if (value !== undefined) carried[name] = value;
  }
  return carried;
}

/**
 * An event in structured mode: one JSON value and one header, which costs kafkajs less than a header per attribute.
 * Throws what `JSON.stringify` throws for data that are not JSON.
 */
export function writeEvent<Data>(
  declaration: EventDeclaration<Data>,
  event: { id: string; source: string; subject: string; time?: string; data: Data },
): { value: string; headers: { 'content-type': string } } {
  return {
    value: JSON.stringify({
      specversion: '1.0',
      id: event.id,
      source: event.source,
      type: declaration.type,
      subject: event.subject,
      time: event.time,
      datacontenttype: 'application/json',
      data: event.data,
    }),
    headers: { 'content-type': STRUCTURED_CONTENT_TYPE },
  };
}

/**
 * Reads a CloudEvent 1.0 in structured mode (`content-type: application/cloudevents+json`) or binary mode
 * (`ce_*` headers), and checks it against its schema. What agents send must also be exact: nothing that its bytes
 * say may be missing from the data, or be open to another reading. Never throws: what cannot be read comes back with
 * a code.
 */
export function readEvent<Data>(declaration: EventDeclaration<Data>, message: EventBytes): EventReading<Data> {
  try {
    return read(declaration, message);
  } catch (error) {
    // A schema that throws must not stop a partition.
    return refused('REMIT_EVENT_INVALID', `checking the event failed: ${String(error)}`);
  }
}

/** What a message takes, bytes: key, value, and names and values of its headers. */
function messageBytes({ key, value, headers }: EventBytes): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0);
  for (const name in headers) {
    const header = headers[name];
    if (header === undefined || header === null) continue;
    const nameBytes = Buffer.byteLength(name);
    if (header instanceof Uint8Array) bytes += nameBytes + header.length;
    else for (const one of header) bytes += nameBytes + one.length;
  }
  return bytes;
}

type Refused = Extract<EventReading<never>, { ok: false }>;

/** A reason goes into a dead letter, so it must stay small whatever it quotes. */
const MAX_REASON_LENGTH = 1000;

function refused(code: UnreadableCode, reason: string): Refused {
  return { ok: false, code, reason: reason.slice(0, MAX_REASON_LENGTH).replace(/\p{Cs}/gu, '\uFFFD') };
}

function read<Data>(declaration: EventDeclaration<Data>, message: EventBytes): EventReading<Data> {
  const { value, headers } = message;
  if (value === null || value.length === 0) {
    return refused('REMIT_EVENT_EMPTY', 'the message has no value; send a CloudEvent with JSON data');
  }
  if (!isUtf8(value)) return refused('REMIT_EVENT_NOT_JSON', 'the value is not UTF-8');
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
  if (text.startsWith('\uFEFF')) {
    return refused('REMIT_EVENT_NOT_JSON', 'the value starts with a byte order mark; leave it out');
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return refused('REMIT_EVENT_NOT_JSON', 'the value is not JSON');
  }

  const envelope = openEnvelope(headers, body);
  if ('ok' in envelope) return envelope;
  const { attributes, data } = envelope;
  if (attributes.type !== declaration.type) {
    return refused(
      'REMIT_EVENT_WRONG_TYPE',
      `the event type is ${JSON.stringify(attributes.type)}; this topic carries ${declaration.type}`,
    );
  }

  const bytes = messageBytes(message);
  if (declaration.maxBytes !== undefined && bytes > declaration.maxBytes) {
    return refused(
      'REMIT_EVENT_TOO_LARGE',
      `the message takes ${bytes} bytes with its key and headers, and may take ${declaration.maxBytes}: send less at once`,
    );
  }

  const byAgents = declaration.topics.some((topic) => topic.writer === 'agents');
  const scan = byAgents ? scanJson(text) : undefined;
  if (scan?.ok === false) return refused('REMIT_EVENT_NOT_EXACT', scan.reason);
  if (scan?.unicodeEscapes === true && !hasOnlyPlainText(body)) {
    return refused('REMIT_EVENT_NOT_EXACT', 'a text holds U+0000 or half a surrogate pair; leave it out');
  }
  const checked = declaration.data.safeParse(data);
  if (!checked.success) {
    const problems = checked.error.issues.slice(0, 5);
    const sentences = problems.map(
      (problem) => `${['data', ...problem.path.map(String)].join('.')}: ${problem.message}`,
    );
    return refused('REMIT_EVENT_INVALID', sentences.join('; '));
  }
  if (scan !== undefined && scan.members !== envelope.members + membersOf(checked.data)) {
    return refused('REMIT_EVENT_NOT_EXACT', 'an object names a member twice, or one that cannot be kept (__proto__)');
  }
  return { ok: true, event: { ...attributes, data: checked.data } };
}

interface Envelope {
  readonly attributes: Omit<CloudEvent<unknown>, 'data'>;
  readonly data: unknown;
  /** Object members of the value outside `data`. */
  readonly members: number;
}

const HOW_TO_SEND =
  'send content-type application/cloudevents+json with specversion, id, source, type and data in the value, ' +
  'or ce_specversion, ce_id, ce_source and ce_type as headers with the JSON data as value';

function notACloudEvent(reason: string): Refused {
  return refused('REMIT_EVENT_NOT_A_CLOUDEVENT', `not a CloudEvent 1.0: ${reason}`);
}

function openEnvelope(headers: HeaderValues, body: unknown): Envelope | Refused {
  const contentType = headerOf(headers, 'content-type');
  if (contentType === AMBIGUOUS) return notACloudEvent('the header content-type is repeated or not UTF-8');
  if (contentType === STRUCTURED_CONTENT_TYPE) return openBody(body);
  const media = contentType === undefined ? undefined : mediaTypeOf(contentType);
  if (media?.charset !== undefined && media.charset !== 'utf-8') {
    return notACloudEvent(`the charset is ${JSON.stringify(media.charset)}; send UTF-8`);
  }
  if (media?.type === STRUCTURED_CONTENT_TYPE) return openBody(body);
  if (media?.type.startsWith('application/cloudevents') === true) {
    return notACloudEvent(`content-type ${JSON.stringify(media.type)} is not one that Remit reads; ${HOW_TO_SEND}`);
  }
  if (media !== undefined && !isJson(media.type)) {
    return notACloudEvent(`content-type ${JSON.stringify(media.type)} is not JSON; ${HOW_TO_SEND}`);
  }
  return openHeaders(headers, body);
}

function openBody(body: unknown): Envelope | Refused {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return notACloudEvent(`the value is not an object; ${HOW_TO_SEND}`);
  }
  const fields = body as Record<string, unknown>;
  const { datacontenttype, data } = fields;
  if (Object.hasOwn(fields, 'data_base64')) return notACloudEvent('send data as JSON in data, not in data_base64');
  if (datacontenttype !== 'application/json' && datacontenttype !== undefined && datacontenttype !== null) {
    if (typeof datacontenttype !== 'string' || !isJson(mediaTypeOf(datacontenttype).type)) {
      return notACloudEvent('datacontenttype must be application/json');
    }
  }
  let members = 0;
  for (const name of Object.keys(fields)) members += name === 'data' ? 1 : 1 + membersOf(fields[name]);
  return envelopeOf((name) => fields[name] ?? undefined, data, members);
}

function openHeaders(headers: HeaderValues, data: unknown): Envelope | Refused {
  return envelopeOf((name) => headerOf(headers, `ce_${name}`), data, 0);
}

/** No control characters and no half surrogate pairs, as CloudEvents asks of attributes. */
const ATTRIBUTE = /^[^\p{Cc}\p{Cs}]+$/u;
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i;

function envelopeOf(attribute: (name: string) => unknown, data: unknown, members: number): Envelope | Refused {
  const specversion = attribute('specversion');
  if (specversion === undefined) return notACloudEvent(HOW_TO_SEND);
  if (specversion !== '1.0') return notACloudEvent('specversion must be "1.0"');
  const id = attribute('id');
  const source = attribute('source');
  const type = attribute('type');
  const subject = attribute('subject');
  const time = attribute('time');
  if (!isAttribute(id)) return badAttribute('id', id);
  if (!isAttribute(source)) return badAttribute('source', source);
  if (!isAttribute(type)) return badAttribute('type', type);
  if (subject !== undefined && !isAttribute(subject)) return badAttribute('subject', subject);
  if (time !== undefined && !isAttribute(time)) return badAttribute('time', time);
  if (time !== undefined && !(RFC_3339.test(time) && Number.isFinite(Date.parse(time)))) {
    return notACloudEvent('time must be a time as in RFC 3339, such as 2026-11-24T09:30:00Z');
  }
  return {
    attributes: {
      id,
      source,
      type,
      ...(subject === undefined ? {} : { subject }),
      ...(time === undefined ? {} : { time }),
    },
    data,
    members,
  };
}

function isAttribute(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_ATTRIBUTE_LENGTH && ATTRIBUTE.test(value);
}

function badAttribute(name: string, value: unknown): Refused {
  return notACloudEvent(
    value === undefined
      ? `${name} is missing; ${HOW_TO_SEND}`
      : `${name} must be given once, as 1 to ${MAX_ATTRIBUTE_LENGTH} characters without control characters`,
  );
}

/** Stands for a header that comes twice or is not UTF-8: nobody can say what it means. */
const AMBIGUOUS = Symbol('ambiguous header');

function headerOf(headers: HeaderValues, name: string): string | typeof AMBIGUOUS | undefined {
  const value = headers[name];
  if (value === undefined || value === null) return undefined;
  const single = value instanceof Uint8Array ? value : value.length === 1 ? value[0] : undefined;
  if (single === undefined || !isUtf8(single)) return AMBIGUOUS;
  return Buffer.from(single.buffer, single.byteOffset, single.byteLength).toString('utf8');
}

interface MediaType {
  /** Lower case, without parameters. */
  readonly type: string;
  readonly charset?: string;
}

function mediaTypeOf(contentType: string): MediaType {
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=');
    if (name.trim() === 'charset') return { type: type.trim(), charset: value.trim().replaceAll('"', '') };
  }
  return { type: type.trim() };
}

/** JSON by its subtype, as CloudEvents' JSON format defines it. */
function isJson(mediaType: string): boolean {
  return mediaType.endsWith('/json') || mediaType.endsWith('+json');
}
