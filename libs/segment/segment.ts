import {
  actionDigestOf,
  decide,
  decisionIdOf,
  foldVerdicts,
  judge,
  judgeWithoutCharter,
  judgeWithoutFacts,
  LAYERS,
  limitedGrantsOf,
  INITIAL_AUTHORITY,
  intentDigestOf,
  problemOfSecondRound,
  roundOf,
  withLayerError,
  provenFromOf,
  stampedCauseOf,
  type AgentAuthority,
  type Cause,
  type CauseProof,
  type Charter,
  type Decision,
  type JudgedIntent,
  type Layer,
  type Stamp,
  type WhyNot,
  type WithoutFacts,
} from '#domain';
import { EVENTS, readEvent, sha256, TOPICS, traceHeadersOf, writeEvent } from '#contracts';
import {
  outlookOf,
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
  /** How long a batch waits for the views at once, ms; then it gives way to other partitions and comes again. */
  readonly viewWaitMs: number;
  /** Remit signs what it writes: a re-evaluation without its signature is refused. Default: false. */
  readonly signed?: boolean;
  /**
   * The decision that an intent carries as the proof of its cause, where Remit has signed it. `time`: the intent's own, ms
   * since the epoch. Left out: no keys are in use, and every cause is only claimed.
   */
  readonly verifyProof?: ((proof: CauseProof, cause: Cause, time: number) => Decision | undefined) | undefined;
  /** Without it, grants with counted uses authorise nothing here. */
  readonly reserve?: ReserveUse | undefined;
  /**
   * Log time, ms since the epoch: of intents that were appended up to then nobody knows any more what was in force,
   * because the log has lost some of it. Default: there are none.
   */
  readonly inDoubtUntil?: () => number;
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
  /** How many permission events of the agent it was judged by. */
  readonly judgedVersion: number;
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
    throw new SegmentError(
      'REMIT_SEGMENT_LAYERS',
      `a segment is a run of neighbours of ${LAYERS.join(', ')}, got [${layers.join(', ')}]`,
    );
  }
  return { first, last };
}

/** A segment that cannot be built (`REMIT_SEGMENT_LAYERS`), or cannot judge now: the same messages come again later. */
export class SegmentError extends Error {
  override readonly name = 'SegmentError';

  constructor(
    readonly code: 'REMIT_SEGMENT_LAYERS' | 'REMIT_SEGMENT_VIEWS_BEHIND',
    message: string,
  ) {
    super(message);
  }
}

/** What an intent is judged by, all of it fixed by the stamp. */
interface Facts {
  /** `undefined`: none was active. */
  readonly charter: Charter | undefined;
  readonly authority: AgentAuthority;
  /** Present: one of the two is not known. */
  readonly without?: WithoutFacts | undefined;
}

/** An intent whose verdicts rest on counted uses waits for them; its place among the results is kept. */
interface Waiting {
  readonly place: number;
  readonly message: ReceivedMessage;
  readonly subject: JudgedIntent;
  readonly facts: Facts;
  readonly charter: Charter;
  /** As judged before any use was asked for. */
  readonly layers: readonly JudgedLayer[];
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
  const { watches = [], inDoubtUntil = () => -Infinity } = options;

  function judgeLayers(
    subject: JudgedIntent,
    { charter, authority, without }: Facts,
    unavailable?: ReadonlyMap<string, WhyNot>,
  ): JudgedLayer[] {
    const { intent, actionDigest, stamp, secondRound } = subject;
    const input = charter && {
      intent,
      actionDigest,
      judgedAt: Date.parse(stamp.judgedAt),
      charter,
      authority,
      unavailable,
      provenFrom: provenFromOf(stamp),
      secondRound,
    };
    let began = performance.now();
    return options.layers.map((layer) => {
      let verdict;
      if (without !== undefined) verdict = judgeWithoutFacts(layer, without);
      else verdict = input === undefined ? judgeWithoutCharter(layer) : judge(layer, input);
      const ended = performance.now();
      const ms = ended - began;
      began = ended;
      return { layer, verdict, ms };
    });
  }

  const NOT_JUDGED: readonly JudgedLayer[] = options.layers.map((layer) => ({
    layer,
    verdict: { layer, findings: [], passed: [], facts: {} },
    ms: 0,
  }));

