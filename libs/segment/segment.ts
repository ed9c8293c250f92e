import {
  actionDigestOf,
  decide,
  decisionIdOf,
  judge,
  judgeBehindViews,
  judgeWithoutCharter,
  LAYERS,
  INITIAL_AUTHORITY,
  type Charter,
  type JudgedIntent,
  type Layer,
  type Stamp,
  type Verdict,
} from '#domain';
import { EVENTS, readEvent, sha256, TOPICS, traceHeadersOf, writeEvent } from '#contracts';
import {
  partitionOf,
  type Batch,
  type BatchHandler,
  type BatchResult,
  type ReceivedMessage,
  type ResultMessage,
  type Unreadable,
} from '#bus';
import { CHARTER_KEY, type Views } from './views.js';

/** A run of neighbouring layers in one process. */
export interface SegmentOptions {
  /** Neighbours in the order of {@link LAYERS}. */
  readonly layers: readonly Layer[];
  /** Name and version of the engine, recorded in every decision. */
  readonly engine: string;
  /** How long judging may wait for its views before it fails closed, ms. */
  readonly viewWaitMs: number;
}

const INPUT: Record<Layer, string> = {
  boundary: TOPICS.agentActions.name,
  permission: TOPICS.boundaryChecked.name,
  verification: TOPICS.permissionChecked.name,
  policy: TOPICS.scopeVerified.name,
};

const OUTPUT: Record<Layer, string> = {
  boundary: TOPICS.boundaryChecked.name,
  permission: TOPICS.permissionChecked.name,
  verification: TOPICS.scopeVerified.name,
  policy: TOPICS.agentDecisions.name,
};

/** The topic before a segment's first layer. */
export function inputTopicOf(layers: readonly Layer[]): string {
  return INPUT[endsOf(layers).first];
}

function endsOf(layers: readonly Layer[]): { first: Layer; last: Layer } {
  const first = layers[0];
  const last = layers.at(-1);
  const start = first === undefined ? -1 : LAYERS.indexOf(first);
  if (first === undefined || last === undefined || layers.some((layer, i) => LAYERS[start + i] !== layer)) {
    throw new Error(
      `REMIT_SEGMENT_LAYERS: a segment is a run of neighbours of ${LAYERS.join(', ')}, got [${layers.join(', ')}]`,
    );
  }
  return { first, last };
}

/**
 * The pipeline, cut anywhere: reads the topic before its first layer, writes the topic after its last. The first layer
 * of all stamps each intent with the time and the view positions it is judged by; every later one obeys the stamp, so
 * that redelivery, replicas and separate processes give one verdict.
 */
