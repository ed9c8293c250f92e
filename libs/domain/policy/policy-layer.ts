import { claimedClassification } from '../boundary/effective-classification.js';
import { localTimeIn, type LocalTime } from '../boundary/local-time.js';
import type { Charter } from '../charter/charter.js';
import { systemsReached } from '../charter/receiving-systems.js';
import { WEEKDAYS } from '../charter/time-notation.js';
import type { JudgingInput, LayerJudgement, RawFinding } from '../decision/layer.js';
import { chainIdOf, destinationsOf, type Intent } from '../intent/intent.js';
import { holdingsOf, isHeld, nearestMisses, type PermissionHolding } from '../permission/holding.js';
import { claimedEnvironment, environmentOf, environmentsReached, integrationsOf } from '../verification/claims.js';
import type { PolicyViolation } from './cel-policies.js';
import { NOT_SCANNED, type PolicyVariables } from './cel-variables.js';
import type { ClaimReading } from './claim-readings.js';
import { detectPii, isScanCut, type PiiFinding } from './pii-detection.js';

/** The agent claims it and the charter permits the claim; neither is enough alone. */
function mayWorkOffHours({ agentId, action }: Intent, charter: Charter): boolean {
  return action.allowOffHours === true && charter.agents.get(agentId)?.offHours === true;
}

/** A scan that was cut says neither which kinds there are nor where, so no condition may rest on it. */
function personalData(pii: readonly PiiFinding[]): Pick<PolicyVariables['facts'], 'pii' | 'piiPlaces'> {
  if (isScanCut(pii)) return { pii: NOT_SCANNED, piiPlaces: NOT_SCANNED };
  return {
    pii: [...new Set(pii.map(({ kind }) => kind))],
    piiPlaces: pii.map(({ kind, pointer }) => `${kind} ${pointer}`),
  };
}

/** What conditions may speak of by the charter's word alone: nothing that the agent only claims is in it. */
function variablesOf(input: JudgingInput, pii: readonly PiiFinding[], local: LocalTime): PolicyVariables {
  const { intent, charter } = input;
  const { action } = intent;
  const destinations = destinationsOf(action);
  const classification = charter.systems.get(action.target)?.classification ?? charter.classifications.strictest;
  const integrations = integrationsOf(charter, action).ofCharter;
  const offHoursAllowed = mayWorkOffHours(intent, charter);
  const agents = charter.document.agents;
  const agent = Object.hasOwn(agents, intent.agentId) ? agents[intent.agentId] : undefined;
  return {
    action: {
      type: action.type,
      target: action.target,
      parameters: action.parameters ?? {},
      destination: destinations[0] ?? '',
      destinations,
      dataClassification: classification.name,
      integration: integrations[0] ?? '',
      environment: environmentOf(charter, action) ?? '',
      containsPii: pii.length > 0,
      allowOffHours: offHoursAllowed,
    },
    context: {
      agentId: intent.agentId,
      onBehalfOf: '',
      chainId: chainIdOf({ intentId: intent.intentId }),
      triggerType: '',
      hasCause: false,
      localHour: Math.floor(local.minuteOfDay / 60),
      localMinute: local.minuteOfDay % 60,
      localWeekday: WEEKDAYS[local.weekday] ?? '',
      offHoursAllowed,
      stage: charter.stage,
    },
    facts: {
      ...personalData(pii),
      integrations,
      classification: classification.rank,
    },
    agent: { owner: agent?.owner ?? '', purpose: agent?.purpose ?? '' },
  };
}

/** What the variables become when the agent is believed, claim by claim. A claim that changes nothing is left out. */
function claimReadingsOf({ intent, charter }: JudgingInput, bare: PolicyVariables): readonly ClaimReading[] {
  const { action, onBehalfOf, trigger, cause, chainId } = intent;
  const readings: ClaimReading[] = [];
  const entry = { name: bare.action.dataClassification, rank: bare.facts.classification };
  const classification = claimedClassification(charter.classifications, entry, action.dataClassification);
  if (classification !== undefined) {
    const { name: dataClassification, rank } = classification;
    const changes = { action: { dataClassification }, facts: { classification: rank } };
    readings.push({ claim: 'dataClassification', changes });
  }
  const integration = integrationsOf(charter, action).claimed;
  if (integration !== undefined) {
    const integrations = [...bare.facts.integrations, integration];
    readings.push({ claim: 'integration', changes: { action: { integration }, facts: { integrations } } });
  }
  const environment = claimedEnvironment(charter, action);
  if (environment !== undefined && environment !== bare.action.environment) {
    readings.push({ claim: 'environment', changes: { action: { environment } } });
  }
  if (action.containsPii === true && !bare.action.containsPii) {
    readings.push({ claim: 'containsPii', changes: { action: { containsPii: true } } });
  }
  if (cause) readings.push({ claim: 'cause', changes: { context: { hasCause: true } } });
  if (onBehalfOf) readings.push({ claim: 'onBehalfOf', changes: { context: { onBehalfOf } } });
  if (trigger) readings.push({ claim: 'trigger', changes: { context: { triggerType: trigger.type } } });
  if (chainId) readings.push({ claim: 'chainId', changes: { context: { chainId } } });
  return readings;
}

