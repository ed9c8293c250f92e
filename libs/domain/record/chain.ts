import type { CharterDocument } from '../charter/charter-document.js';
import type { Decision, Finding, Layer, Outcome } from '../decision/decision.js';
import { effectiveDecision, isVoid } from '../decision/effective.js';
import { chainIdOf, type Cause, type Intent, type OutcomeReport, type Trigger } from '../intent/intent.js';
import type { PermissionEvent } from '../permission/permission-events.js';
import { actionAuthority, withAuthority, type ActionAuthority, type AgentAuthorityUsed } from './chain-authority.js';
import { sameJson } from './json-difference.js';
import { ordersBehind, type OrderBehind, type PeoplesOrder } from './orders-behind.js';

/** Where and when the record holds an event. `appendTime` is the broker's, ms since the epoch. */
export interface AppendedAt {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly appendTime: number;
}

/** What a chain is made of, where it can be read. */
export type ReadableChainEvent = AppendedAt &
  (
    | { readonly kind: 'intent'; readonly intent: Intent; readonly actionDigest: string }
    | { readonly kind: 'decision'; readonly decision: Decision }
    | { readonly kind: 'report'; readonly report: OutcomeReport }
  );

/** What an erasure leaves of an intent or a report: what it can be searched by. Decisions are never erased. */
export type ErasedChainEvent = AppendedAt & {
  readonly agentId: string;
  readonly intentId: string;
  readonly chainId: string;
} & (
    | { readonly kind: 'erased-intent'; readonly action: Pick<Intent['action'], 'type' | 'target'> }
    | { readonly kind: 'erased-report'; readonly status: OutcomeReport['status'] }
  );

/** What a chain is made of, as the record holds it. */
export type ChainEvent = ReadableChainEvent | ErasedChainEvent;

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

/** What is wrong with a cause that is only claimed. `undecided`: held, or never validly decided. */
export type ClaimFault = 'not-in-record' | 'other-chain' | 'later' | 'denied' | 'undecided';

/**
 * The intent that led to an action. `proven`: the record holds it in the same chain, effectively allowed, appended
 * before. `erased`: it may be, but what would tell was erased. Otherwise it is only claimed, and `why` says what is
 * wrong with the claim.
 */
export type ChainCause = Cause &
  (
    | { readonly standing: 'proven' | 'erased' }
    | {
        readonly standing: 'claimed';
        readonly why: ClaimFault;
      }
  );

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

/** An action by its digest; `null`: its content was erased before anything was decided. */
export type ActionSaid = Omit<Decision['action'], 'digest'> & { readonly digest: string | null };

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
 * A chain as a tree by causes. The actions come depth first: an action's followers come right after it, one deeper,
 * in the order of their appends. An action whose claimed cause cannot lie above it starts a branch of its own.
 */
export interface ChainTree {
  readonly chainId: string;
  readonly actions: readonly ChainAction[];
  readonly strayReports: readonly StrayReport[];
}

type IntentEvent = Extract<ChainEvent, { kind: 'intent' }>;
type DecisionEvent = Extract<ChainEvent, { kind: 'decision' }>;
type ReportEvent = Extract<ChainEvent, { kind: 'report' | 'erased-report' }>;
type ErasedIntent = Extract<ChainEvent, { kind: 'erased-intent' }>;

/** What an action says of itself. */
interface Said {
  readonly action: ActionSaid;
  readonly cause: Cause | null;
  readonly onBehalfOf: string | null;
  readonly trigger: Trigger | null;
}

/** What the record holds of one action in one chain. */
interface Held {
  readonly agentId: string;
  readonly intentId: string;
  readonly chainId: string;
  readonly said: Said;
  /** Where the intent lies; when it is not in the record, where its decision says that it lay. */
  place: AppendedAt;
  readonly intentRecorded: boolean;
  /** How many times it, or what looks like it, was sent and then erased, and where first. */
  erased: { readonly first: AppendedAt; readonly times: number } | undefined;
  /** What the agent has sent under this id for this action; a second one only when it differs. */
  readonly contents: Intent[];
  readonly decisions: DecisionEvent[];
  readonly reports: ReportEvent[];
  effective: DecisionEvent | undefined;
}

function placeKey({ topic, partition, offset }: Omit<AppendedAt, 'appendTime'>): string {
  return `${topic}\n${partition}\n${offset}`;
}

function placeOf({ topic, partition, offset, appendTime }: AppendedAt): AppendedAt {
  return { topic, partition, offset, appendTime };
}

function byAppend(a: AppendedAt, b: AppendedAt): number {
  if (a.appendTime !== b.appendTime) return a.appendTime - b.appendTime;
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  return a.partition - b.partition || a.offset - b.offset;
}

