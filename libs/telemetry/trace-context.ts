import type { SpanContext } from '@opentelemetry/api';
import { parseTraceParent } from '@opentelemetry/core';
import { TRACE_HEADERS } from '#contracts';

/** A header as a message carries it, or as it is about to be sent. */
type HeaderValue = Uint8Array | string | readonly Uint8Array[] | undefined;
type Headers = Readonly<Record<string, HeaderValue>>;

/** The trace context of a message as text, by header (W3C Trace Context and Baggage). */
export type TraceHeaders = Partial<Readonly<Record<(typeof TRACE_HEADERS)[number], string>>>;

const VERSION_00_LENGTH = 55;
/** Later versions may say more, which nobody here reads: ids found in a long text would keep all of it in memory. */
const READ_LENGTH = 64;
const ZERO = '0'.charCodeAt(0);

/**
 * Whether a `traceparent`, as a whole one would, says that nobody traces the message. Looks at its length and last
 * digits only: what is sampled out must cost next to nothing.
 */
export function saysUnsampled(traceparent: HeaderValue): boolean {
  if (!(traceparent instanceof Uint8Array) || traceparent.length !== VERSION_00_LENGTH) return false;
  return traceparent[VERSION_00_LENGTH - 1] === ZERO && traceparent[VERSION_00_LENGTH - 2] === ZERO;
}

/** The span that a message comes from. `undefined`: none that can be read, or more than one. */
export function spanContextOf(headers: Headers): SpanContext | undefined {
  const text = textOf(headers['traceparent']);
  const parsed = text === undefined ? null : parseTraceParent(text);
  return parsed === null ? undefined : { ...parsed, isRemote: true };
}

/**
 * The headers that go on with what follows from a message: its place in the trace is the new span. Baggage goes on
 * untouched and unread, because nothing in it is trusted; so does tracestate, within the trace it belongs to.
 */
export function headersUnder<Value extends HeaderValue>(
  span: SpanContext,
  carried: Readonly<Record<string, Value>>,
): Record<string, string | NonNullable<Value>> {
  const headers: Record<string, string | NonNullable<Value>> = { traceparent: traceparentOf(span) };
  const { tracestate, baggage } = carried;
  const isSameTrace = (): boolean => spanContextOf(carried)?.traceId === span.traceId;
  if (tracestate !== undefined && isSameTrace()) headers['tracestate'] = tracestate;
  if (baggage !== undefined) headers['baggage'] = baggage;
  return headers;
}

/** The W3C `traceparent` of a span. */
export function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

function textOf(value: HeaderValue): string | undefined {
  if (typeof value === 'string') return value.slice(0, READ_LENGTH);
  return value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, Math.min(value.byteLength, READ_LENGTH)).toString('latin1')
    : undefined;
}
