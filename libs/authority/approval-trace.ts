import type { OutgoingHeaders, ReceivedMessage } from '#bus';
import { sha256, traceHeadersOf } from '#contracts';
import { actionDigestOf, heldRequestId, type Decision, type Intent } from '#domain';
import {
  ATTRIBUTES as NAMES,
  decisionAttributes,
  factsOf,
  headersUnder,
  intentAttributes,
  messageAttributes,
  SPANS,
  spanAt,
  tracePlaceOf,
  type Span,
  type Tracing,
} from '#telemetry';

/** The span of a hold that opens its request for approval; `undefined`: the intent is not traced. */
export function traceHold(
  tracing: Tracing | undefined,
  message: ReceivedMessage,
  decision: Decision,
): Span | undefined {
  const place = tracing && tracePlaceOf(message.headers, decision, decision.outcome, tracing.sampling);
  if (place === undefined) return undefined;
  return tracing?.begin(place, {
    name: SPANS.openApproval.name,
    kind: SPANS.openApproval.kind,
    attributes: {
      ...messageAttributes('process', message),
      ...intentAttributes(decision, decision.action.digest, decision.round),
      ...decisionAttributes(factsOf(decision)),
      [NAMES.requestId.name]: heldRequestId(decision.decisionId),
    },
  });
}

/**
 * The headers with which a held intent is appended for its second round. Hours may lie between, so it begins a trace
 * of its own, linked to the one in which it was held; both carry the chain's id. Not traced: the headers it came with.
 */
export function traceSecondRound(
  tracing: Tracing | undefined,
  held: ReceivedMessage,
  intent: Intent,
  requestId: string,
): OutgoingHeaders {
  const place = tracing && tracePlaceOf(held.headers, intent, 'hold', tracing.sampling);
  if (tracing === undefined || place === undefined) return traceHeadersOf(held.headers);
  const span = tracing.begin(undefined, {
    name: SPANS.sendIntent.name,
    kind: SPANS.sendIntent.kind,
    links: [{ context: spanAt(place), attributes: { [NAMES.linkIs.name]: 'held-intent' } }],
    attributes: {
      ...messageAttributes('send', { topic: SPANS.sendIntent.topic }),
      ...intentAttributes(intent, actionDigestOf(intent.action, sha256), 2),
      [NAMES.requestId.name]: requestId,
    },
  });
  span.end();
  return headersUnder(span.spanContext(), held.headers);
}
