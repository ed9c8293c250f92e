import type { Batch, OutgoingHeaders } from '#bus';
import { roundOf } from '#domain';
import {
  ATTRIBUTES as NAMES,
  decisionAttributes,
  decisionStatus,
  factsOf,
  headersUnder,
  intentAttributes,
  messageAttributes,
  outcomeSoFar,
  SPANS,
  tracePlaceOf,
  verdictEvents,
  type SamplingTerms,
  type Span,
  type TracePlace,
  type Tracing,
} from '#telemetry';
import type { Judged, JudgingWatch } from './judged.js';

interface TracedBatch {
  readonly poll: Span;
  /** Begun, and over at `ended`, ms since the epoch. */
  readonly spans: { readonly span: Span; readonly ended: number }[];
}

/** Where the span of an intent belongs, once it is judged; `undefined`: it has none. */
export function placeOfJudged({ message, subject, decision }: Judged, sampling: SamplingTerms): TracePlace | undefined {
  const outcome = decision?.outcome ?? outcomeSoFar(subject.verdicts);
  return tracePlaceOf(message.headers, subject.intent, outcome, sampling);
}

/**
 * Makes one span of each traced intent, with its layers' verdicts as events, and one of its decision. Written after
 * the judgement, so that the outcome may decide whether there is a span at all, and what is not traced costs one look
 * at its header.
 */
export function traceJudging(tracing: Tracing, group: string): JudgingWatch {
  /** The batches that hold a traced intent. Their spans end with them: a batch that fails comes again, and is told once. */
  const traced = new WeakMap<Batch, TracedBatch>();

  function tracedBatchOf({ batch, began }: Judged): TracedBatch {
    const known = traced.get(batch);
    if (known !== undefined) return known;
    const { topic, partition, messages } = batch;
    const poll = tracing.begin(undefined, {
      name: `poll ${topic}`,
      kind: SPANS.poll.kind,
      startTime: began,
      attributes: {
        ...messageAttributes('poll', { topic, partition }),
        [NAMES.group.name]: group,
        [NAMES.batchSize.name]: messages.length,
      },
    });
    const its: TracedBatch = { poll, spans: [] };
    traced.set(batch, its);
    return its;
  }

  function judged(one: Judged): OutgoingHeaders | undefined {
    const { message, subject, layers, decision, began, ended } = one;
    const place = placeOfJudged(one, tracing.sampling);
    if (place === undefined) return undefined;
    const { poll, spans } = tracedBatchOf(one);
    const facts = decision && factsOf(decision);
    const said = {
      ...intentAttributes(subject.intent, subject.actionDigest, roundOf(subject)),
      ...(facts === undefined ? {} : decisionAttributes(facts)),
    };
    const judging = tracing.begin(place, {
      name: `process ${message.topic}`,
      kind: SPANS.judge.kind,
      startTime: began,
      links: [{ context: poll.spanContext(), attributes: { [NAMES.linkIs.name]: 'batch' } }],
      attributes: { ...messageAttributes('process', message), [NAMES.group.name]: group, ...said },
    });
    let time = began;
    for (const { verdict, ms } of layers) {
      time += ms;
      for (const event of verdictEvents(verdict, ms)) judging.addEvent(event.name, event.attributes, time);
    }
    spans.push({ span: judging, ended });
    if (facts === undefined) return headersUnder(judging.spanContext(), message.headers);
    const status = decisionStatus(facts);
    const sending = tracing.begin(
      { parent: judging.spanContext() },
      {
        name: SPANS.sendDecision.name,
        kind: SPANS.sendDecision.kind,
        startTime: ended,
        attributes: { ...messageAttributes('send', { topic: SPANS.sendDecision.topic }), ...said },
      },
    );
    judging.setStatus(status);
    spans.push({ span: sending.setStatus(status), ended });
    return headersUnder(sending.spanContext(), message.headers);
  }

  return {
    judged,
    finished(batch) {
      const its = traced.get(batch);
      if (its === undefined) return;
      for (const { span, ended } of its.spans) span.end(ended);
      its.poll.end();
    },
  };
}
