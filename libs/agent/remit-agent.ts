import { v7 as uuidv7 } from 'uuid';
import { type Bus, type Following, KafkaBus, type ReceivedMessage } from '#bus';
import type { KafkaSecurity } from '#config';
import { EVENTS, TOPICS, partitionOfAgent, readEvent, sha256 } from '#contracts';
import {
  type Action,
  type CauseProof,
  type Decision,
  type OutcomeReport,
  actionDigestOf,
  agentIdSchema,
  chainIdOf,
  isFinal,
  isVoid,
} from '#domain';
import { causeProofOf, MessageVerifier, SignedBus, TrustedKeys } from '#signing';
import { ATTRIBUTES as NAMES, intentAttributes, type SpanContext, spanContextOf, type TraceHeaders } from '#telemetry';
import { beginExecution, beginSending, beginTurn, inTurn, type Turn } from './agent-trace.js';
import { type AgentCode, type Answer, reasonsOf, startStopwatch, validForMs } from './answer.js';
import { type IntentOptions, messageOf, prepareIntent, writeAgentMessage } from './intent.js';

/** How an agent reaches Remit: the brokers' addresses, or a bus it already has and closes itself. */
export type ConnectOptions = {
  readonly agentId: string;
  /** How long a proposal waits unless it says otherwise, ms. Default 30,000. */
  readonly timeoutMs?: number;
} & (
  | {
      readonly brokers: readonly string[];
      readonly clientId?: string;
      /** TLS and SASL of the connections to the brokers; default: neither. */
      readonly security?: KafkaSecurity;
      /** File with the public keys of Remit: decisions that none of them has signed do not count. Default: all count. */
      readonly trustedKeysFile?: string;
    }
  | { readonly bus: Bus }
);

export interface ProposeOptions extends IntentOptions {
  /** How long to wait for a final decision, approvals included, ms. */
  readonly timeoutMs?: number;
  /** Called once when people have to approve first. The proposal goes on waiting. */
  readonly onHold?: (decision: Decision) => void;
}

/** What came of {@link RemitAgent.act}. `reportError`: the outcome could not be put on record; report it again. */
export type Act<Result> =
  | { readonly status: 'not-allowed'; readonly answer: Answer }
  | { readonly status: 'too-late'; readonly answer: Answer; readonly reportError?: unknown }
  | { readonly status: 'executed'; readonly answer: Answer; readonly result: Result; readonly reportError?: unknown }
  | { readonly status: 'failed'; readonly answer: Answer; readonly error: unknown; readonly reportError?: unknown };

/** An error of the SDK. Recognise it by its code. */
export class RemitAgentError extends Error {
  override readonly name = 'RemitAgentError';

  constructor(
    readonly code:
      | 'REMIT_AGENT_ID_INVALID'
      | 'REMIT_AGENT_NOTHING_TO_REPORT'
      | 'REMIT_AGENT_NOT_ITS_ANSWER'
      | 'REMIT_AGENT_OUTCOME_INVALID'
      | 'REMIT_AGENT_CLOSED',
    message: string,
  ) {
    super(message);
  }
}

/** A published intent that waits for its effective decision. */
interface Proposal {
  readonly actionDigest: string;
  held(decision: Decision): void;
  decided(decision: Decision, decidedIn: SpanContext | undefined, proof: CauseProof | undefined): void;
  refused(code: AgentCode, reason: string): void;
}

/** What came back, and the span of the decision in it. */
interface Answered {
  readonly answer: Answer;
  readonly decidedIn?: SpanContext | undefined;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** Node's longest timer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const MAX_DETAIL = 1024;

/**
 * What an agent needs to stay within its remit: propose, act only when allowed, report. It fails closed: whatever
 * goes wrong on the way to a decision comes back as an answer that says no.
 */
export class RemitAgent {
  readonly #proposals = new Map<string, Proposal>();
  readonly #key: Buffer;
  #following: Following | undefined;
  #closed = false;