  /** An intent that makes judging itself fail is denied: it must neither stop its partition nor go without a decision. */
  function failClosed(
    layers: readonly JudgedLayer[],
    charter: Charter | undefined,
    error: unknown,
  ): readonly JudgedLayer[] {
    return layers.map((judged) => ({ ...judged, verdict: withLayerError(judged.verdict, error, charter) }));
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
  async function judgeWithUses({ subject, facts, charter }: Waiting): Promise<JudgedLayer[]> {
    const { intent, actionDigest, stamp } = subject;
    const reserved = new Set<string>();
    const unavailable = new Map<string, WhyNot>();
    for (;;) {
      const layers = judgeLayers(subject, facts, unavailable);
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
          judgedVersion: facts.authority.version,
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

    add(message: ReceivedMessage, subject: JudgedIntent, facts: Facts): void {
      const began = this.#now();
      const { charter, without } = facts;
      const place = this.#results.length;
      let layers: readonly JudgedLayer[] = NOT_JUDGED;
      try {
        layers = judgeLayers(subject, facts);
        if (without === undefined && charter !== undefined && usesToReserve(subject, layers, charter).length > 0) {
          this.#waiting.push({ place, message, subject, facts, charter, layers });
          this.#results.push(undefined);
        } else this.#results.push(this.#resultOf(message, subject, layers, charter, began));
      } catch (error) {
        this.#results[place] = this.#resultOf(message, subject, failClosed(layers, charter, error), charter, began);
      }
    }

    async settle(): Promise<ResultMessage[]> {
      for (const waiting of this.#waiting) {
        const { place, message, subject, charter } = waiting;
        const began = this.#now();
        const layers = await judgeWithUses(waiting).catch((error: unknown) => {
          // the answer can be known later
          if (outlookOf(error) === 'later') throw error;
          return failClosed(waiting.layers, charter, error);
        });
        this.#results[place] = this.#resultOf(message, subject, layers, charter, began);
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
      sha256,
    });
  }

  function decided(data: Decision): ReturnType<typeof writeEvent> {
    const { decisionId, agentId, stamp } = data;
    return writeEvent(EVENTS.decision, { id: decisionId, source, subject: agentId, time: stamp.judgedAt, data });
  }

  /** What makes an intent's second round none. `authority`: `undefined` when it is no longer kept. */
  function problemOfArrival(
    { intent, actionDigest, secondRound }: JudgedIntent,
    authority: { readonly state: AgentAuthority | undefined } | undefined,
  ): Refusal | undefined {
    if (secondRound === undefined) return undefined;
    const { agentId, intentId } = intent;
    const intentDigest = intentDigestOf(intent, sha256);
    const claim = { agentId, intentId, actionDigest, intentDigest, requestId: secondRound.requestId };
    const problem =
      authority === undefined
        ? 'it is read so late that the end of its approval is no longer kept'
        : problemOfSecondRound(claim, authority.state, sha256);
    if (problem === undefined) return undefined;
    return { code: 'REMIT_INTENT_NO_SECOND_ROUND', reason: `only Remit starts a second round: ${problem}` };
  }

  async function judgeIntents(batch: Batch): Promise<BatchResult> {
    if (!(await views.catchUp(options.viewWaitMs, () => batch.heartbeat()))) throw viewsBehind(batch);
    const results = new Results(batch);
    const unreadable: Unreadable[] = [];
    for (const message of batch.messages) {
      const arrival = arrivalOf(message, options.signed === true);
      if (!arrival.ok) {
        unreadable.push({ message, code: arrival.code, reason: arrival.reason });
        continue;
      }
      const { intent, secondRound } = arrival;
      const inForce = views.charter.asOf(CHARTER_KEY, message.logTime);
      const charter = inForce?.state?.charter;
      const known = views.permissions.asOf(intent.agentId, message.logTime);
      const isKept = inForce !== undefined && known !== undefined && message.logTime > inDoubtUntil();
      const without = isKept ? undefined : 'not-kept';
      const { proof } = intent.cause ?? {};
      const proving = intent.cause && proof ? options.verifyProof?.(proof, intent.cause, message.logTime) : undefined;
      const cause = stampedCauseOf(intent, proving);
      const stamp: Stamp = {
        judgedAt: new Date(message.logTime).toISOString(),
        source: { topic: message.topic, partition: message.partition, offset: message.offset },
        charter: { digest: charter?.digest ?? null, position: inForce?.position ?? 0 },
        permissions: { position: known?.position ?? 0 },
        ...(cause === undefined ? {} : { cause }),
        ...(without === undefined ? {} : { notKept: true as const }),
      };
      const subject: JudgedIntent = {
        intent,
        actionDigest: actionDigestOf(intent.action, sha256),
        stamp,
        verdicts: [],
        ...(secondRound === undefined ? {} : { secondRound }),
      };
      const problem = problemOfArrival(subject, known);
      if (problem !== undefined) unreadable.push({ message, ...problem });
      else results.add(message, subject, { charter, authority: known?.state ?? INITIAL_AUTHORITY, without });
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
    const positions = arrived.map(({ subject: { intent, stamp } }) => ({
      agentId: intent.agentId,
      charter: stamp.charter.position,
      permissions: stamp.permissions.position,
    }));
    if (!(await views.reach(positions, options.viewWaitMs, () => batch.heartbeat()))) throw viewsBehind(batch);
    const results = new Results(batch);
    for (const { message, subject } of arrived) results.add(message, subject, factsOf(subject));
    return { publish: await results.settle(), unreadable };
  }

  /** What the stamp says, and never what this process happens to have read. */
  function factsOf({ intent, stamp }: JudgedIntent): Facts {
    const inForce = views.charter.at(CHARTER_KEY, stamp.charter.position);
    const known = views.permissions.at(intent.agentId, stamp.permissions.position);
    const charter = inForce?.state?.charter;
    const facts = { charter, authority: known?.state ?? INITIAL_AUTHORITY };
    const isInDoubt = Date.parse(stamp.judgedAt) <= inDoubtUntil();
    if (stamp.notKept === true || isInDoubt || inForce === undefined || known === undefined)
      return { ...facts, without: 'not-kept' };
    return (charter?.digest ?? null) === stamp.charter.digest ? facts : { ...facts, without: 'charter-differs' };
  }

  return stamps ? judgeIntents : judgeStamped;
}

/**
 * How far this process has read is no fact of the log, so nothing is decided by it: the same messages come again once
 * it has read further. A decision that comes too late for its intent is void for every reader alike.
 */
function viewsBehind({ topic, partition }: Batch): SegmentError {
  const problem = `${topic}/${String(partition)} waits: the charter and permissions have not been read far enough`;
  return new SegmentError('REMIT_SEGMENT_VIEWS_BEHIND', problem);
}
