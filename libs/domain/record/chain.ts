import type { CharterDocument } from '../charter/charter-document.js';
import type { Decision, Finding, Layer, Outcome, StampedCause } from '../decision/decision.js';
import { isVoid } from '../decision/effective.js';
import { chainIdOf, type OutcomeReport, type Trigger } from '../intent/intent.js';
import type { PermissionEvent } from '../permission/permission-events.js';
import { heldRequestId } from '../permission/second-round.js';
import { byAppendTime, placeOf, type AppendedAt } from './appended-at.js';
import { actionAuthority, withAuthority, type ActionAuthority, type AgentAuthorityUsed } from './chain-authority.js';
import { checkCause, type ChainCause, type CheckedCause } from './chain-cause.js';
import { inOrder, type ChainEvent } from './chain-event.js';
import {
  claimKey,
  gather,
  isReport,
  reportedOn,
  settle,
  type ActionSaid,
  type Grouped,
  type Held,
  type ReportEvent,
} from './chain-gathering.js';
import { ordersBehind, type OrderBehind, type PeoplesOrder } from './orders-behind.js';

/** What else the record holds about the authority that the actions of a chain rested on. */
export interface ChainEvidence {
  /** By digest. */
  readonly charters: ReadonlyMap<string, Pick<CharterDocument, 'agents'>>;
  readonly grants: readonly Extract<PermissionEvent, { event: 'PermissionGranted' }>[];
  readonly orders: readonly PeoplesOrder[];
  /** Agents of which permission events were erased. */
  readonly erased: ReadonlySet<string>;
}

const NO_EVIDENCE: ChainEvidence = { charters: new Map(), grants: [], orders: [], erased: new Set() };

export interface ChainFinding extends Finding {
  readonly layer: Layer;
}

export interface ChainDecision extends AppendedAt {
  readonly decisionId: string;
  readonly round: number;
  readonly outcome: Outcome;
  readonly wouldBe: Outcome;
  readonly stage: Decision['stage'];
  /** SHA-256 of the charter that judged; `null`: none was active. */
  readonly charter: string | null;
  /** Whether its cause was proven when it was judged; `null`: it named none, or an older engine has judged it. */
  readonly cause: StampedCause | null;
  readonly findings: readonly ChainFinding[];
  /** Orders of people that it rests on: who suspended the agent, who rejected the action. */
  readonly orders: readonly OrderBehind[];
  /** Appended after its `validUntil`: nobody may act on it. */
  readonly void: boolean;
  /** This one counts. */
  readonly effective: boolean;
  /** From the intent's append time to this one's; `null` when the record does not hold the intent. */
  readonly msAfterIntent: number | null;
}

export interface ChainReport extends AppendedAt {
  readonly status: OutcomeReport['status'];
  /** Its content was erased: `detail`, `decisionId` and `asDecided` are `null` because nobody can tell any more. */
  readonly erased: boolean;
  readonly detail: string | null;
  readonly decisionId: string | null;
  /** What was done is, by its digest, what was decided. */
  readonly asDecided: boolean | null;
  /**
   * From the effective decision's append time to this one's; `null` when there is no effective decision, or when an
   * erased report may be about another action with the same id.
   */
  readonly msAfterDecision: number | null;
}