function reasonOf({ policy: { reason }, failed, claims }: PolicyViolation): string {
  const remarks: string[] = [];
  if (failed !== undefined) remarks.push(`the condition could not be evaluated: ${failed}`);
  if (claims !== undefined) remarks.push(`broken by what the agent claims: ${claims.join(', ')}`);
  return remarks.length === 0 ? reason : `${reason} (${remarks.join('; ')})`;
}

function findingOf(violation: PolicyViolation, notLifted: string): RawFinding {
  const { policy, claims } = violation;
  const { id, effect, severity, unless_granted: permission } = policy;
  return {
    rule: id,
    effect: effect === 'hold' ? 'needs-approval' : 'violation',
    severity,
    reason: reasonOf(violation) + notLifted,
    ...(permission === undefined ? {} : { permission }),
    ...(claims === undefined ? {} : { claims: [...claims] }),
  };
}

/** Each grant is named once in the facts, however many policies it lifts. */
function nameOf(holding: PermissionHolding): string {
  return holding.by === 'grant' ? `${holding.permission} ${holding.grantId}` : `${holding.permission} ${holding.by}`;
}

/**
 * Conditions over action, context and facts, each by the charter's word and by what the agent claims: the stricter answer
 * counts, and so it does over the environments of the target and of every system that a destination leads to. Off-hours work needs the charter's leave, and the agent's word that it makes use of it.
 */
export function judgePolicies(input: JudgingInput): LayerJudgement {
  const { intent, judgedAt, charter } = input;
  const { action, agentId } = intent;
  const pii = detectPii(action.parameters);
  const local = localTimeIn(charter.timezone, judgedAt);
  const variables = variablesOf(input, pii, local);

  const holdings = new Map<string, PermissionHolding>();
  const notLifted = new Map<string, string>();
  const occasion = { actionType: action.type, systems: systemsReached(charter, action), agentId };
  const violated = new Map<string, PolicyViolation>();
  const satisfied = new Set<string>();
  for (const environment of environmentsReached(charter, action)) {
    const there = { ...variables, action: { ...variables.action, environment } };
    const outcome = charter.policies.evaluate(occasion, there, {
      claims: claimReadingsOf(input, there),
      skip: (policy) => charter.modeOf(policy) === 'off',
      lifts: ({ id, unless_granted: permission = '' }, objection) => {
        const held = holdingsOf(input, permission, objection);
        for (const holding of held) holdings.set(nameOf(holding), holding);
        if (!isHeld(held)) notLifted.set(id, nearestMisses(held));
        return isHeld(held);
      },
    });
    for (const violation of outcome.violated) {
      const { id } = violation.policy;
      const before = violated.get(id);
      // By the charter's word rather than by what the agent claims.
      if (before === undefined || (before.claims !== undefined && violation.claims === undefined)) {
        violated.set(id, violation);
      }
    }
    for (const id of outcome.passed) satisfied.add(id);
  }
  const passed = [...satisfied].filter((id) => !violated.has(id));

  const facts: Record<string, unknown> = {};
  if (action.containsPii === true || pii.length > 0) facts['containsPii'] = true;
  if (pii.length > 0) facts['pii'] = pii;
  if (variables.context.offHoursAllowed) facts['offHoursAllowed'] = true;
  if (charter.policies.size > 0) facts['localTime'] = { [charter.timezone]: local.text };
  if (holdings.size > 0) facts['permissions'] = [...holdings.values()];
  const findings = [...violated.values()].map((violation) =>
    findingOf(violation, notLifted.get(violation.policy.id) ?? ''),
  );
  return { findings, passed, facts };
}
