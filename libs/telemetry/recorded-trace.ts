import { createHash } from 'node:crypto';
import {
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Attributes,
  type Link,
  type SpanContext,
  type SpanStatus,
} from '@opentelemetry/api';
import { ExportResultCode, millisToHrTime, type ExportResult } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import type { ChainAction, ChainDecision, ChainReport, ChainTree } from '#domain';
import {
  decisionAttributes,
  decisionStatus,
  findingEvent,
  intentAttributes,
  type SpanEvent,
} from './decision-attributes.js';
import { messageAttributes } from './message-attributes.js';
import { otlpExporter, SEND_MS } from './otlp-exporter.js';
import { ATTRIBUTES as NAMES, SPANS } from './span-table.js';

/** A span as the record tells it. Times are the broker's, ms since the epoch. */
export interface RecordedSpan {
  readonly service: string;
  readonly name: string;
  readonly kind: SpanKind;
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly began: number;
  readonly ended: number;
  readonly attributes: Attributes;
  readonly status: SpanStatus;
  readonly events: readonly SpanEvent[];
  /** Spans of the same trace. */
  readonly links: readonly string[];
}

/** A chain as one trace, whatever became of its spans. */
export interface RecordedTrace {
  readonly traceId: string;
  readonly spans: readonly RecordedSpan[];
}

const REMIT = 'remit';
const UNSET: SpanStatus = { code: SpanStatusCode.UNSET };

/**
 * A chain from the record as a trace with the original times: by the names of the live spans, each marked as written
 * from the record. The ids follow from the chain, so that the same chain sent again is the same trace. It has an id of
 * its own: spans that did arrive are not told twice.
 */
export function recordedTrace(tree: ChainTree): RecordedTrace {
  const { chainId, actions } = tree;
  const id = (length: number, ...parts: readonly (string | number)[]): string =>
    createHash('sha256')
      .update(JSON.stringify(['remit recorded trace', chainId, ...parts]))
      .digest('hex')
      .slice(0, length);
  const spanId = (...parts: readonly (string | number)[]): string => id(16, ...parts);
  const turnOf = (action: Pick<ChainAction, 'agentId' | 'intentId'>, digest: string | null): string =>
    spanId('turn', action.agentId, action.intentId, digest ?? 'erased');
  const executionOf = ({ agentId, intentId, action }: ChainAction): string =>
    spanId('execution', agentId, intentId, action.digest ?? 'erased');

  const byIntent = new Map<string, ChainAction>();
  for (const action of actions) {
    const name = `${action.agentId}\n${action.intentId}`;
    if (!byIntent.has(name)) byIntent.set(name, action);
  }

  function parentOf({ cause, depth }: ChainAction): string | undefined {
    // a claimed cause that cannot lie above it leads nowhere
    if (cause === null || depth === 0) return undefined;
    const causing = byIntent.get(`${cause.agentId}\n${cause.intentId}`);
    if (causing === undefined) return undefined;
    return causing.reports.length > 0 ? executionOf(causing) : turnOf(causing, causing.action.digest);
  }

  function spansOf(action: ChainAction): RecordedSpan[] {
    const { agentId, intentId, decisions, reports, cause } = action;
    const digest = action.action.digest ?? 'erased';
    const first = Math.min(...timesOf(action));
    const last = Math.max(...timesOf(action));
    const turn = turnOf(action, action.action.digest);
    const said = (round: number): Attributes => ({
      [NAMES.fromRecord.name]: true,
      ...(action.erased ? { [NAMES.contentErased.name]: true } : {}),
      ...intentAttributes({ agentId, intentId, chainId, action: action.action, cause }, action.action.digest, round),
    });
    const plain = { status: UNSET, events: [], links: [] };
    const sending = spanId('intent', agentId, intentId, digest);
    const spans: RecordedSpan[] = [
      {
        ...plain,
        service: agentId,
        name: `invoke_agent ${agentId}`,
        kind: SPANS.invokeAgent.kind,
        spanId: turn,
        parentId: parentOf(action),
        began: first,
        ended: last,
        attributes: { ...said(1), [NAMES.genAiOperation.name]: 'invoke_agent', [NAMES.genAiAgentName.name]: agentId },
      },
    ];
    if (action.appendTime !== null) {
      spans.push({
        ...plain,
        service: agentId,
        name: SPANS.sendIntent.name,
        kind: SPANS.sendIntent.kind,
        spanId: sending,
        parentId: turn,
        began: action.appendTime,
        ended: action.appendTime,
        attributes: { ...said(1), ...messageAttributes('send', { topic: SPANS.sendIntent.topic }) },
      });
    }
    for (const decision of decisions) {
      const parentId = action.appendTime === null ? turn : sending;
      spans.push(...decided(decision, parentId, said(decision.round), first));
    }
    if (reports.length > 0) spans.push(...executed(action, reports, turn, said));
    return spans;
  }

  function decided(decision: ChainDecision, parentId: string, said: Attributes, first: number): RecordedSpan[] {
    const { topic, partition, offset, appendTime } = decision;
    const judging = spanId('judging', topic, partition, offset);
    const attributes = { ...said, ...decisionAttributes(decision) };
    const began = decision.msAfterIntent === null ? first : appendTime - decision.msAfterIntent;
    const common = { service: REMIT, status: decisionStatus(decision), links: [] };
    return [
      {
        ...common,
        name: `process ${SPANS.sendIntent.topic}`,
        kind: SPANS.judge.kind,
        spanId: judging,
        parentId,
        began,
        ended: appendTime,
        attributes: { ...attributes, ...messageAttributes('process', { topic: SPANS.sendIntent.topic }) },
        events: decision.findings.map(findingEvent),
      },
      {
        ...common,
        name: SPANS.sendDecision.name,
        kind: SPANS.sendDecision.kind,
        spanId: spanId('decision', topic, partition, offset),
        parentId: judging,
        began: appendTime,
        ended: appendTime,
        attributes: { ...attributes, ...messageAttributes('send', { topic, partition, offset }) },
        events: [],
      },
    ];
  }

  function executed(
    action: ChainAction,
    reports: readonly ChainReport[],
    turn: string,
    said: (round: number) => Attributes,
  ): RecordedSpan[] {
    const authorising = action.decisions.find(({ effective }) => effective);
    const times = reports.map(({ appendTime }) => appendTime);
    const execution = executionOf(action);
    const round = authorising?.round ?? 1;
    const failed = reports.find(({ status }) => status === 'failed');
    return [
      {
        service: action.agentId,
        name: `execute_tool ${action.action.type}`,
        kind: SPANS.executeTool.kind,
        spanId: execution,
        parentId: turn,
        began: Math.min(authorising?.appendTime ?? Infinity, ...times),
        ended: Math.max(...times),
        attributes: {
          ...said(round),
          [NAMES.genAiOperation.name]: 'execute_tool',
          [NAMES.genAiToolName.name]: action.action.type,
        },
        // what the agent says of its failure may hold parameters: that stays in the record
        status: failed === undefined ? UNSET : { code: SpanStatusCode.ERROR, message: 'failed' },
        events: [],
        links:
          authorising === undefined
            ? []
            : [spanId('decision', authorising.topic, authorising.partition, authorising.offset)],
      },
      ...reports.map(({ topic, partition, offset, appendTime, decisionId, status, erased }) => ({
        service: action.agentId,
        name: SPANS.sendOutcome.name,
        kind: SPANS.sendOutcome.kind,
        spanId: spanId('report', topic, partition, offset),
        parentId: execution,
        began: appendTime,
        ended: appendTime,
        attributes: {
          ...said(round),
          ...(decisionId === null ? {} : { [NAMES.decisionId.name]: decisionId }),
          ...(erased ? { [NAMES.contentErased.name]: true } : {}),
          [NAMES.outcomeStatus.name]: status,
          ...messageAttributes('send', { topic, partition, offset }),
        },
        status: UNSET,
        events: [],
        links: [],
      })),
    ];
  }

  return { traceId: id(32), spans: actions.flatMap(spansOf) };
}

