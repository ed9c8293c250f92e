import {
  context,
  createContextKey,
  isSpanContextValid,
  propagation,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Link,
  type Span,
  type SpanContext,
} from '@opentelemetry/api';
import { codeOf } from '#bus';
import {
  ATTRIBUTES as NAMES,
  messageAttributes,
  SPANS,
  spanContextOf,
  traceparentOf,
  type TraceHeaders,
} from '#telemetry';
import { traceOf } from './intent.js';

// The agent's own OpenTelemetry decides whether and where its spans go: without an SDK in the process there are none,
// and a trace context that is handed in goes on as it is.

/** Whose turn it is, in the active context. */
const TURN = createContextKey('remit agent whose turn it is');

function tracer() {
  return trace.getTracer('remit-agent');
}

/** One turn of an agent: everything it proposes and does in it hangs under one `invoke_agent` span. */
export interface Turn {
  readonly context: Context;
  /** What goes on with messages of this turn, and to the agents that act because of it. */
  readonly headers: TraceHeaders;
  end(error?: unknown): void;
}

/** The turn that is on, if it is this agent's; else a new one, under what is handed in or active. */
export function beginTurn(agentId: string, options: TraceHeaders, caused: TraceHeaders | undefined): Turn {
  const active = context.active();
  if (active.getValue(TURN) === agentId && options.traceparent === undefined) {
    return { context: active, headers: headersOf(active, options), end: () => undefined };
  }
  const handedIn = spanContextOf(traceOf(options));
  const from = trace.getSpanContext(active) === undefined ? caused && spanContextOf(traceOf(caused)) : undefined;
  const parent = handedIn ?? from;
  const under = parent === undefined ? active : trace.setSpanContext(active, parent);
  const span = tracer().startSpan(
    `invoke_agent ${agentId}`,
    {
      kind: SPANS.invokeAgent.kind,
      attributes: {
        [NAMES.genAiOperation.name]: 'invoke_agent',
        [NAMES.genAiAgentName.name]: agentId,
        [NAMES.genAiAgentId.name]: agentId,
        [NAMES.agentId.name]: agentId,
      },
    },
    under,
  );
  const inTurn = trace.setSpan(under, span).setValue(TURN, agentId);
  return {
    context: inTurn,
    headers: headersOf(inTurn, parent === from ? { ...caused, ...options } : options),
    end: (error) => end(span, error),
  };
}

/** Runs a turn's work with the turn active, so that the spans of whatever it calls hang under it. */
export async function inTurn<Result>(turn: Turn, work: () => Promise<Result>): Promise<Result> {
  try {
    const result = await context.with(turn.context, work);
    turn.end();
    return result;
  } catch (error) {
    turn.end(error);
    throw error;
  }
}

/** A message on its way to a topic. */
export interface Sending {
  readonly headers: TraceHeaders;
  sent(position: { readonly partition: number; readonly offset: number } | undefined): void;
  failed(error: unknown): void;
}

/** The span of a message that is put on the log, under the one whose headers are handed on. */
export function beginSending(
  which: 'sendIntent' | 'sendOutcome',
  handedOn: TraceHeaders,
  attributes: Attributes,
): Sending {
  const { name, kind, topic } = SPANS[which];
  const parent = spanContextOf(traceOf(handedOn));
  const under = parent === undefined ? context.active() : trace.setSpanContext(context.active(), parent);
  const span = tracer().startSpan(
    name,
    { kind, attributes: { ...messageAttributes('send', { topic }), ...attributes } },
    under,
  );
  return {
    headers: headersOf(trace.setSpan(under, span), handedOn),
    sent(position) {
      if (position !== undefined && span.isRecording()) {
        span.setAttributes({
          [NAMES.partition.name]: String(position.partition),
          [NAMES.offset.name]: position.offset,
        });
      }
      span.end();
    },
    failed: (error) => end(span, error),
  };
}

/** The span of an action that is carried out, linked to the decision that authorised it. */
export function beginExecution(
  turn: Turn,
  actionType: string,
  attributes: Attributes,
  authorisedBy: SpanContext | undefined,
): Turn {
  const links: Link[] =
    authorisedBy === undefined ? [] : [{ context: authorisedBy, attributes: { [NAMES.linkIs.name]: 'decision' } }];
  const span = tracer().startSpan(
    `execute_tool ${actionType}`,
    {
      kind: SPANS.executeTool.kind,
      links,
      attributes: {
        [NAMES.genAiOperation.name]: 'execute_tool',
        [NAMES.genAiToolName.name]: actionType,
        ...attributes,
      },
    },
    turn.context,
  );
  const executing = trace.setSpan(turn.context, span);
  return {
    context: executing,
    headers: headersOf(executing, turn.headers),
    end: (error) => end(span, error),
  };
}

/** Of an error its kind only: messages of errors quote what an action was done with. */
function end(span: Span, error: unknown): void {
  if (error !== undefined) {
    const kind = codeOf(error) ?? (error instanceof Error ? error.name : 'error');
    span.setStatus({ code: SpanStatusCode.ERROR, message: kind });
    span.setAttribute(NAMES.refusal.name, kind);
  }
  span.end();
}

/** As W3C headers: the place in the trace, and whatever the application's own propagators or caller add as baggage. */
function headersOf(place: Context, handedIn: TraceHeaders): TraceHeaders {
  const span = trace.getSpanContext(place);
  const carried: Record<string, string> = {};
  propagation.inject(place, carried);
  const baggage = handedIn.baggage ?? carried['baggage'];
  if (span === undefined || !isSpanContextValid(span)) return { ...traceOf(handedIn), ...(baggage ? { baggage } : {}) };
  const tracestate = span.traceState?.serialize() ?? sameTraceState(span, handedIn);
  return {
    traceparent: traceparentOf(span),
    ...(tracestate ? { tracestate } : {}),
    ...(baggage ? { baggage } : {}),
  };
}

function sameTraceState({ traceId }: SpanContext, handedIn: TraceHeaders): string | undefined {
  return spanContextOf(traceOf(handedIn))?.traceId === traceId ? handedIn.tracestate : undefined;
}
