import { effectiveClassification } from '../boundary/boundary-rules.js';
import { localTimeIn, type LocalTime } from '../boundary/local-time.js';
import type { Charter } from '../charter/charter.js';
import { WEEKDAYS } from '../charter/time-notation.js';
import type { JudgingInput, LayerJudgement, RawFinding } from '../decision/layer.js';
import { chainIdOf, type Intent } from '../intent/intent.js';
import { holdingOf, type PermissionHolding } from '../permission/holding.js';
import { effectiveEnvironment, effectiveIntegrations } from '../verification/claims.js';
import type { PolicyViolation } from './cel-policies.js';
import type { PolicyVariables } from './cel-variables.js';
import { detectPii, type PiiFinding } from './pii-detection.js';

/** The agent claims it and the charter permits the claim; neither is enough alone. */
function mayWorkOffHours({ agentId, action }: Intent, charter: Charter): boolean {
  return action.allowOffHours === true && charter.agents.get(agentId)?.offHours === true;
}

/** What conditions may speak of: the agent's claims only as far as they tighten, everything else by the charter's word. */
function variablesOf(input: JudgingInput, pii: readonly PiiFinding[], local: LocalTime): PolicyVariables {
  const { intent, charter } = input;
  const { action } = intent;
  const classification =
    effectiveClassification(charter.classifications, charter.systems.get(action.target), action.dataClassification) ??
    charter.classifications.strictest;
  const integrations = effectiveIntegrations(charter, action);
  const offHoursAllowed = mayWorkOffHours(intent, charter);
  const agents = charter.document.agents;
  const agent = Object.hasOwn(agents, intent.agentId) ? agents[intent.agentId] : undefined;
  return {
    action: {
      type: action.type,
      target: action.target,
      parameters: action.parameters ?? {},
      destination: action.destination ?? '',
      dataClassification: classification.name,
      integration: integrations[0] ?? '',
      environment: effectiveEnvironment(charter, action) ?? '',
      containsPii: action.containsPii === true || pii.length > 0,
      allowOffHours: offHoursAllowed,
    },
    context: {
      agentId: intent.agentId,
      onBehalfOf: intent.onBehalfOf ?? '',
      chainId: chainIdOf(intent),
      triggerType: intent.trigger?.type ?? '',
      hasCause: intent.cause != null,
      localHour: Math.floor(local.minuteOfDay / 60),
      localMinute: local.minuteOfDay % 60,
      localWeekday: WEEKDAYS[local.weekday] ?? '',
      offHoursAllowed,
      stage: charter.stage,
    },
    facts: {
      pii: [...new Set(pii.map(({ kind }) => kind))],
      integrations,
      classification: classification.rank,
    },
    agent: { owner: agent?.owner ?? '', purpose: agent?.purpose ?? '' },
  };
}

function findingOf({ policy, failed }: PolicyViolation): RawFinding {
  const { id, effect, severity, reason, unless_granted: permission } = policy;
  return {
    rule: id,
    effect: effect === 'hold' ? 'needs-approval' : 'violation',
    severity,
    reason: failed === undefined ? reason : `${reason} (the condition could not be evaluated: ${failed})`,
    ...(permission === undefined ? {} : { permission }),
  };
}

/**
 * Conditions over action, context and facts. Personal data that the agent declares stay declared, and what is found in
 * the parameters comes on top; off-hours work needs the agent's claim and the charter's leave.
 */
export function judgePolicies(input: JudgingInput): LayerJudgement {
  const { intent, judgedAt, charter } = input;
  const { action, agentId } = intent;
  const pii = detectPii(action.parameters);
  const local = localTimeIn(charter.timezone, judgedAt);
  const variables = variablesOf(input, pii, local);

  const holdings = new Map<string, PermissionHolding>();
  const { violated, passed } = charter.policies.evaluate(
    { actionType: action.type, target: action.target, agentId },
    variables,
    {
      skip: (policy) => charter.modeOf(policy) === 'off',
      holds: (permission) => {
        const holding = holdings.get(permission) ?? holdingOf(input, permission);
        holdings.set(permission, holding);
        return holding.by !== 'nothing';
      },
    },
  );

  const facts: Record<string, unknown> = {};
  if (variables.action.containsPii) facts['containsPii'] = true;
  if (pii.length > 0) facts['pii'] = pii;
  if (variables.context.offHoursAllowed) facts['offHoursAllowed'] = true;
  if (charter.policies.size > 0) facts['localTime'] = { [charter.timezone]: local.text };
  if (holdings.size > 0) facts['permissions'] = [...holdings.values()];
  return { findings: violated.map(findingOf), passed: [...passed], facts };
}