  private constructor(
    readonly agentId: string,
    private readonly bus: Bus,
    private readonly ownsBus: boolean,
    private readonly timeoutMs: number,
  ) {
    this.#key = Buffer.from(agentId, 'utf8');
  }

  /**
   * Resolves once the agent would see every decision made from now on.
   * Throws `REMIT_AGENT_ID_INVALID`, `REMIT_TRUSTED_KEYS_UNREADABLE`, and the bus's own errors when it cannot be reached.
   */
  static async connect(options: ConnectOptions): Promise<RemitAgent> {
    const id = agentIdSchema.safeParse(options.agentId);
    if (!id.success) {
      throw new RemitAgentError('REMIT_AGENT_ID_INVALID', `agentId ${id.error.issues[0]?.message ?? 'is not valid'}`);
    }
    const ownsBus = !('bus' in options);
    const bus = ownsBus ? openBus(id.data, options) : options.bus;
    const agent = new RemitAgent(id.data, bus, ownsBus, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    try {
      agent.#following = await bus.follow(
        { topics: [TOPICS.agentDecisions.name], from: 'end', partitions: [partitionOfAgent(id.data)] },
        (messages) => agent.#onDecisions(messages),
      );
    } catch (error) {
      if (ownsBus) await bus.close();
      throw error;
    }
    return agent;
  }

  /**
   * One turn of this agent: whatever `work` proposes and does hangs under one `invoke_agent` span, in the trace that is
   * active or handed in. Without it, every proposal is a turn of its own. Rejects as `work` does.
   */
  async invoke<Result>(work: () => Promise<Result>, options: TraceHeaders = {}): Promise<Result> {
    return inTurn(beginTurn(this.agentId, options, undefined), work);
  }

  /**
   * Publishes an intent and waits for its effective decision. Never rejects: an invalid action, a bus that fails,
   * a time-out or `close()` come back as a denial with a code.
   */
  async propose(action: Action, options: ProposeOptions = {}): Promise<Answer> {
    const turn = beginTurn(this.agentId, options, traceOfCause(options));
    return inTurn(turn, async () => (await this.#propose(action, options, turn)).answer);
  }

  async #propose(action: Action, options: ProposeOptions, turn: Turn): Promise<Answered> {
    const prepared = prepareIntent(this.agentId, action, options, turn.headers);
    const { intent } = prepared;
    const stopwatch = startStopwatch();
    const answer = (
      says: Pick<Answer, 'outcome' | 'because' | 'code' | 'decision' | 'proof'>,
      mayActForMs: number,
    ): Answer => ({
      ...says,
      agentId: this.agentId,
      intentId: intent.intentId,
      chainId: chainIdOf(intent),
      action: intent.action,
      actionDigest: prepared.ok ? prepared.actionDigest : '',
      trace: turn.headers,
      waitedMs: stopwatch.elapsedMs(),
      mayActNow: () => stopwatch.elapsedMs() < mayActForMs,
    });
    const refusal = (code: AgentCode, reason: string): Answered => ({
      answer: answer({ outcome: 'deny', code, because: [reason] }, 0),
    });

    if (this.#closed) return refusal('REMIT_AGENT_CLOSED', 'the agent has been closed; connect again');
    if (!prepared.ok) return refusal('REMIT_AGENT_INTENT_INVALID', prepared.reason);
    const { message, actionDigest } = prepared;

    return new Promise<Answered>((resolve) => {
      const timeoutMs = Math.min(options.timeoutMs ?? this.timeoutMs, MAX_TIMEOUT_MS);
      let appendedAt: number | undefined;
      let held = false;
      const settle = (result: Answered): void => {
        clearTimeout(timer);
        this.#proposals.delete(intent.intentId);
        resolve(result);
      };
      const refused = (code: AgentCode, reason: string): void => settle(refusal(code, reason));
      const timer = setTimeout(() => {
        if (held) refused('REMIT_AGENT_STILL_HELD', `not approved within ${timeoutMs} ms`);
        else refused('REMIT_AGENT_NO_DECISION', `no decision within ${timeoutMs} ms; is Remit running?`);
      }, timeoutMs);
      this.#proposals.set(intent.intentId, {
        actionDigest,
        held: (decision) => {
          if (held) return;
          held = true;
          appendedAt = Date.parse(decision.stamp.judgedAt);
          try {
            options.onHold?.(decision);
          } catch (error) {
            refused('REMIT_AGENT_ON_HOLD_FAILED', messageOf(error));
          }
        },
        decided: (decision, decidedIn, signed) => {
          const outcome = decision.outcome === 'allow' ? 'allow' : 'deny';
          const mayActForMs = outcome === 'allow' ? validForMs(decision, appendedAt) : 0;
          const proof = outcome === 'allow' && signed !== undefined ? { proof: signed } : {};
          const says = { outcome, because: reasonsOf(decision), decision, ...proof } as const;
          settle({ answer: answer(says, mayActForMs), decidedIn });
        },
        refused,
      });
      const sending = beginSending('sendIntent', turn.headers, intentAttributes(intent, actionDigest, 1));
      const headers = { ...sending.headers, ...message.headers };
      this.bus.publish([{ topic: TOPICS.agentActions.name, key: this.agentId, value: message.value, headers }]).then(
        ([published]) => {
          sending.sent(published);
          appendedAt ??= published?.appendTime;
        },
        (error: unknown) => {
          sending.failed(error);
          refused('REMIT_AGENT_PUBLISH_FAILED', messageOf(error));
        },
      );
    });
  }

