import { SpanStatusCode, type Attributes, type SpanStatus } from '@opentelemetry/api';
import {
  chainIdOf,
  foldVerdicts,
  type Decision,
  type Finding,
  type Intent,
  type Layer,
  type Outcome,
  type Verdict,
} from '#domain';
import { ATTRIBUTES as NAMES, SPAN_EVENTS } from './span-table.js';

/** An event on a span. */
export interface SpanEvent {
  readonly name: string;
  readonly attributes: Attributes;
}

/**
 * What every span about an intent says of it: enough to find it by agent and chain. No parameters and no persons: a
 * trace store erases nothing on request. No digest: the record has lost the content before it was judged.
 */
export function intentAttributes(
  intent: Pick<Intent, 'agentId' | 'intentId' | 'chainId' | 'cause'> & {
    readonly action: Pick<Intent['action'], 'type' | 'target'>;
  },
  actionDigest: string | null,
  round: number,
): Attributes {
  const { agentId, intentId, action, cause } = intent;
  return {
    [NAMES.agentId.name]: agentId,
    [NAMES.genAiAgentId.name]: agentId,
    [NAMES.chainId.name]: chainIdOf(intent),
    [NAMES.intentId.name]: intentId,
    [NAMES.round.name]: round,
    [NAMES.actionType.name]: action.type,
    [NAMES.actionTarget.name]: action.target,
    ...(actionDigest === null ? {} : { [NAMES.actionDigest.name]: actionDigest }),
    ...(cause ? { [NAMES.causeIntentId.name]: cause.intentId } : {}),
  };
}

/** What a trace tells of a decision. */
export interface DecisionFacts {
  readonly decisionId: string;
  readonly outcome: Outcome;
  readonly wouldBe: Outcome;
  readonly stage: Decision['stage'];
  /** SHA-256 of the charter that judged; `null`: none was active. */
  readonly charter: string | null;
  readonly findings: readonly LayerFinding[];
}

export type LayerFinding = Finding & { readonly layer: Layer };

/** The facts of a decision as it lies on the log. */
export function factsOf({ decisionId, outcome, wouldBe, stage, verdicts, stamp }: Decision): DecisionFacts {
  const findings = verdicts.flatMap(({ layer, findings: found }) => found.map((finding) => ({ ...finding, layer })));
  return { decisionId, outcome, wouldBe, stage, charter: stamp.charter.digest, findings };
}

/** What a decision adds. */
export function decisionAttributes({
  decisionId,
  outcome,
  wouldBe,
  stage,
  charter,
  findings,
}: DecisionFacts): Attributes {
  const against = findingAgainst(findings);
  return {
    [NAMES.decisionId.name]: decisionId,
    [NAMES.outcome.name]: outcome,
    [NAMES.wouldBe.name]: wouldBe,
    [NAMES.stage.name]: stage,
    ...(charter === null ? {} : { [NAMES.charterDigest.name]: charter }),
    ...(against === undefined ? {} : { [NAMES.rule.name]: against.rule }),
    ...(outcome === 'deny' && against !== undefined ? { [NAMES.refusal.name]: against.rule } : {}),
  };
}

/** A denial is an error, with the rule and its reason; anything else says nothing of errors. */
export function decisionStatus({ outcome, findings }: DecisionFacts): SpanStatus {
  if (outcome !== 'deny') return { code: SpanStatusCode.UNSET };
  const against = findingAgainst(findings);
  const message = against === undefined ? 'denied' : `${against.layer}/${against.rule}: ${against.reason}`;
  return { code: SpanStatusCode.ERROR, message };
}

/** As far as it is certain: an enforced violation denies, whatever later layers say. */
export function outcomeSoFar(verdicts: readonly Verdict[]): Extract<Outcome, 'deny'> | undefined {
  return foldVerdicts(verdicts).outcome === 'deny' ? 'deny' : undefined;
}

/** One event for the layer, and one for each of its findings. */
export function verdictEvents({ layer, findings, passed }: Verdict, ms?: number): SpanEvent[] {
  return [
    {
      name: SPAN_EVENTS.verdict.name,
      attributes: {
        [NAMES.layer.name]: layer,
        [NAMES.passed.name]: passed.length,
        ...(ms === undefined ? {} : { [NAMES.layerMs.name]: ms }),
      },
    },
    ...findings.map((finding) => findingEvent({ ...finding, layer })),
  ];
}

/** The event of one finding. */
export function findingEvent({ layer, rule, effect, severity, enforced, reason }: LayerFinding): SpanEvent {
  return {
    name: SPAN_EVENTS.finding.name,
    attributes: {
      [NAMES.layer.name]: layer,
      [NAMES.rule.name]: rule,
      [NAMES.effect.name]: effect,
      [NAMES.severity.name]: severity,
      [NAMES.enforced.name]: enforced,
      [NAMES.reason.name]: reason,
    },
  };
}

function isViolation({ effect, enforced }: Finding): boolean {
  return enforced && effect === 'violation';
}

/** The first finding that counts against an intent: a violation, else a need that holds it. */
function findingAgainst(findings: readonly LayerFinding[]): LayerFinding | undefined {
  return findings.find(isViolation) ?? findings.find(({ enforced }) => enforced);
}
