import type { Decision } from '../decision/decision.js';
import { effectiveDecision } from '../decision/effective.js';
import { chainIdOf, type Cause, type Intent, type Trigger } from '../intent/intent.js';
import { isBefore, placeKey, placeOf, type AppendedAt } from './appended-at.js';
import type { ChainEvent } from './chain-event.js';
import { sameJson } from './json-difference.js';

type IntentEvent = Extract<ChainEvent, { kind: 'intent' }>;

type DecisionEvent = Extract<ChainEvent, { kind: 'decision' }>;

export type ReportEvent = Extract<ChainEvent, { kind: 'report' | 'erased-report' }>;

type ErasedIntent = Extract<ChainEvent, { kind: 'erased-intent' }>;

/** An action by its digest; `null`: its content was erased before anything was decided. */
export type ActionSaid = Omit<Decision['action'], 'digest'> & { readonly digest: string | null };

/** What an action says of itself. */
interface Said {
  readonly action: ActionSaid;
  readonly cause: Cause | null;
  readonly onBehalfOf: string | null;
  readonly trigger: Trigger | null;
}

/** What the record holds of one action in one chain. */
export interface Held {
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

export class Grouped<Value> {
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

export function claimKey({ agentId, intentId }: Cause): string {
  return `${agentId}\n${intentId}`;
}

function saidByIntent({ intent, actionDigest }: IntentEvent): Said {
  const { type, target, destination, destinations } = intent.action;
  return {
    action: {
      type,
      target,
      ...(destination ? { destination } : {}),
      ...(destinations ? { destinations } : {}),
      digest: actionDigest,
    },
    cause: intent.cause ? { agentId: intent.cause.agentId, intentId: intent.cause.intentId } : null,
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
export function gather(events: readonly ChainEvent[]): { held: readonly Held[]; byClaim: Grouped<Held> } {
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

export function isReport(event: ChainEvent): event is ReportEvent {
  return event.kind === 'report' || event.kind === 'erased-report';
}

/**
 * The action a report is about: the one its decision decided, else the first of that agent and intent id. An erased
 * report is shown with the first in its chain that was allowed.
 */
export function reportedOn(event: ReportEvent, byClaim: Grouped<Held>): Held | undefined {
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
export function settle(held: readonly Held[]): void {
  const byIdentity = new Grouped<Held>();
  for (const one of held) byIdentity.add(`${claimKey(one)}\n${one.said.action.digest}`, one);
  for (const same of byIdentity.all()) {
    const effective = effectiveDecision(same.flatMap((one) => one.decisions));
    for (const one of same) {
      if (effective !== undefined && one.decisions.includes(effective)) one.effective = effective;
    }
  }
}