export function createSegment(options: SegmentOptions, views: Views): BatchHandler {
  const { first, last } = endsOf(options.layers);
  const stamps = first === LAYERS[0];
  const decides = last === LAYERS.at(-1);
  const source = `/remit/${options.layers.length === 1 ? last : 'segment'}`;

  function judgeLayers(subject: JudgedIntent, charter: Charter | undefined, behind: boolean): Verdict[] {
    const verdicts = [...subject.verdicts];
    const { intent, actionDigest, stamp } = subject;
    const input = charter && {
      intent,
      actionDigest,
      judgedAt: Date.parse(stamp.judgedAt),
      charter,
      authority: views.permissions.at(intent.agentId, stamp.permissions.position) ?? INITIAL_AUTHORITY,
    };
    for (const layer of options.layers) {
      if (behind) verdicts.push(judgeBehindViews(layer));
      else verdicts.push(input ? judge(layer, input) : judgeWithoutCharter(layer));
    }
    return verdicts;
  }

  function resultOf(message: ReceivedMessage, subject: JudgedIntent, charter: Charter | undefined): ResultMessage {
    const { intent, actionDigest, stamp } = subject;
    const event = decides ? decisionEvent(subject, charter) : passedOnEvent(subject);
    return {
      source: message,
      topic: OUTPUT[last],
      key: intent.agentId,
      value: event.value,
      headers: { ...traceHeadersOf(message.headers), ...event.headers },
    };

    function passedOnEvent(data: JudgedIntent): ReturnType<typeof writeEvent> {
      return writeEvent(EVENTS.judgedIntent, {
        id: `${intent.intentId}/${last}`,
        source,
        subject: intent.agentId,
        time: stamp.judgedAt,
        data,
      });
    }

    function decisionEvent(data: JudgedIntent, inForce: Charter | undefined): ReturnType<typeof writeEvent> {
      const decisionId = decisionIdOf(
        { agentId: intent.agentId, intentId: intent.intentId, actionDigest, round: 1 },
        sha256,
      );
      const decision = decide({
        ...data,
        decisionId,
        stage: inForce?.stage,
        decisionTtlMs: inForce?.decisionTtlMs,
        engine: options.engine,
      });
      return writeEvent(EVENTS.decision, {
        id: decisionId,
        source,
        subject: intent.agentId,
        time: stamp.judgedAt,
        data: decision,
      });
    }
  }

  async function judgeIntents(batch: Batch): Promise<BatchResult> {
    const behind = !(await views.catchUp(options.viewWaitMs));
    const publish: ResultMessage[] = [];
    const unreadable: Unreadable[] = [];
    for (const message of batch.messages) {
      const reading = readEvent(EVENTS.intent, message);
      if (!reading.ok) {
        unreadable.push({ message, code: reading.code, reason: reading.reason });
        continue;
      }
      const intent = reading.event.data;
      if (message.key?.toString('utf8') !== intent.agentId) {
        unreadable.push({
          message,
          code: 'REMIT_INTENT_KEY_MISMATCH',
          reason: `the message key must be the agent's id, ${intent.agentId}: order and partition depend on it`,
        });
        continue;
      }
      const inForce = views.charter.asOf(CHARTER_KEY, message.logTime);
      const charter = inForce.state?.charter;
      const stamp: Stamp = {
        judgedAt: new Date(message.logTime).toISOString(),
        source: { topic: message.topic, partition: message.partition, offset: message.offset },
        charter: { digest: charter?.digest ?? null, position: inForce.position },
        permissions: { position: views.permissions.asOf(intent.agentId, message.logTime).position },
        ...(behind ? { viewsBehind: true as const } : {}),
      };
      const arriving = { intent, actionDigest: actionDigestOf(intent.action, sha256), stamp, verdicts: [] };
      const judged = { ...arriving, verdicts: judgeLayers(arriving, charter, behind) };
      publish.push(resultOf(message, judged, charter));
    }
    return { publish, unreadable };
  }

  async function judgeStamped(batch: Batch): Promise<BatchResult> {
    const unreadable: Unreadable[] = [];
    const arrived: { message: ReceivedMessage; subject: JudgedIntent }[] = [];
    for (const message of batch.messages) {
      const reading = readEvent(EVENTS.judgedIntent, message);
      if (reading.ok) arrived.push({ message, subject: reading.event.data });
      else unreadable.push({ message, code: reading.code, reason: reading.reason });
    }
    await waitForStamps(arrived.map(({ subject }) => subject));
    const publish = arrived.map(({ message, subject }) => {
      const { stamp, intent } = subject;
      const charter = views.charter.at(CHARTER_KEY, stamp.charter.position)?.charter;
      const behind =
        stamp.viewsBehind === true ||
        !views.charter.reached(0, stamp.charter.position) ||
        !views.permissions.reached(agentPartition(intent.agentId), stamp.permissions.position) ||
        (charter?.digest ?? null) !== stamp.charter.digest;
      const judged = { ...subject, verdicts: judgeLayers(subject, charter, behind) };
      return resultOf(message, judged, charter);
    });
    return { publish, unreadable };
  }

  async function waitForStamps(subjects: readonly JudgedIntent[]): Promise<void> {
    let charterEnd = 0;
    const permissionEnds = new Array<number>(TOPICS.permissionEvents.partitions).fill(0);
    for (const { stamp, intent } of subjects) {
      charterEnd = Math.max(charterEnd, stamp.charter.position);
      const partition = agentPartition(intent.agentId);
      permissionEnds[partition] = Math.max(permissionEnds[partition] ?? 0, stamp.permissions.position);
    }
    await Promise.all([
      views.charter.waitUntil([charterEnd], options.viewWaitMs),
      views.permissions.waitUntil(permissionEnds, options.viewWaitMs),
    ]);
  }

  return stamps ? judgeIntents : judgeStamped;
}

function agentPartition(agentId: string): number {
  return partitionOf(agentId, TOPICS.permissionEvents.partitions);
}