/** Surely before: within one millisecond only a partition has an order. */
function isBefore(a: AppendedAt, b: AppendedAt): boolean {
  if (a.appendTime !== b.appendTime) return a.appendTime < b.appendTime;
  return a.topic === b.topic && a.partition === b.partition && a.offset < b.offset;
}

/** Each event once, in the order of their appends. */
function inOrder(events: readonly ChainEvent[]): ChainEvent[] {
  const byPlace = new Map(events.map((event) => [placeKey(event), event]));
  return [...byPlace.values()].sort(byAppend);
}

class Grouped<Value> {
  readonly #groups = new Map<string, Value[]>();

  add(key: string, value: Value): void {
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, [value]);
    else group.push(value);
  }

  of(key: string): readonly Value[] {
    return this.#groups.get(key) ?? [];
  }

  all(): Iterable<readonly Value[]> {
    return this.#groups.values();
  }
}

function claimKey({ agentId, intentId }: Cause): string {
  return `${agentId}\n${intentId}`;
}

function saidByIntent({ intent, actionDigest }: IntentEvent): Said {
  const { type, target, destination } = intent.action;
  return {
    action: { type, target, ...(destination ? { destination } : {}), digest: actionDigest },
    cause: intent.cause ?? null,
    onBehalfOf: intent.onBehalfOf ?? null,
    trigger: intent.trigger ?? null,
  };
}

function saidByDecision({ decision }: DecisionEvent): Said {
  return {
    action: decision.action,
    cause: decision.cause ?? null,
    onBehalfOf: decision.onBehalfOf ?? null,
    trigger: decision.trigger ?? null,
  };
}

/** Everything the record holds, action by action; `byClaim` finds them as causes and reports name them. */
function gather(events: readonly ChainEvent[]): { held: readonly Held[]; byClaim: Grouped<Held> } {
  const held = new Map<string, Held>();
  const byClaim = new Grouped<Held>();
  const heldAs = (
    of: Pick<Held, 'agentId' | 'intentId' | 'chainId'>,
    actionDigest: string | null,
    found: () => Pick<Held, 'said' | 'place' | 'intentRecorded'>,
  ): Held => {
    const key = JSON.stringify([of.agentId, of.intentId, of.chainId, actionDigest]);
    const known = held.get(key);
    if (known !== undefined) return known;
    const { agentId, intentId, chainId } = of;
    const fresh: Held = {
      ...{ agentId, intentId, chainId },
      ...found(),
      erased: undefined,
      contents: [],
      decisions: [],
      reports: [],
      effective: undefined,
    };
    held.set(key, fresh);
    byClaim.add(claimKey(of), fresh);
    return fresh;
  };
  for (const event of events) {
    if (event.kind !== 'intent') continue;
    const { agentId, intentId } = event.intent;
    const { contents } = heldAs({ agentId, intentId, chainId: chainIdOf(event.intent) }, event.actionDigest, () => ({
      said: saidByIntent(event),
      place: placeOf(event),
      intentRecorded: true,
    }));
    // Two that differ are proof enough; an agent may have sent any number.
    if (contents.length < 2 && !contents.some((content) => sameJson(content, event.intent)))
      contents.push(event.intent);
  }
  const judged = new Map(
    events.flatMap((event) =>
      event.kind === 'decision' ? [[placeKey(event.decision.stamp.source), event] as const] : [],
    ),
  );
  const untold: ErasedIntent[] = [];
  for (const event of events) {
    if (event.kind !== 'erased-intent') continue;
    // What lay here is what the decision says that it has judged.
    const decision = judged.get(placeKey(event));
    if (decision === undefined || !isSame(event, decision.decision)) {
      untold.push(event);
      continue;
    }
    const one = heldAs(event, decision.decision.action.digest, () => ({
      said: saidByDecision(decision),
      place: placeOf(event),
      intentRecorded: true,
    }));
    if (isBefore(event, one.place)) one.place = placeOf(event);
    addErased(one, event);
  }
  for (const event of events) {
    if (event.kind !== 'decision') continue;
    const { action, stamp } = event.decision;
    heldAs(event.decision, action.digest, () => ({
      said: saidByDecision(event),
      place: { ...stamp.source, appendTime: Date.parse(stamp.judgedAt) },
      intentRecorded: false,
    })).decisions.push(event);
  }
  for (const event of untold) {
    const { type, target } = event.action;
    const alike = byClaim
      .of(claimKey(event))
      .filter(
        ({ chainId, said }) => chainId === event.chainId && said.action.type === type && said.action.target === target,
      );
    const nothingSaid = { cause: null, onBehalfOf: null, trigger: null };
    const found = (): Pick<Held, 'said' | 'place' | 'intentRecorded'> => ({
      said: { action: { type, target, digest: null }, ...nothingSaid },
      place: placeOf(event),
      intentRecorded: true,
    });
    // It may be any of those that look like it, sent again; its place proves nothing for them.
    for (const one of alike.length > 0 ? alike : [heldAs(event, null, found)]) addErased(one, event);
  }
  for (const event of events) if (isReport(event)) reportedOn(event, byClaim)?.reports.push(event);
  return { held: [...held.values()], byClaim };
}

