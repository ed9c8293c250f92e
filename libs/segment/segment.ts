import {
  actionDigestOf,
  decide,
  decisionIdOf,
  foldVerdicts,
  judge,
  judgeBehindViews,
  judgeWithoutCharter,
  LAYERS,
  limitedGrantsOf,
  INITIAL_AUTHORITY,
  problemOfSecondRound,
  roundOf,
  type AgentAuthority,
  type Charter,
  type Decision,
  type JudgedIntent,
  type Layer,
  type Stamp,
  type WhyNot,
} from '#domain';
import { EVENTS, readEvent, sha256, TOPICS, traceHeadersOf, writeEvent } from '#contracts';
import {
  partitionOf,
  type Batch,
  type BatchHandler,
  type BatchResult,
  type OutgoingHeaders,
  type ReceivedMessage,
  type ResultMessage,
  type Unreadable,
} from '#bus';
import { arrivalOf, type Refusal } from './arrival.js';
import type { Judged, JudgedLayer, JudgingWatch } from './judged.js';
import { CHARTER_KEY, type Views } from './views.js';

/** A run of neighbouring layers in one process. */
export interface SegmentOptions {
  /** Neighbours in the order of {@link LAYERS}. */
  readonly layers: readonly Layer[];
  /** Name and version of the engine, recorded in every decision. */
  readonly engine: string;
  /** How long judging may wait for its views before it fails closed, ms. */
  readonly viewWaitMs: number;
  /** Without it, grants with counted uses authorise nothing here. */
  readonly reserve?: ReserveUse | undefined;
  /** Who is told of every intent judged. */
  readonly watches?: readonly JudgingWatch[];
  /** Told what a watch has thrown. */
  readonly onWatchFault?: (error: unknown) => void;
}

/** One use of a grant with counted uses, which an intent is about to rest on. */
export interface WantedUse {
  readonly agentId: string;
  readonly grantId: string;
  readonly intentId: string;
  readonly actionDigest: string;
  readonly round: 1 | 2;
  /** The intent's append time, ms since the epoch. */
  readonly judgedAt: number;
}

/**
 * Sets a use aside, durably, before the verdict leaves. The same use again has the same answer: `undefined` when it is
 * this intent's, else why it is not. Rejects when the answer cannot be known now; then nothing is judged.
 */
export type ReserveUse = (use: WantedUse) => Promise<WhyNot | undefined>;

const NOTHING_TO_RESERVE: readonly string[] = [];

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

/** Judging cannot go on now; the same messages come again later. */
export class SegmentError extends Error {
  override readonly name = 'SegmentError';

  constructor(
    readonly code: 'REMIT_SEGMENT_VIEWS_BEHIND',
    message: string,
  ) {
    super(message);
  }
}

/** An intent whose verdicts rest on counted uses waits for them; its place among the results is kept. */
interface Waiting {
  readonly place: number;
  readonly message: ReceivedMessage;
  readonly subject: JudgedIntent;
  readonly charter: Charter;
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
  const { watches = [] } = options;

  function judgeLayers(
    subject: JudgedIntent,
    charter: Charter | undefined,
    behind: boolean,
    unavailable?: ReadonlyMap<string, WhyNot>,
  ): JudgedLayer[] {
    const { intent, actionDigest, stamp, secondRound } = subject;
    const input = charter && {
      intent,
      actionDigest,
      judgedAt: Date.parse(stamp.judgedAt),
      charter,
      authority: views.permissions.at(intent.agentId, stamp.permissions.position) ?? INITIAL_AUTHORITY,
      unavailable,
      secondRound,
    };
    let began = performance.now();
    return options.layers.map((layer) => {
      const verdict = behind ? judgeBehindViews(layer) : input ? judge(layer, input) : judgeWithoutCharter(layer);
      const ended = performance.now();
      const ms = ended - began;
      began = ended;
      return { layer, verdict, ms };
    });
  }