/** One action of a chain. Several with one `intentId` are the same id used for different actions. */
export interface ChainAction {
  readonly agentId: string;
  readonly intentId: string;
  /**
   * The content of the intent was erased. What is said of it here is what its decision says; when nothing was decided,
   * `null` for cause, person, trigger and digest means that nobody can tell any more.
   */
  readonly erased: boolean;
  /**
   * The agent has sent this id with other content too: another action, chain, cause, trigger or person. `null`: it has
   * sent it more than once, and whether with other content was erased.
   */
  readonly idReused: boolean | null;
  readonly action: ActionSaid;
  readonly onBehalfOf: string | null;
  readonly trigger: Trigger | null;
  /**
   * Broker append time of the intent, ms since the epoch; `null` when the record holds only what came of it, and at most
   * an erased intent that may be it.
   */
  readonly appendTime: number | null;
  /** How many causes lie between this action and the start of its branch. */
  readonly depth: number;
  readonly cause: ChainCause | null;
  /** From the causing intent's append time to this one's. */
  readonly msAfterCause: number | null;
  /** What the agent could go by, as far as the record holds it. */
  readonly authority: ActionAuthority;
  /**
   * The agents whose actions led here, each once, from the first on, and the authority each of them had on the way;
   * `proven` when every cause on the way is.
   */
  readonly upstream: {
    readonly agents: readonly string[];
    readonly authorities: readonly AgentAuthorityUsed[];
    readonly proven: boolean;
  };
  /** The outcome that counts; `hold` while people are asked, `undecided` when there is no valid decision. */
  readonly outcome: Outcome | 'undecided';
  /** Every decision, in partition order; identical repeats once. */
  readonly decisions: readonly ChainDecision[];
  readonly reports: readonly ChainReport[];
}

/** A report about an action that this chain does not hold. */
export interface StrayReport extends AppendedAt {
  readonly agentId: string;
  readonly intentId: string;
  /** Its content was erased: `decisionId` and `detail` are `null`. */
  readonly erased: boolean;
  readonly decisionId: string | null;
  readonly status: OutcomeReport['status'];
  readonly detail: string | null;
}

/**
 * What was appended as the re-evaluation of an intent of this chain, and is none: what was held is another intent, or
 * nothing was. It is refused, as a dead letter; somebody other than Remit has sent it.
 */
export interface ForeignReEvaluation extends AppendedAt {
  readonly agentId: string;
  readonly intentId: string;
  /** The request for approval that it names. */
  readonly requestId: string;
  readonly action: Pick<ActionSaid, 'type' | 'target'>;
  readonly onBehalfOf: string | null;
}

/**
 * A chain as a tree by causes. The actions come depth first: an action's followers come right after it, one deeper,
 * in the order of their appends. An action whose claimed cause cannot lie above it starts a branch of its own.
 */
export interface ChainTree {
  readonly chainId: string;
  readonly actions: readonly ChainAction[];
  readonly strayReports: readonly StrayReport[];
  readonly foreignReEvaluations: readonly ForeignReEvaluation[];
}

function decisionsOf(one: Held, { orders, erased }: ChainEvidence): ChainDecision[] {
  const shown = new Map<string, ChainDecision>();
  for (const event of [...one.decisions].sort((a, b) => a.offset - b.offset)) {
    const { decision } = event;
    const entry: ChainDecision = {
      ...placeOf(event),
      decisionId: decision.decisionId,
      round: decision.round,
      outcome: decision.outcome,
      wouldBe: decision.wouldBe,
      stage: decision.stage,
      charter: decision.stamp.charter.digest,
      cause: decision.stamp.cause ?? null,
      findings: decision.verdicts.flatMap(({ layer, findings }) => findings.map((finding) => ({ layer, ...finding }))),
      orders: ordersBehind(decision, orders, erased.has(one.agentId)),
      void: isVoid(event),
      effective: event === one.effective,
      msAfterIntent: one.intentRecorded ? event.appendTime - one.place.appendTime : null,
    };
    const repeat = `${entry.decisionId} ${entry.outcome} ${entry.wouldBe} ${String(entry.void)}`;
    if (!shown.has(repeat)) shown.set(repeat, entry);
  }
  return [...shown.values()];
}

