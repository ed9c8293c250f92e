import { z } from 'zod';
import type { Charter } from '../charter/charter.js';
import {
  LAYERS,
  type Decision,
  type Layer,
  type Outcome,
  type SecondRound,
  type Verdict,
} from '../decision/decision.js';
import { decide, roundOf } from '../decision/fold.js';
import { provenFromOf } from '../decision/stamped-cause.js';
import {
  judge,
  judgeWithoutCharter,
  judgeWithoutFacts,
  WITHOUT_FACTS,
  type WithoutFacts,
} from '../decision/judging.js';
import type { JudgingInput } from '../decision/layer.js';
import type { Intent } from '../intent/intent.js';
import { grantNamed, hasGap, type AgentAuthority } from '../permission/authority.js';
import type { WhyNot } from '../permission/authority-queries.js';
import { actionDigestOf, decisionIdOf, type Sha256 } from './digest.js';
import { jsonDifferences, sameJson } from './json-difference.js';

/** Everything a decision was made of, as the record holds it. */
export interface RecordedDecision {
  readonly decision: Decision;
  /** What lies at the decision's source position. */
  readonly intent: Intent;
  /** The intent was appended again by Remit, after a hold. */
  readonly secondRound?: SecondRound | undefined;
  /** What the charter events before the stamp's position put in force; `undefined`: none was active. */
  readonly charter: Charter | undefined;
  /** What the agent's permission events before the stamp's position add up to. */
  readonly authority: AgentAuthority;
}

/**
 * Which facts of a decision the record has not kept. `erased`: its key was destroyed. `intent-unreadable`: no intent
 * that this version can read. `not-kept`: a layer judged without what was in force at that moment, and which charter
 * its decision took the time to live from is on no record.
 */
export const missingFactsSchema = z.enum([
  'erased',
  'intent-not-in-record',
  'intent-unreadable',
  'charter-events-missing',
  'permission-events-missing',
  'not-kept',
  'decision-unreadable',
]);
export type MissingFacts = z.infer<typeof missingFactsSchema>;

/** How the decision of a candidate, or of another engine, differs from the recorded one. */
export interface OutcomeChange {
  readonly from: Outcome;
  readonly to: Outcome;
  /** The rules, as `layer/rule`, that are enforced in one of the two decisions only. */
  readonly rules: readonly string[];
  /** What those rules say. */
  readonly reasons: readonly string[];
}

export type Replay =
  | { readonly standing: 'identical' }
  /** The same engine has decided otherwise: the record or the engine is wrong. `paths`: where, in the body. */
  | { readonly standing: 'differs'; readonly paths: readonly string[]; readonly again: Decision }
  | { readonly standing: 'not-replayable'; readonly why: MissingFacts }
  /** Judged by a candidate charter, or recorded by another engine. `undefined`: the same outcome. */
  | { readonly standing: 'compared'; readonly change: OutcomeChange | undefined };

export interface ReplayOptions {
  /** The engine that replays. Decisions of another one are compared, as if by a candidate charter. */
  readonly engine: string;
  /** Instead of the charters that were in force. */
  readonly candidate?: Charter | undefined;
  readonly sha256: Sha256;
}

/** What may come of reserving a use. No event up to the stamp tells it: the recorded facts do. */
const FOUND_WHEN_RESERVING: ReadonlySet<unknown> = new Set<WhyNot>([
  'agent suspended',
  'revoked',
  'expired',
  'constraint broken',
  'no use left',
  'sent twice',
  'uses not counted here',
]);

type Loose = readonly Partial<Record<string, unknown>>[];

function holdingsIn({ facts }: Verdict): Loose {
  const holdings = facts['permissions'];
  return Array.isArray(holdings) ? (holdings as Loose) : [];
}