  /** The grants whose uses must be set aside before these verdicts may leave. */
  function usesToReserve(subject: JudgedIntent, layers: readonly JudgedLayer[], charter: Charter): readonly string[] {
    const verdicts = layers.map(({ verdict }) => verdict);
    const limited = limitedGrantsOf(verdicts);
    if (limited.length === 0 || charter.stage === 'observe') return NOTHING_TO_RESERVE;
    const { outcome } = foldVerdicts([...subject.verdicts, ...verdicts]);
    // what is denied needs no use; what is held asks for it in its second round
    return outcome === 'deny' || (decides && outcome === 'hold') ? NOTHING_TO_RESERVE : limited;
  }

  /** A grant that gives no use counts as if it were not there, and another may take its place, until nothing is open. */
  async function judgeWithUses({ subject, charter }: Waiting): Promise<JudgedLayer[]> {
    const { intent, actionDigest, stamp } = subject;
    const reserved = new Set<string>();
    const unavailable = new Map<string, WhyNot>();
    for (;;) {
      const layers = judgeLayers(subject, charter, false, unavailable);
      const open = usesToReserve(subject, layers, charter).filter((grantId) => !reserved.has(grantId));
      if (open.length === 0) return layers;
      for (const grantId of open) {
        const why = await reserve({
          agentId: intent.agentId,
          grantId,
          intentId: intent.intentId,
          actionDigest,
          round: roundOf(subject),
          judgedAt: Date.parse(stamp.judgedAt),
        });
        if (why === undefined) reserved.add(grantId);
        else unavailable.set(grantId, why);
      }
    }
  }

  const reserve: ReserveUse = options.reserve ?? (() => Promise.resolve('uses not counted here'));

  /** Judges at once whatever rests on no counted use; the rest after it, in order. */
  class Results {
    readonly #results: (ResultMessage | undefined)[] = [];
    readonly #waiting: Waiting[] = [];
    readonly #judged: Judged[] = [];
    /** What to add to the steady clock. Anew for each batch: a process would never hear that its wall clock was set. */
    readonly #wallOffset = Date.now() - performance.now();

    constructor(private readonly batch: Batch) {}

    add(message: ReceivedMessage, subject: JudgedIntent, charter: Charter | undefined, behind: boolean): void {
      const began = this.#now();
      const layers = judgeLayers(subject, charter, behind);
      const place = this.#results.length;
      if (!behind && charter !== undefined && usesToReserve(subject, layers, charter).length > 0) {
        this.#waiting.push({ place, message, subject, charter });
        this.#results.push(undefined);
      } else this.#results.push(this.#resultOf(message, subject, layers, charter, began));
    }

    async settle(): Promise<ResultMessage[]> {
      for (const waiting of this.#waiting) {
        const { place, message, subject, charter } = waiting;
        const began = this.#now();
        this.#results[place] = this.#resultOf(message, subject, await judgeWithUses(waiting), charter, began);
        await this.batch.heartbeat();
      }
      tell((watch) => watch.finished?.(this.batch, this.#judged));
      return this.#results.filter((result) => result !== undefined);
    }

    /** This process's clock, ms since the epoch, finer than a millisecond. It only says when; nothing is judged by it. */
    #now(): number {
      return this.#wallOffset + performance.now();
    }

    #resultOf(
      message: ReceivedMessage,
      arrived: JudgedIntent,
      layers: readonly JudgedLayer[],
      charter: Charter | undefined,
      began: number,
    ): ResultMessage {
      const subject = { ...arrived, verdicts: [...arrived.verdicts, ...layers.map(({ verdict }) => verdict)] };
      const decision = decides ? decisionOn(subject, charter) : undefined;
      const event = decision === undefined ? passedOn(subject) : decided(decision);
      let trace: OutgoingHeaders | undefined;
      if (watches.length > 0) {
        const judged = { batch: this.batch, message, subject, layers, charter, decision, began, ended: this.#now() };
        this.#judged.push(judged);
        tell((watch) => (trace = watch.judged(judged) ?? trace));
      }
      return {
        source: message,
        topic: OUTPUT[last],
        key: subject.intent.agentId,
        value: event.value,
        headers: { ...(trace ?? traceHeadersOf(message.headers)), ...event.headers },
      };
    }
  }

  function tell(what: (watch: JudgingWatch) => void): void {
    for (const watch of watches) {
      try {
        what(watch);
      } catch (error) {
        options.onWatchFault?.(error);
      }
    }
  }

