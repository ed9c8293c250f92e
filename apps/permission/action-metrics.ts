import type { ReceivedMessage } from '#bus';
import { isVoid, type Charter, type Decision, type OutcomeReport } from '#domain';
import {
  exemplarTraceOf,
  METRICS,
  metricBoundsOf,
  OTHER,
  UNKNOWN,
  type AttributesOf,
  type Metrics,
  type Recorded,
  type Tallied,
} from '#telemetry';

/** All decisions that are counted alike share one of these. */
interface KindOfAction {
  readonly key: string;
  readonly attributes: Omit<AttributesOf<typeof METRICS.actions>, 'remit.status'>;
}

/** At least so many decisions are kept in mind, so that repeats are not counted and reports find what they are about. */
const REMEMBERED_DECISIONS = 50_000;

/**
 * Counts what became of actions, as it is read back from the log: decisions once each, whatever is appended again, and
 * what agents report. Times decisions by the brokers' clock alone.
 */
export class ActionMetrics {
  readonly #actions: Tallied<typeof METRICS.actions>;
  readonly #duration: Recorded<typeof METRICS.decisionDuration>;
  /** By decision id: the newest, and those before them, which are forgotten together. */
  #newest = new Map<string, KindOfAction>();
  #older: ReadonlyMap<string, KindOfAction> = new Map();
  readonly #kinds = new Map<string, KindOfAction>();

  /** `charterInForce`: whatever it does not name is told as one agent, and one verb. */
  constructor(
    metrics: Metrics,
    private readonly charterInForce: () => Charter | undefined,
  ) {
    this.#actions = metrics.tally(METRICS.actions);
    this.#duration = metrics.histogram(METRICS.decisionDuration);
  }

  /** A decision on the log. Only the first one in time counts; the same again, or a late one, changes nothing. */
  decided(message: ReceivedMessage, decision: Decision): void {
    const { decisionId, outcome, stamp } = decision;
    const { appendTime, offset } = message;
    if (this.#known(decisionId) !== undefined) return;
    const action = this.#actionOf(decision);
    this.#remember(decisionId, action);
    if (isVoid({ decision, appendTime, offset })) {
      this.#count(action, 'void');
      return;
    }
    this.#count(action, 'decided');
    const seconds = Math.max(0, appendTime - Date.parse(stamp.judgedAt)) / 1000;
    this.#duration.record(seconds, { 'remit.outcome': outcome }, exemplarTraceOf(message.headers));
  }

  /** What an agent reports. */
  reported({ agentId, decisionId, status }: OutcomeReport): void {
    const agent = metricBoundsOf(this.charterInForce()).agentOf(agentId);
    const decided = this.#known(decisionId);
    const isItsOwn = decided?.attributes['agent.id'] === agent;
    this.#count(isItsOwn ? decided : this.#kindOf(OTHER, UNKNOWN, UNKNOWN, agent), status);
  }

  #actionOf({ agentId, action, outcome, stage }: Decision): KindOfAction {
    const bounds = metricBoundsOf(this.charterInForce());
    return this.#kindOf(bounds.verbOf(action.type), outcome, stage, bounds.agentOf(agentId));
  }

  #kindOf(verb: string, outcome: string, stage: string, agent: string): KindOfAction {
    const key = `${verb}\n${outcome}\n${stage}\n${agent}`;
    let kind = this.#kinds.get(key);
    if (kind === undefined) {
      const attributes = {
        'remit.action.type': verb,
        'remit.outcome': outcome,
        'remit.stage': stage,
        'agent.id': agent,
      };
      this.#kinds.set(key, (kind = { key, attributes }));
    }
    return kind;
  }

  #remember(decisionId: string, action: KindOfAction): void {
    this.#newest.set(decisionId, action);
    if (this.#newest.size < REMEMBERED_DECISIONS) return;
    this.#older = this.#newest;
    this.#newest = new Map();
  }

  #known(decisionId: string): KindOfAction | undefined {
    return this.#newest.get(decisionId) ?? this.#older.get(decisionId);
  }

  #count({ key, attributes }: KindOfAction, status: string): void {
    this.#actions.count(`${key}\n${status}`, () => ({ ...attributes, 'remit.status': status }));
  }
}
