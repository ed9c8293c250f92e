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
import { judge, judgeBehindViews, judgeWithoutCharter } from '../decision/judging.js';
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
 * that this version can read. `views-behind`: a layer judged without the charter of that moment, and what it had read
 * instead is on no record.
 */
export const missingFactsSchema = z.enum([
  'erased',
  'intent-not-in-record',
  'intent-unreadable',
  'charter-events-missing',
  'permission-events-missing',
  'views-behind',
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

/** The layers that had not read as far as the stamp, and said so. */
function layersBehind({ verdicts }: Decision): ReadonlySet<Layer> {
  const behind = verdicts.filter(
    (verdict) => verdict.findings[0]?.rule === 'views-behind' && sameJson(verdict, judgeBehindViews(verdict.layer)),
  );
  return new Set(behind.map(({ layer }) => layer));
}

/**
 * Decides a recorded intent again, by the recorded facts alone: with the same engine the result has the same RFC 8785
 * form as the recorded decision.
 */
export function decideAgain(recorded: RecordedDecision, engine: string, sha256: Sha256): Decision {
  return decideBy(recorded, recorded.charter, layersBehind(recorded.decision), engine, sha256);
}

function decideBy(
  recorded: RecordedDecision,
  charter: Charter | undefined,
  behind: ReadonlySet<Layer>,
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
    secondRound,
  };
  const judgeLayer = (layer: Layer): Verdict => {
    if (stamp.viewsBehind === true || behind.has(layer)) return judgeBehindViews(layer);
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
 * Where a decision of a layer without its views may differ although everything is right: which stage and time to live
 * it took from what it had read instead.
 */
const OF_THE_CHARTER_READ: ReadonlySet<string> = new Set(['stage', 'validUntil']);

/** Replays one recorded decision. Never guesses: what the record has not kept makes it not replayable. */
export function replayDecision(recorded: RecordedDecision, options: ReplayOptions): Replay {
  const { decision, charter } = recorded;
  const { engine, candidate, sha256 } = options;
  const behind = layersBehind(decision);
  if (candidate === undefined && decision.engine === engine) return replayIdentically(recorded, behind, options);

  if (behind.size > 0) return { standing: 'not-replayable', why: 'views-behind' };
  if (authorityMayBeIncomplete(recorded)) {
    const asRecorded = decideBy(recorded, charter, behind, decision.engine, sha256);
    if (!sameJson(decision, asRecorded)) return { standing: 'not-replayable', why: 'permission-events-missing' };
  }
  // What was granted while the recorded charter was in force counts as granted under the candidate.
  const instead = candidate && { ...candidate, digest: charter?.digest ?? candidate.digest };
  const again = decideBy(recorded, instead ?? charter, behind, engine, sha256);
  return { standing: 'compared', change: changeBetween(decision, again) };
}

function replayIdentically(
  recorded: RecordedDecision,
  behind: ReadonlySet<Layer>,
  { engine, sha256 }: ReplayOptions,
): Replay {
  const { decision, charter } = recorded;
  const again = decideBy(recorded, charter, behind, engine, sha256);
  if (sameJson(decision, again)) return { standing: 'identical' };
  const paths = jsonDifferences(decision, again);
  if (authorityMayBeIncomplete(recorded)) return { standing: 'not-replayable', why: 'permission-events-missing' };
  if (behind.size > 0 && paths.every((path) => OF_THE_CHARTER_READ.has(path))) {
    return { standing: 'not-replayable', why: 'views-behind' };
  }
  return { standing: 'differs', paths, again };
}