  /**
   * Puts on record what came of a decided proposal. `executed` is the action that was really carried out, where it
   * is another than the judged one. Throws `REMIT_AGENT_NOTHING_TO_REPORT`, `REMIT_AGENT_NOT_ITS_ANSWER`,
   * `REMIT_AGENT_OUTCOME_INVALID`, `REMIT_AGENT_CLOSED` and the bus's own errors.
   */
  async report(
    answer: Answer,
    status: OutcomeReport['status'],
    detail?: string,
    executed: Action = answer.action,
  ): Promise<void> {
    if (this.#closed) throw new RemitAgentError('REMIT_AGENT_CLOSED', 'the agent has been closed; connect again');
    if (answer.agentId !== this.agentId) {
      throw new RemitAgentError('REMIT_AGENT_NOT_ITS_ANSWER', `only ${answer.agentId} may report on its own proposal`);
    }
    if (answer.decision === undefined) {
      throw new RemitAgentError(
        'REMIT_AGENT_NOTHING_TO_REPORT',
        `intent ${answer.intentId} has no decision (${answer.code ?? 'none'}), so nothing may have been done`,
      );
    }
    const data: OutcomeReport = {
      intentId: answer.intentId,
      agentId: this.agentId,
      decisionId: answer.decision.decisionId,
      actionDigest: executed === answer.action ? answer.actionDigest : actionDigestOf(executed, sha256),
      status,
      chainId: answer.chainId,
      ...(detail === undefined ? {} : { detail: detail.slice(0, MAX_DETAIL) }),
    };
    const written = writeAgentMessage(EVENTS.outcome, uuidv7(), data, answer.trace);
    if (!written.ok) throw new RemitAgentError('REMIT_AGENT_OUTCOME_INVALID', written.reason);
    const { value, headers } = written.message;
    const sending = beginSending('sendOutcome', answer.trace, outcomeAttributes(data));
    const message = { value, headers: { ...sending.headers, ...headers } };
    try {
      const [published] = await this.bus.publish([{ topic: TOPICS.agentOutcomes.name, key: this.agentId, ...message }]);
      sending.sent(published);
    } catch (error) {
      sending.failed(error);
      throw error;
    }
  }

  /**
   * Proposes, runs `execute` with exactly the judged action if it is allowed and still valid, and reports what came
   * of it. Never rejects: an error thrown by `execute` comes back as `failed`.
   */
  async act<Result>(
    action: Action,
    execute: (action: Action, answer: Answer) => Promise<Result> | Result,
    options: ProposeOptions = {},
  ): Promise<Act<Result>> {
    const turn = beginTurn(this.agentId, options, traceOfCause(options));
    return inTurn(turn, async () => this.#act(await this.#propose(action, options, turn), execute, turn));
  }

  async #act<Result>(
    { answer, decidedIn }: Answered,
    execute: (action: Action, answer: Answer) => Promise<Result> | Result,
    turn: Turn,
  ): Promise<Act<Result>> {
    if (answer.outcome !== 'allow') return { status: 'not-allowed', answer };
    if (!answer.mayActNow()) {
      const reported = await this.#tryReport(answer, 'failed', 'allowed, but too late to begin');
      return { status: 'too-late', answer, ...reported };
    }
    const { action, actionDigest, intentId, chainId } = answer;
    const attributes = intentAttributes(
      { agentId: this.agentId, intentId, chainId, action },
      actionDigest,
      answer.decision?.round ?? 1,
    );
    const execution = beginExecution(turn, action.type, attributes, decidedIn);
    const executing: Answer = { ...answer, trace: execution.headers };
    try {
      const result = await inTurn(execution, async () => execute(action, executing));
      return { status: 'executed', answer: executing, result, ...(await this.#tryReport(executing, 'executed')) };
    } catch (error) {
      const reported = await this.#tryReport(executing, 'failed', messageOf(error));
      return { status: 'failed', answer: executing, error, ...reported };
    }
  }

  /** Denies what is still waiting and leaves. A bus handed to `connect` stays open. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const proposal of [...this.#proposals.values()]) {
      proposal.refused('REMIT_AGENT_CLOSED', 'the agent was closed before a decision came');
    }
    await this.#following?.stop();
    if (this.ownsBus) await this.bus.close();
  }

  async #tryReport(
    answer: Answer,
    status: OutcomeReport['status'],
    detail?: string,
  ): Promise<{ readonly reportError?: unknown }> {
    try {
      await this.report(answer, status, detail);
      return {};
    } catch (reportError) {
      return { reportError };
    }
  }

  /** In partition order, so that the first final decision that is not void is the effective one. */
  #onDecisions(messages: readonly ReceivedMessage[]): void {
    for (const message of messages) {
      if (message.key === null || !this.#key.equals(message.key)) continue;
      const reading = readEvent(EVENTS.decision, message);
      if (!reading.ok) continue;
      const appended = { decision: reading.event.data, appendTime: message.appendTime, offset: message.offset };
      const { decision } = appended;
      const proposal = this.#proposals.get(decision.intentId);
      if (proposal === undefined || decision.agentId !== this.agentId) continue;
      if (decision.action.digest !== proposal.actionDigest || isVoid(appended)) continue;
      if (isFinal(appended)) proposal.decided(decision, spanContextOf(message.headers), causeProofOf(message));
      else proposal.held(decision);
    }
  }
}

function openBus(agentId: string, options: Extract<ConnectOptions, { readonly brokers: readonly string[] }>): Bus {
  const { trustedKeysFile } = options;
  // before anything is connected: keys that cannot be used throw
  const verifier = trustedKeysFile === undefined ? undefined : new MessageVerifier(new TrustedKeys(trustedKeysFile));
  const bus = new KafkaBus({
    brokers: options.brokers,
    clientId: options.clientId ?? `agent-${agentId}`,
    security: options.security,
    topics: [TOPICS.agentActions, TOPICS.agentDecisions, TOPICS.agentOutcomes],
  });
  return verifier === undefined ? bus : new SignedBus(bus, { verifier, onRefused: () => undefined });
}

/** The context of an answer that led here, of whichever agent. */
function traceOfCause({ cause }: ProposeOptions): TraceHeaders | undefined {
  return cause !== undefined && 'trace' in cause ? cause.trace : undefined;
}

function outcomeAttributes({ agentId, intentId, chainId, decisionId, status }: OutcomeReport): Record<string, string> {
  return {
    [NAMES.agentId.name]: agentId,
    [NAMES.chainId.name]: chainId,
    [NAMES.intentId.name]: intentId,
    [NAMES.decisionId.name]: decisionId,
    [NAMES.outcomeStatus.name]: status,
  };
}