/** The grants with counted uses that gave a layer none, by its recorded facts, and why. */
function unavailableIn(recorded: Verdict, authority: AgentAuthority): Map<string, WhyNot> {
  const found = new Map<string, WhyNot>();
  for (const { considered } of holdingsIn(recorded)) {
    if (!Array.isArray(considered)) continue;
    for (const { grantId, why } of considered as Loose) {
      if (typeof grantId !== 'string' || !FOUND_WHEN_RESERVING.has(why)) continue;
      if (typeof grantNamed(authority, grantId)?.uses === 'number') found.set(grantId, why as WhyNot);
    }
  }
  return found;
}

/**
 * A grant with counted uses that would be taken now, where the recorded verdict rests on another one of the same
 * permission: it was tried first and gave no use. Whether the other one authorises is judged all the same.
 */
function passedOver(recorded: Verdict, again: Verdict): string | undefined {
  for (const { permission, by, mustReserve, grantId } of holdingsIn(again)) {
    if (by !== 'grant' || mustReserve !== true || typeof grantId !== 'string') continue;
    const then = holdingsIn(recorded).find((holding) => holding['permission'] === permission);
    if (then?.['by'] === 'grant' && then['grantId'] !== grantId) return grantId;
  }
  return undefined;
}

/** One layer's verdict, with the uses that could be reserved at the time. */
function judgeAgain(layer: Layer, input: JudgingInput, recorded: Verdict | undefined): Verdict {
  if (recorded === undefined || input.authority.version === 0) return judge(layer, input);
  const unavailable = unavailableIn(recorded, input.authority);
  for (;;) {
    const again = judge(layer, { ...input, unavailable });
    const grantId = passedOver(recorded, again);
    if (grantId === undefined) return again;
    unavailable.set(grantId, 'no use left');
  }
}

/** The layers that did not know what was in force, and said so. */
function layersWithoutFacts({ verdicts }: Decision): ReadonlyMap<Layer, WithoutFacts> {
  const found = new Map<Layer, WithoutFacts>();
  for (const verdict of verdicts) {
    const why = WITHOUT_FACTS.find((rule) => rule === verdict.findings[0]?.rule);
    if (why !== undefined && sameJson(verdict, judgeWithoutFacts(verdict.layer, why))) found.set(verdict.layer, why);
  }
  return found;
}

/**
 * Decides a recorded intent again, by the recorded facts alone: with the same engine the result has the same RFC 8785
 * form as the recorded decision.
 */
export function decideAgain(recorded: RecordedDecision, engine: string, sha256: Sha256): Decision {
  return decideBy(recorded, recorded.charter, layersWithoutFacts(recorded.decision), engine, sha256);
}

function decideBy(
  recorded: RecordedDecision,
  charter: Charter | undefined,
  withoutFacts: ReadonlyMap<Layer, WithoutFacts>,
  engine: string,
  sha256: Sha256,
): Decision {
  const { decision, intent, secondRound, authority } = recorded;
  const { stamp } = decision;
  const actionDigest = actionDigestOf(intent.action, sha256);
  const input = charter && {
    intent,
    actionDigest,
    judgedAt: Date.parse(stamp.judgedAt),
    charter,
    authority,
    provenFrom: provenFromOf(stamp),
    secondRound,
  };
  const judgeLayer = (layer: Layer): Verdict => {
    const why = stamp.notKept === true ? 'not-kept' : withoutFacts.get(layer);
    if (why !== undefined) return judgeWithoutFacts(layer, why);
    if (input === undefined) return judgeWithoutCharter(layer);
    const then = decision.verdicts.find((verdict) => verdict.layer === layer);
    return judgeAgain(layer, input, then);
  };
  const { agentId, intentId } = intent;
  const round = roundOf({ secondRound });
  return decide({
    intent,
    actionDigest,
    decisionId: decisionIdOf({ agentId, intentId, actionDigest, round }, sha256),
    secondRound,
    stamp: { ...stamp, charter: { ...stamp.charter, digest: charter?.digest ?? null } },
    verdicts: LAYERS.map(judgeLayer),
    stage: charter?.stage,
    decisionTtlMs: charter?.decisionTtlMs,
    engine,
    sha256,
  });
}