function isSame(erased: ErasedIntent, { agentId, intentId, chainId }: Decision): boolean {
  return erased.agentId === agentId && erased.intentId === intentId && erased.chainId === chainId;
}

function addErased(one: Held, event: ErasedIntent): void {
  const { first, times } = one.erased ?? { first: event, times: 0 };
  one.erased = { first: isBefore(event, first) ? placeOf(event) : placeOf(first), times: times + 1 };
}

function isReport(event: ChainEvent): event is ReportEvent {
  return event.kind === 'report' || event.kind === 'erased-report';
}

/**
 * The action a report is about: the one its decision decided, else the first of that agent and intent id. An erased
 * report is shown with the first in its chain that was allowed.
 */
function reportedOn(event: ReportEvent, byClaim: Grouped<Held>): Held | undefined {
  if (event.kind === 'report') {
    const { decisionId } = event.report;
    const candidates = byClaim.of(claimKey(event.report));
    return (
      candidates.find((one) => one.decisions.some(({ decision }) => decision.decisionId === decisionId)) ??
      candidates[0]
    );
  }
  const candidates = byClaim.of(claimKey(event));
  const inChain = candidates.filter(({ chainId }) => chainId === event.chainId);
  const isAllowed = ({ decisions }: Held): boolean => decisions.some(({ decision }) => decision.outcome === 'allow');
  return inChain.find(isAllowed) ?? inChain[0] ?? candidates[0];
}

/** One effective decision per agent, intent and action, whatever chains it was said to belong to. */
function settle(held: readonly Held[]): void {
  const byIdentity = new Grouped<Held>();
  for (const one of held) byIdentity.add(`${claimKey(one)}\n${one.said.action.digest}`, one);
  for (const same of byIdentity.all()) {
    const effective = effectiveDecision(same.flatMap((one) => one.decisions));
    for (const one of same) {
      if (effective !== undefined && one.decisions.includes(effective)) one.effective = effective;
    }
  }
}

/** Where an action may have been sent first, as far as can be told. */
function earliestOf({ place, intentRecorded, erased }: Held): AppendedAt {
  if (erased === undefined) return place;
  return intentRecorded && !isBefore(erased.first, place) ? place : erased.first;
}

/** A cause as checked against the record. `above`: the causing action, when it can lie above its effect. */
interface CheckedCause {
  readonly cause: ChainCause;
  readonly above: Held | undefined;
}

function checkCause(claim: Cause, effect: Held, byClaim: Grouped<Held>): CheckedCause {
  const claimed = (why: ClaimFault, above?: Held): CheckedCause => ({
    cause: { ...claim, standing: 'claimed', why },
    above,
  });
  const isAllowed = ({ effective }: Held): boolean => effective?.decision.outcome === 'allow';
  const recorded = byClaim.of(claimKey(claim)).filter(({ intentRecorded, erased }) => intentRecorded || erased);
  if (recorded.length === 0) return claimed('not-in-record');
  const sameChain = recorded.filter((candidate) => candidate.chainId === effect.chainId);
  if (sameChain.length === 0) return claimed('other-chain');
  const before = sameChain.filter((one) => one.intentRecorded && isBefore(one.place, earliestOf(effect)));
  const [first] = before;
  const allowed = before.find(isAllowed);
  if (allowed !== undefined) return { cause: { ...claim, standing: 'proven' }, above: allowed };
  // What was erased may have been the same, sent earlier.
  const perhaps = sameChain.filter((one) => isBefore(earliestOf(one), effect.place) && !before.includes(one));
  if (perhaps.some((one) => first === undefined || isAllowed(one))) {
    const above = perhaps.find((one) => isAllowed(one) && isBefore(one.place, effect.place)) ?? first;
    return { cause: { ...claim, standing: 'erased' }, above };
  }
  if (first === undefined) return claimed('later');
  return claimed(first.effective?.decision.outcome === 'deny' ? 'denied' : 'undecided', first);
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

  const ofChain = held.filter((one) => one.chainId === chainId).sort((a, b) => byAppend(a.place, b.place));
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
  return { chainId, actions: [...folded.values()], strayReports: strayReportsOf(chainId, ordered, byClaim) };
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
