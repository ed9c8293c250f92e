import { v7 as uuidv7 } from 'uuid';
import { type EventDeclaration, EVENTS, TRACE_HEADERS, readEvent, sha256, writeEvent } from '#contracts';
import {
  type Action,
  type Intent,
  type SaidCause,
  type Trigger,
  canonicalJson,
  digestOf,
  MAX_PROOF_DECISION,
} from '#domain';
import type { TraceHeaders } from '#telemetry';
import type { Answer } from './answer.js';

/** What an intent says besides the action. Its trace is the active one, else what is handed in here, else the cause's. */
export interface IntentOptions extends TraceHeaders {
  /** The person the agent acts for. */
  readonly onBehalfOf?: string;
  /** What started the chain. */
  readonly trigger?: Trigger;
  /** What led to this action: the answer to an earlier proposal, of whichever agent, or its ids and proof. */
  readonly cause?: Answer | SaidCause;
  /** The chain's name. Else the cause's chain, if `cause` is an answer; else a new chain. */
  readonly chainId?: string;
  readonly precedingActions?: readonly string[];
}

/** A message, ready for the topic it belongs to. */
export interface AgentMessage {
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type PreparedIntent =
  | { readonly ok: true; readonly intent: Intent; readonly actionDigest: string; readonly message: AgentMessage }
  | { readonly ok: false; readonly intent: Intent; readonly reason: string };

/** Writes an agent's message and reads it back as Remit will: what Remit could not read is never sent. */
export function writeAgentMessage<Data extends { agentId: string }>(
  declaration: EventDeclaration<Data>,
  id: string,
  data: Data,
  trace: TraceHeaders = {},
):
  | { readonly ok: true; readonly message: AgentMessage; readonly data: Data }
  | { readonly ok: false; readonly reason: string } {
  let written: ReturnType<typeof writeEvent>;
  try {
    const time = new Date().toISOString();
    written = writeEvent(declaration, { id, source: `/agents/${data.agentId}`, subject: data.agentId, time, data });
  } catch (error) {
    return { ok: false, reason: `not JSON: ${messageOf(error)}` };
  }
  const headers = Object.entries({ ...traceOf(trace), ...written.headers });
  const reading = readEvent(declaration, {
    key: Buffer.from(data.agentId),
    value: Buffer.from(written.value, 'utf8'),
    headers: Object.fromEntries(headers.map(([name, text]) => [name, Buffer.from(text)])),
  });
  if (!reading.ok) return { ok: false, reason: reading.reason };
  return {
    ok: true,
    message: written,
    data: reading.event.data,
  };
}

/**
 * An intent with a new id, and the digest of exactly what it asks for. The action in it is a frozen copy, as every
 * reader of the log sees it.
 */
export function prepareIntent(
  agentId: string,
  action: Action,
  options: IntentOptions,
  trace: TraceHeaders = {},
): PreparedIntent {
  const { cause } = options;
  const chainId = options.chainId ?? (cause !== undefined && 'chainId' in cause ? cause.chainId : undefined);
  const intent: Intent = {
    intentId: uuidv7(),
    agentId,
    action,
    ...(options.onBehalfOf === undefined ? {} : { onBehalfOf: options.onBehalfOf }),
    ...(options.trigger === undefined ? {} : { trigger: options.trigger }),
    ...(cause === undefined ? {} : { cause: saidCauseOf(cause) }),
    ...(options.precedingActions === undefined ? {} : { precedingActions: [...options.precedingActions] }),
    ...(chainId === undefined ? {} : { chainId }),
  };
  let written = writeAgentMessage(EVENTS.intent, intent.intentId, intent, trace);
  if (!written.ok && intent.cause?.proof) {
    // with the proof it may be too large: then its cause is only claimed
    const { agentId: by, intentId: of } = intent.cause;
    const claiming = { ...intent, cause: { agentId: by, intentId: of } };
    const again = writeAgentMessage(EVENTS.intent, intent.intentId, claiming, trace);
    if (again.ok) written = again;
  }
  if (!written.ok) return { ok: false, intent, reason: written.reason };
  try {
    if (canonicalJson(action) !== canonicalJson(written.data.action)) {
      return { ok: false, intent, reason: 'the action changes when it is written as JSON; pass plain JSON values' };
    }
  } catch (error) {
    return { ok: false, intent, reason: `the action is not plain JSON: ${messageOf(error)}` };
  }
  const judged = freezeDeeply(written.data);
  return { ok: true, intent: judged, actionDigest: digestOf(judged.action, sha256), message: written.message };
}

function saidCauseOf({ agentId, intentId, proof }: Answer | SaidCause): SaidCause {
  const isCarried = proof != null && proof.decision.length <= MAX_PROOF_DECISION;
  return { agentId, intentId, ...(isCarried ? { proof } : {}) };
}

/** The trace context among the options of a proposal. */
export function traceOf(options: TraceHeaders): TraceHeaders {
  const trace: Record<string, string> = {};
  for (const name of TRACE_HEADERS) {
    const value = options[name];
    if (value !== undefined) trace[name] = value;
  }
  return trace;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function freezeDeeply<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freezeDeeply(inner);
  }
  return value;
}