interface NamedFinding {
  readonly name: string;
  readonly reason: string;
}

function enforcedIn({ verdicts }: Decision): NamedFinding[] {
  return verdicts.flatMap(({ layer, findings }) =>
    findings.filter(({ enforced }) => enforced).map(({ rule, reason }) => ({ name: `${layer}/${rule}`, reason })),
  );
}

function changeBetween(recorded: Decision, again: Decision): OutcomeChange | undefined {
  const [from, to] = [recorded.outcome, again.outcome];
  if (from === to) return undefined;
  const [before, after] = [enforcedIn(recorded), enforcedIn(again)];
  const onlyIn = (one: readonly NamedFinding[], other: readonly NamedFinding[]): NamedFinding[] =>
    one.filter(({ name }) => !other.some((finding) => finding.name === name));
  const behind = [...onlyIn(before, after), ...onlyIn(after, before)];
  return {
    from,
    to,
    rules: [...new Set(behind.map(({ name }) => name))],
    reasons: [...new Set(behind.map(({ reason }) => reason))],
  };
}

/**
 * Of the agent's permission events the record may hold fewer than the judges had read: it holds earlier ones only, or
 * some in between are missing. The judges may have seen the same gap; then the decision comes out the same.
 */
function authorityMayBeIncomplete({ decision, authority }: RecordedDecision): boolean {
  if (hasGap(authority)) return true;
  const known = decision.verdicts.find(({ layer }) => layer === 'permission')?.facts['authorityVersion'];
  return typeof known === 'number' && authority.version < known;
}

/**
 * Where a decision without facts may differ although everything is right: which stage and time to live it took from the
 * charter that was read instead.
 */
const OF_THE_CHARTER_READ: ReadonlySet<string> = new Set(['stage', 'validUntil']);

/** Replays one recorded decision. Never guesses: what the record has not kept makes it not replayable. */
export function replayDecision(recorded: RecordedDecision, options: ReplayOptions): Replay {
  const { decision, charter } = recorded;
  const { engine, candidate, sha256 } = options;
  const withoutFacts = layersWithoutFacts(decision);
  if (candidate === undefined && decision.engine === engine) return replayIdentically(recorded, withoutFacts, options);

  if (withoutFacts.size > 0) return { standing: 'not-replayable', why: 'not-kept' };
  if (authorityMayBeIncomplete(recorded)) {
    const asRecorded = decideBy(recorded, charter, withoutFacts, decision.engine, sha256);
    if (!sameJson(decision, asRecorded)) return { standing: 'not-replayable', why: 'permission-events-missing' };
  }
  // What was granted while the recorded charter was in force counts as granted under the candidate.
  const instead = candidate && {
    ...candidate,
    digest: charter?.digest ?? candidate.digest,
    basisOf: charter?.basisOf ?? candidate.basisOf,
  };
  const again = decideBy(recorded, instead ?? charter, withoutFacts, engine, sha256);
  return { standing: 'compared', change: changeBetween(decision, again) };
}

function replayIdentically(
  recorded: RecordedDecision,
  withoutFacts: ReadonlyMap<Layer, WithoutFacts>,
  { engine, sha256 }: ReplayOptions,
): Replay {
  const { decision, charter } = recorded;
  const again = decideBy(recorded, charter, withoutFacts, engine, sha256);
  if (sameJson(decision, again)) return { standing: 'identical' };
  const paths = jsonDifferences(decision, again);
  if (authorityMayBeIncomplete(recorded)) return { standing: 'not-replayable', why: 'permission-events-missing' };
  if (withoutFacts.size > 0 && paths.every((path) => OF_THE_CHARTER_READ.has(path))) {
    return { standing: 'not-replayable', why: 'not-kept' };
  }
  return { standing: 'differs', paths, again };
}
