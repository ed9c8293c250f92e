import type { Batch, OutgoingHeaders } from '#bus';
import { chainIdOf, roundOf } from '#domain';
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
  type Span,
  type Tracing,
} from '#telemetry';
import type { Judged, JudgingWatch } from './judged.js';

/**
 * Makes one span of each traced intent, with its layers' verdicts as events, and one of its decision. Written after
 * the judgement, so that the outcome may decide whether there is a span at all, and what is not traced costs one look
 * at its header.
 */
export function traceJudging(tracing: Tracing, group: string): JudgingWatch {
  /** The batches that hold a traced intent. */
  const polls = new WeakMap<Batch, Span>();

  function pollOf({ batch, began }: Judged): Span {
    const known = polls.get(batch);
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
    polls.set(batch, poll);
    return poll;
  }

  function judged(one: Judged): OutgoingHeaders | undefined {
    const { message, subject, layers, decision, began, ended } = one;
    const outcome = decision?.outcome ?? outcomeSoFar(subject.verdicts);
    const place = tracePlaceOf(message.headers, chainIdOf(subject.intent), outcome, tracing.sampling);
    if (place === undefined) return undefined;
    const attributes = {
      ...messageAttributes('process', message),
      [NAMES.group.name]: group,
      ...intentAttributes(subject.intent, subject.actionDigest, roundOf(subject)),
    };
    const judging = tracing.begin(place, {
      name: `process ${message.topic}`,
      kind: SPANS.judge.kind,
      startTime: began,
      links: [{ context: pollOf(one).spanContext(), attributes: { [NAMES.linkIs.name]: 'batch' } }],
      attributes: decision === undefined ? attributes : { ...attributes, ...decisionAttributes(factsOf(decision)) },
    });
    let time = began;
    for (const { verdict, ms } of layers) {
      time += ms;
      for (const event of verdictEvents(verdict, ms)) judging.addEvent(event.name, event.attributes, time);
    }
    if (decision === undefined) {
      judging.end(ended);
      return headersUnder(judging.spanContext(), message.headers);
    }
    const facts = factsOf(decision);
    const status = decisionStatus(facts);
    const sending = tracing.begin(
      { parent: judging.spanContext() },
      {
        name: SPANS.sendDecision.name,
        kind: SPANS.sendDecision.kind,
        startTime: ended,
        attributes: {
          ...messageAttributes('send', { topic: SPANS.sendDecision.topic }),
          ...intentAttributes(subject.intent, subject.actionDigest, roundOf(subject)),
          ...decisionAttributes(facts),
        },
      },
    );
    judging.setStatus(status).end(ended);
    sending.setStatus(status).end(ended);
    return headersUnder(sending.spanContext(), message.headers);
  }

  return {
    judged,
    finished(batch) {
      polls.get(batch)?.end();
    },
  };
}