function reportsOf(one: Held, byClaim: Grouped<Held>): ChainReport[] {
  const shown = new Map<string, ChainReport>();
  const isOnly = byClaim.of(claimKey(one)).length === 1;
  for (const event of one.reports) {
    const told = toldBy(event, one);
    const repeat = event.kind === 'report' ? `${event.report.actionDigest} ${event.report.decisionId}` : 'erased';
    if (shown.has(`${repeat} ${told.status}`)) continue;
    const after = one.effective === undefined || (told.erased && !isOnly) ? null : one.effective.appendTime;
    shown.set(`${repeat} ${told.status}`, {
      ...placeOf(event),
      ...told,
      msAfterDecision: after === null ? null : event.appendTime - after,
    });
  }
  return [...shown.values()];
}

function toldBy(event: ReportEvent, one: Held): Omit<ChainReport, keyof AppendedAt | 'msAfterDecision'> {
  if (event.kind === 'erased-report') {
    return { status: event.status, erased: true, detail: null, decisionId: null, asDecided: null };
  }
  const { status, detail, decisionId, actionDigest } = event.report;
  const { digest } = one.said.action;
  const asDecided = digest === null ? null : actionDigest === digest;
  return { status, erased: false, detail: detail ?? null, decisionId, asDecided };
}

function outcomeOf(one: Held): ChainAction['outcome'] {
  if (one.effective !== undefined) return one.effective.decision.outcome;
  return one.decisions.some((event) => event.decision.outcome === 'hold' && !isVoid(event)) ? 'hold' : 'undecided';
}

/**
 * Folds a chain into a tree by causes. `events`, in any order and with any repeats, are everything the record holds of
 * the chain, and what it holds of intents elsewhere that this chain names as causes. Causes that run in a circle
 * cannot form one here: a cause lies above its effect only when it was appended before it.
 */
export function foldChain(
  chainId: string,
  events: readonly ChainEvent[],
  evidence: ChainEvidence = NO_EVIDENCE,
): ChainTree {
  const ordered = inOrder(events);
  const { held, byClaim } = gather(ordered);
  settle(held);

  const ofChain = held.filter((one) => one.chainId === chainId).sort((a, b) => byAppendTime(a.place, b.place));
  const causes = new Map<Held, CheckedCause>();
  const firsts: Held[] = [];
  const followers = new Map(ofChain.map((one) => [one, [] as Held[]]));
  for (const one of ofChain) {
    const checked = one.said.cause === null ? undefined : checkCause(one.said.cause, one, byClaim);
    if (checked !== undefined) causes.set(one, checked);
    ((checked?.above && followers.get(checked.above)) ?? firsts).push(one);
  }

  const folded = new Map<Held, ChainAction>();
  const toVisit = firsts.reverse();
  for (let one = toVisit.pop(); one !== undefined; one = toVisit.pop()) {
    const checked = causes.get(one);
    const above = checked?.above && folded.get(checked.above);
    folded.set(one, actionOf(one, checked?.cause ?? null, above, evidence, byClaim));
    for (const follower of followers.get(one)?.reverse() ?? []) toVisit.push(follower);
  }
  return {
    chainId,
    actions: [...folded.values()],
    strayReports: strayReportsOf(chainId, ordered, byClaim),
    foreignReEvaluations: foreignReEvaluationsOf(chainId, ordered),
  };
}

/** Whatever names this chain, or an intent of it, as one that was held. A hold of an older engine does not tell of what. */
function foreignReEvaluationsOf(chainId: string, events: readonly ChainEvent[]): ForeignReEvaluation[] {
  const held = new Map<string, Decision>();
  const inChain = new Set<string>();
  for (const event of events) {
    if (event.kind === 'intent' && chainIdOf(event.intent) === chainId) inChain.add(claimKey(event.intent));
    if (event.kind !== 'decision') continue;
    const { decision } = event;
    if (decision.chainId === chainId) inChain.add(claimKey(decision));
    if (decision.outcome === 'hold') held.set(`${decision.agentId}\n${heldRequestId(decision.decisionId)}`, decision);
  }
  return events.flatMap((event) => {
    if (event.kind !== 're-evaluation') return [];
    const { intent, requestId, intentDigest } = event;
    const { agentId, intentId, action, onBehalfOf } = intent;
    if (chainIdOf(intent) !== chainId && !inChain.has(claimKey(intent))) return [];
    const hold = held.get(`${agentId}\n${requestId}`);
    const known = hold?.intentDigest ?? (hold === undefined ? undefined : intentDigest);
    if (known === intentDigest && hold?.intentId === intentId) return [];
    const { type, target } = action;
    return [
      { ...placeOf(event), agentId, intentId, requestId, action: { type, target }, onBehalfOf: onBehalfOf ?? null },
    ];
  });
}

