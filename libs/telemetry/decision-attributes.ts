import { SpanStatusCode, type Attributes, type SpanStatus } from '@opentelemetry/api';
import { chainIdOf, type Decision, type Finding, type Intent, type Layer, type Outcome, type Verdict } from '#domain';
import { ATTRIBUTES as NAMES, SPAN_EVENTS } from './span-table.js';

/** An event on a span. `time` in ms since the epoch. */
export interface SpanEvent {
  readonly name: string;
  readonly attributes: Attributes;
}

/** What every span about an intent says of it: enough to find it by agent and chain, and no parameters. */
export function intentAttributes(
  intent: Pick<Intent, 'agentId' | 'intentId' | 'chainId' | 'onBehalfOf' | 'cause'> & {
    readonly action: Pick<Intent['action'], 'type' | 'target'>;
  },
  actionDigest: string,
  round: number,
): Attributes {
  const { agentId, intentId, action, onBehalfOf, cause } = intent;
  return {
    [NAMES.agentId.name]: agentId,
    [NAMES.genAiAgentId.name]: agentId,
    [NAMES.chainId.name]: chainIdOf(intent),
    [NAMES.intentId.name]: intentId,
    [NAMES.round.name]: round,
    [NAMES.actionType.name]: action.type,
    [NAMES.actionTarget.name]: action.target,
    [NAMES.actionDigest.name]: actionDigest,
    ...(onBehalfOf ? { [NAMES.onBehalfOf.name]: onBehalfOf } : {}),
    ...(cause ? { [NAMES.causeIntentId.name]: cause.intentId } : {}),
  };
}

/** What a decision adds. */
export function decisionAttributes(decision: Decision): Attributes {
  const { decisionId, outcome, wouldBe, stage, stamp } = decision;
  const against = findingAgainst(decision.verdicts);
  return {
    [NAMES.decisionId.name]: decisionId,
    [NAMES.outcome.name]: outcome,
    [NAMES.wouldBe.name]: wouldBe,
    [NAMES.stage.name]: stage,
    ...(stamp.charter.digest === null ? {} : { [NAMES.charterDigest.name]: stamp.charter.digest }),
    ...(against === undefined ? {} : { [NAMES.rule.name]: against.rule }),
    ...(outcome === 'deny' && against !== undefined ? { [NAMES.refusal.name]: against.rule } : {}),
  };
}

/** A denial is an error, with the rule and its reason; anything else says nothing of errors. */
export function decisionStatus(decision: Decision): SpanStatus {
  if (decision.outcome !== 'deny') return { code: SpanStatusCode.UNSET };
  const against = findingAgainst(decision.verdicts);
  const message = against === undefined ? 'denied' : `${against.layer}/${against.rule}: ${against.reason}`;
  return { code: SpanStatusCode.ERROR, message };
}

/** As far as it is certain: an enforced violation denies, whatever later layers say. */
export function outcomeSoFar(verdicts: readonly Verdict[]): Extract<Outcome, 'deny'> | undefined {
  return verdicts.some(({ findings }) => findings.some(isViolation)) ? 'deny' : undefined;
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
    ...findings.map(({ rule, effect, severity, enforced, reason }) => ({
      name: SPAN_EVENTS.finding.name,
      attributes: {
        [NAMES.layer.name]: layer,
        [NAMES.rule.name]: rule,
        [NAMES.effect.name]: effect,
        [NAMES.severity.name]: severity,
        [NAMES.enforced.name]: enforced,
        [NAMES.reason.name]: reason,
      },
    })),
  ];
}

function isViolation({ effect, enforced }: Finding): boolean {
  return enforced && effect === 'violation';
}

/** The first finding that counts against an intent: a violation, else a need that holds it. */
function findingAgainst(verdicts: readonly Verdict[]): (Finding & { readonly layer: Layer }) | undefined {
  const enforced = verdicts.flatMap(({ layer, findings }) =>
    findings.filter((finding) => finding.enforced).map((finding) => ({ ...finding, layer })),
  );
  return enforced.find(isViolation) ?? enforced[0];
}
