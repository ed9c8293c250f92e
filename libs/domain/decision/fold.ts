import type { Stage } from '../charter/charter-document.js';
import { DEFAULT_DECISION_TTL_MS } from '../charter/charter.js';
import { chainIdOf, type Intent, type Trigger } from '../intent/intent.js';
import { intentDigestOf, type Sha256 } from '../record/digest.js';
import type { Decision, Finding, Outcome, SecondRound, Stamp, Verdict } from './decision.js';

function outcomeOf(findings: readonly Finding[]): Outcome {
  if (findings.some((finding) => finding.effect === 'violation')) return 'deny';
  return findings.length > 0 ? 'hold' : 'allow';
}

/** Any enforced violation denies, else any enforced need holds; `wouldBe` takes every finding as enforced. */
export function foldVerdicts(verdicts: readonly Verdict[]): { outcome: Outcome; wouldBe: Outcome } {
  const findings = verdicts.flatMap((verdict) => verdict.findings);
  if (findings.length === 0) return { outcome: 'allow', wouldBe: 'allow' };
  return { outcome: outcomeOf(findings.filter((finding) => finding.enforced)), wouldBe: outcomeOf(findings) };
}

export interface DecidingInput {
  readonly intent: Intent;
  readonly actionDigest: string;
  readonly decisionId: string;
  readonly secondRound?: SecondRound | undefined;
  readonly stamp: Stamp;
  readonly verdicts: readonly Verdict[];
  /** The charter's; `enforce` when none is active. */
  readonly stage?: Stage | undefined;
  /** The charter's; 30 s when none is active. */
  readonly decisionTtlMs?: number | undefined;
  readonly engine: string;
  readonly sha256: Sha256;
}

/** What people wrote stays with the intent, which can be erased. */
function withoutDescription({ type, id }: Trigger): Trigger {
  return id === null || id === undefined ? { type } : { type, id };
}

/** 1, or 2 after a hold. */
export function roundOf({ secondRound }: { readonly secondRound?: SecondRound | undefined }): 1 | 2 {
  return secondRound === undefined ? 1 : 2;
}

/** Folds the verdicts of all layers into the decision. */
export function decide(input: DecidingInput): Decision {
  const { intent, actionDigest, stamp } = input;
  const { action, onBehalfOf, trigger, cause } = intent;
  const { outcome, wouldBe } = foldVerdicts(input.verdicts);
  const validUntil = Date.parse(stamp.judgedAt) + (input.decisionTtlMs ?? DEFAULT_DECISION_TTL_MS);
  return {
    decisionId: input.decisionId,
    intentId: intent.intentId,
    agentId: intent.agentId,
    round: roundOf(input),
    ...(input.secondRound === undefined ? {} : { requestId: input.secondRound.requestId }),
    chainId: chainIdOf(intent),
    ...(onBehalfOf ? { onBehalfOf } : {}),
    ...(trigger ? { trigger: withoutDescription(trigger) } : {}),
    ...(cause ? { cause: { agentId: cause.agentId, intentId: cause.intentId } } : {}),
    action: {
      type: action.type,
      target: action.target,
      ...(action.destination ? { destination: action.destination } : {}),
      ...(action.destinations ? { destinations: action.destinations } : {}),
      digest: actionDigest,
    },
    outcome,
    ...(outcome === 'hold' ? { intentDigest: intentDigestOf(intent, input.sha256) } : {}),
    wouldBe,
    stage: input.stage ?? 'enforce',
    verdicts: [...input.verdicts],
    stamp,
    validUntil: new Date(validUntil).toISOString(),
    engine: input.engine,
  };
}