function strayReportsOf(chainId: string, events: readonly ChainEvent[], byClaim: Grouped<Held>): StrayReport[] {
  return events.flatMap((event) => {
    if (!isReport(event)) return [];
    const erased = event.kind === 'erased-report';
    const said = erased ? { ...event, decisionId: null, detail: null } : event.report;
    if (said.chainId !== chainId || reportedOn(event, byClaim)?.chainId === chainId) return [];
    const { agentId, intentId, decisionId, status, detail } = said;
    return [{ ...placeOf(event), agentId, intentId, erased, decisionId, status, detail: detail ?? null }];
  });
}

function isReused(one: Held, byClaim: Grouped<Held>): boolean | null {
  if (byClaim.of(claimKey(one)).length > 1 || one.contents.length > 1) return true;
  return one.erased === undefined || isErasedOnce(one) ? false : null;
}

/** Whatever its decision says is all that the agent said. */
function isErasedOnce({ erased, contents, intentRecorded }: Held): boolean {
  return erased?.times === 1 && contents.length === 0 && intentRecorded;
}

/** By the decision that counts, else by the last one there is. */
function authorityOf(one: Held, { charters, grants, erased }: ChainEvidence): ActionAuthority {
  const decision = (one.effective ?? one.decisions.at(-1))?.decision;
  if (decision === undefined) return { scope: null, permissions: [] };
  const { digest } = decision.stamp.charter;
  const charter = digest === null ? undefined : charters.get(digest);
  return actionAuthority(decision, charter, grants, erased.has(one.agentId));
}

function actionOf(
  one: Held,
  cause: ChainCause | null,
  above: ChainAction | undefined,
  evidence: ChainEvidence,
  byClaim: Grouped<Held>,
): ChainAction {
  const { action, onBehalfOf, trigger } = one.said;
  const appendTime = one.intentRecorded ? one.place.appendTime : null;
  const isErased = one.contents.length === 0 && (one.intentRecorded || one.erased !== undefined);
  return {
    agentId: one.agentId,
    intentId: one.intentId,
    erased: isErased,
    idReused: isReused(one, byClaim),
    action,
    onBehalfOf,
    trigger,
    appendTime,
    depth: above === undefined ? 0 : above.depth + 1,
    cause,
    msAfterCause: msBetween(above?.appendTime ?? null, appendTime),
    authority: authorityOf(one, evidence),
    upstream: upstreamOf(cause, above, !isErased || (isErasedOnce(one) && one.decisions.length > 0)),
    outcome: outcomeOf(one),
    decisions: decisionsOf(one, evidence),
    reports: reportsOf(one, byClaim),
  };
}

function msBetween(earlier: number | null, later: number | null): number | null {
  return earlier === null || later === null ? null : later - earlier;
}

function upstreamOf(
  cause: ChainCause | null,
  above: ChainAction | undefined,
  causeKnown: boolean,
): ChainAction['upstream'] {
  if (cause === null) return { agents: [], authorities: [], proven: causeKnown };
  if (above === undefined) return { agents: [], authorities: [], proven: false };
  const { agents, authorities, proven } = above.upstream;
  return {
    // Shared where nothing is added, so that two agents calling each other for hours do not fill the memory.
    agents: agents.includes(above.agentId) ? agents : [...agents, above.agentId],
    authorities: withAuthority(authorities, above.agentId, above.authority),
    proven: proven && cause.standing === 'proven',
  };
}