  function passedOn(data: JudgedIntent): ReturnType<typeof writeEvent> {
    const { intent, stamp } = data;
    const round = roundOf(data);
    return writeEvent(EVENTS.judgedIntent, {
      id: round === 1 ? `${intent.intentId}/${last}` : `${intent.intentId}/${last}/${round}`,
      source,
      subject: intent.agentId,
      time: stamp.judgedAt,
      data,
    });
  }

  function decisionOn(subject: JudgedIntent, charter: Charter | undefined): Decision {
    const { intent, actionDigest } = subject;
    const { agentId, intentId } = intent;
    return decide({
      ...subject,
      decisionId: decisionIdOf({ agentId, intentId, actionDigest, round: roundOf(subject) }, sha256),
      stage: charter?.stage,
      decisionTtlMs: charter?.decisionTtlMs,
      engine: options.engine,
    });
  }

  function decided(data: Decision): ReturnType<typeof writeEvent> {
    const { decisionId, agentId, stamp } = data;
    return writeEvent(EVENTS.decision, { id: decisionId, source, subject: agentId, time: stamp.judgedAt, data });
  }

  /** What makes an intent's second round none. While the views are behind it cannot be known: the batch waits. */
  function problemOfArrival(
    subject: JudgedIntent,
    authority: AgentAuthority | undefined,
    behind: boolean,
  ): Refusal | undefined {
    const { intent, actionDigest, secondRound } = subject;
    if (secondRound === undefined) return undefined;
    const { agentId, intentId } = intent;
    const claim = { agentId, intentId, actionDigest, requestId: secondRound.requestId };
    const reason = problemOfSecondRound(claim, authority, sha256);
    if (reason === undefined) return undefined;
    if (behind) {
      const problem = `the approval of intent ${intentId} is not known yet: the views are behind, the batch waits`;
      throw new SegmentError('REMIT_SEGMENT_VIEWS_BEHIND', problem);
    }
    return { code: 'REMIT_INTENT_NO_SECOND_ROUND', reason: `only Remit starts a second round: ${reason}` };
  }

  async function judgeIntents(batch: Batch): Promise<BatchResult> {
    const behind = !(await views.catchUp(options.viewWaitMs));
    const results = new Results(batch);
    const unreadable: Unreadable[] = [];
    for (const message of batch.messages) {
      const arrival = arrivalOf(message);
      if (!arrival.ok) {
        unreadable.push({ message, code: arrival.code, reason: arrival.reason });
        continue;
      }
      const { intent, secondRound } = arrival;
      const inForce = views.charter.asOf(CHARTER_KEY, message.logTime);
      const charter = inForce.state?.charter;
      const known = views.permissions.asOf(intent.agentId, message.logTime);
      const stamp: Stamp = {
        judgedAt: new Date(message.logTime).toISOString(),
        source: { topic: message.topic, partition: message.partition, offset: message.offset },
        charter: { digest: charter?.digest ?? null, position: inForce.position },
        permissions: { position: known.position },
        ...(behind ? { viewsBehind: true as const } : {}),
      };
      const subject: JudgedIntent = {
        intent,
        actionDigest: actionDigestOf(intent.action, sha256),
        stamp,
        verdicts: [],
        ...(secondRound === undefined ? {} : { secondRound }),
      };
      const problem = problemOfArrival(subject, known.state, behind);
      if (problem === undefined) results.add(message, subject, charter, behind);
      else unreadable.push({ message, ...problem });
    }
    return { publish: await results.settle(), unreadable };
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
    const results = new Results(batch);
    for (const { message, subject } of arrived) {
      const { stamp, intent } = subject;
      const charter = views.charter.at(CHARTER_KEY, stamp.charter.position)?.charter;
      const behind =
        stamp.viewsBehind === true ||
        !views.charter.reached(0, stamp.charter.position) ||
        !views.permissions.reached(agentPartition(intent.agentId), stamp.permissions.position) ||
        (charter?.digest ?? null) !== stamp.charter.digest;
      results.add(message, subject, charter, behind);
    }
    return { publish: await results.settle(), unreadable };
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
