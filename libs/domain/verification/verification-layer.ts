import type { Charter } from '../charter/charter.js';
import type { JudgingInput, LayerJudgement, RawFinding } from '../decision/layer.js';
import type { Intent } from '../intent/intent.js';
import { effectiveEnvironment, effectiveIntegrations } from './claims.js';

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
  return strayed.length === 0 ? undefined : `${agentId} was not meant for ${strayed.join(' on ')}`;
}

/** Whether this agent was meant to do this at all. */
export function judgeScope({ intent, charter }: JudgingInput): LayerJudgement {
  const { agentId, action } = intent;
  const findings: RawFinding[] = [];
  const passed: string[] = [];
  const say = (rule: string, reason: string | undefined): void => {
    if (reason === undefined) passed.push(rule);
    else findings.push(violation(rule, reason));
  };
  const agent = charter.agents.get(agentId);
  if (agent === undefined) {
    findings.push({ ...violation('unknown-agent', `${agentId} is not in the charter`), immutable: true });
  } else {
    passed.push('unknown-agent');
    if (charter.modeOf('intended-scope') !== 'off') say('intended-scope', outsideScope(intent, charter));
  }
  if (charter.systems.has(action.target)) {
    passed.push('unknown-system');
  } else {
    findings.push({ ...violation('unknown-system', `system ${action.target} is not in the charter`), immutable: true });
  }
  const integrations = effectiveIntegrations(charter, action);
  if (integrations.length > 0 && charter.modeOf('integration-approval') !== 'off') {
    const unapproved = integrations.filter((name) => !charter.integrations.has(name));
    say(
      'integration-approval',
      unapproved.length === 0 ? undefined : `integration ${unapproved.join(', ')} is not approved for anyone`,
    );
  }
  const own = agent?.integrations;
  if (integrations.length > 0 && own !== undefined && charter.modeOf('integration-scope') !== 'off') {
    const foreign = integrations.filter((name) => !own.has(name));
    say(
      'integration-scope',
      foreign.length === 0 ? undefined : `integration ${foreign.join(', ')} is not approved for ${agentId}`,
    );
  }
  const facts: Record<string, unknown> = {};
  const environment = effectiveEnvironment(charter, action);
  if (environment !== undefined) facts['environment'] = environment;
  if (integrations.length > 0) facts['integrations'] = integrations;
  return { findings, passed, facts };
}
