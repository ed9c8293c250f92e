import type { Charter, GovernedAgent } from '../charter/charter.js';
import { receivingSystems, systemsReached } from '../charter/receiving-systems.js';
import type { JudgingInput, LayerJudgement, RawFinding } from '../decision/layer.js';
import type { Intent } from '../intent/intent.js';
import { holdingsByGrant, isHeld, type PermissionHolding } from '../permission/holding.js';
import { environmentOf, integrationsOf, type Integrations } from './claims.js';

function violation(rule: string, reason: string): RawFinding {
  return { rule, effect: 'violation', severity: 'critical', reason };
}

function outsideScope({ agentId, action }: Intent, charter: Charter): string | undefined {
  const agent = charter.agents.get(agentId);
  if (agent === undefined) return undefined;
  const strayed: string[] = [];
  if (!agent.actions(action.type)) strayed.push(`action ${action.type}`);
  // A system that nobody knows is reported as such.
  if (charter.systems.has(action.target) && !agent.systems(action.target)) strayed.push(`system ${action.target}`);
  for (const { name } of receivingSystems(charter, action)) {
    if (name !== action.target && !agent.systems(name)) strayed.push(`system ${name} as a destination`);
  }
  return strayed.length === 0 ? undefined : `${agentId} was not meant for ${strayed.join(' on ')}`;
}

/**
 * The grants of permissions that would widen the scope to this action: the first that holds, or all that do not. What is
 * added are actions on systems: on each system reached, the action is in the scope itself or in what is added.
 */
function wideningGrants(input: JudgingInput, own: GovernedAgent): PermissionHolding[] {
  const { action } = input.intent;
  const reached = systemsReached(input.charter, action);
  const isInScope = (system: string): boolean => own.actions(action.type) && own.systems(system);
  const refused: PermissionHolding[] = [];
  for (const { permission, actions = own.actions, systems = own.systems } of input.charter.scopeExtensions) {
    const isAdded = (system: string): boolean => actions(action.type) && systems(system);
    if (!reached.every((system) => isInScope(system) || isAdded(system))) continue;
    const holdings = holdingsByGrant(input, permission);
    if (isHeld(holdings)) return [...holdings];
    refused.push(...holdings);
  }
  return refused;
}

/** What is wrong with the integrations of an action, when one of them is not allowed. */
function refusedIntegration(
  rule: string,
  { ofCharter, claimed }: Integrations,
  isAllowed: (name: string) => boolean,
  missing: string,
): RawFinding | undefined {
  const refused = ofCharter.filter((name) => !isAllowed(name));
  const refusedClaim = claimed === undefined || isAllowed(claimed) ? [] : [claimed];
  const all = [...refused, ...refusedClaim].join(', ');
  if (refused.length > 0) return violation(rule, `integration ${all} is ${missing}`);
  if (refusedClaim.length === 0) return undefined;
  const reason = `the agent says that it uses integration ${all}, which is ${missing}`;
  return { ...violation(rule, reason), claims: ['integration'] };
}

/** Whether this agent was meant to do this at all. */
export function judgeScope(input: JudgingInput): LayerJudgement {
  const { intent, charter } = input;
  const { agentId, action } = intent;
  const findings: RawFinding[] = [];
  const passed: string[] = [];
  const say = (rule: string, reason: string | undefined): void => {
    if (reason === undefined) passed.push(rule);
    else findings.push(violation(rule, reason));
  };
  let widening: readonly PermissionHolding[] = [];
  const agent = charter.agents.get(agentId);
  if (agent === undefined) {
    findings.push({ ...violation('unknown-agent', `${agentId} is not in the charter`), immutable: true });
  } else {
    passed.push('unknown-agent');
    if (charter.modeOf('intended-scope') !== 'off') {
      const outside = outsideScope(intent, charter);
      if (outside !== undefined) widening = wideningGrants(input, agent);
      say('intended-scope', widening.some(({ by }) => by === 'grant') ? undefined : outside);
    }
  }
  if (charter.systems.has(action.target)) {
    passed.push('unknown-system');
  } else {
    findings.push({ ...violation('unknown-system', `system ${action.target} is not in the charter`), immutable: true });
  }
  const integrations = integrationsOf(charter, action);
  const used =
    integrations.claimed === undefined ? integrations.ofCharter : [...integrations.ofCharter, integrations.claimed];
  const judgeIntegrations = (rule: string, isAllowed: (name: string) => boolean, missing: string): void => {
    if (used.length === 0 || charter.modeOf(rule) === 'off') return;
    const refused = refusedIntegration(rule, integrations, isAllowed, missing);
    if (refused === undefined) passed.push(rule);
    else findings.push(refused);
  };
  judgeIntegrations('integration-approval', (name) => charter.integrations.has(name), 'not approved for anyone');
  const own = agent?.integrations;
  if (own !== undefined) judgeIntegrations('integration-scope', (name) => own.has(name), `not approved for ${agentId}`);
  const facts: Record<string, unknown> = {};
  const environment = environmentOf(charter, action);
  if (environment !== undefined) facts['environment'] = environment;
  if (used.length > 0) facts['integrations'] = used;
  if (widening.length > 0) facts['permissions'] = widening;
  return { findings, passed, facts };
}