function timesOf({ appendTime, decisions, reports }: ChainAction): number[] {
  return [...(appendTime === null ? [] : [appendTime]), ...[...decisions, ...reports].map((event) => event.appendTime)];
}

/** The collector has not taken the spans. */
export class TraceDeliveryError extends Error {
  override readonly name = 'TraceDeliveryError';
  readonly code = 'REMIT_TRACE_NOT_DELIVERED';
}

/** Collectors refuse requests beyond some megabytes. */
const SPANS_PER_REQUEST = 1000;

/** Sends a trace to an OTLP/HTTP collector. Throws `REMIT_TRACE_NOT_DELIVERED` when it does not take all of it. */
export async function sendRecordedTrace(trace: RecordedTrace, endpoint: string): Promise<void> {
  const exporter = otlpExporter(endpoint, { sendMs: SEND_MS, atOnce: 1 });
  const spans = readable(trace);
  try {
    for (let from = 0; from < spans.length; from += SPANS_PER_REQUEST) {
      const some = spans.slice(from, from + SPANS_PER_REQUEST);
      const result = await new Promise<ExportResult>((resolve) => exporter.export(some, resolve));
      if (result.code === ExportResultCode.SUCCESS) continue;
      throw new TraceDeliveryError(
        `${endpoint} has not taken the trace: ${result.error?.message ?? 'no reason given'}`,
      );
    }
  } finally {
    await exporter.shutdown();
  }
}

function readable({ traceId, spans }: RecordedTrace): ReadableSpan[] {
  const context = (spanId: string): SpanContext => ({ traceId, spanId, traceFlags: TraceFlags.SAMPLED });
  const resources = new Map(
    [...new Set(spans.map(({ service }) => service))].map((service) => [
      service,
      resourceFromAttributes({ 'service.name': service }),
    ]),
  );
  return spans.map(({ service, spanId, parentId, began, ended, links, events, ...span }) => ({
    ...span,
    spanContext: () => context(spanId),
    ...(parentId === undefined ? {} : { parentSpanContext: context(parentId) }),
    startTime: millisToHrTime(began),
    endTime: millisToHrTime(ended),
    duration: millisToHrTime(ended - began),
    ended: true,
    links: links.map((linked): Link => ({ context: context(linked), attributes: { [NAMES.linkIs.name]: 'decision' } })),
    events: events.map(({ name, attributes }) => ({ name, attributes, time: millisToHrTime(ended) })),
    resource: resources.get(service) ?? resourceFromAttributes({}),
    instrumentationScope: { name: 'remit' },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }));
}
