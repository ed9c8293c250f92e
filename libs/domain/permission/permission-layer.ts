import type { JudgingInput, LayerJudgement, RawFinding } from '../decision/layer.js';
import { hasGap } from './authority.js';

/** Whether the agent may now do what needs elevation. */
export function judgePermissions({ intent, charter, authority }: JudgingInput): LayerJudgement {
  const { action, agentId } = intent;
  const findings: RawFinding[] = [];
  const passed: string[] = [];
  if (authority.status === 'suspended') {
    const reason = `${agentId} is suspended by ${authority.by}: ${authority.reason}`;
    findings.push({ rule: 'suspended', effect: 'violation', severity: 'critical', reason, immutable: true });
  } else if (hasGap(authority)) {
    const reason = `events of ${agentId} after version ${authority.version} are missing, so its authority is not known`;
    findings.push({ rule: 'views-behind', effect: 'violation', severity: 'critical', reason, immutable: true });
  } else {
    passed.push('suspended');
  }
  const standing = charter.agents.get(agentId)?.permissions;
  for (const { permission, rule, actions, systems } of charter.requirements) {
    if (!actions(action.type) || !systems(action.target) || charter.modeOf(rule) === 'off') continue;
    if (standing?.has(permission) === true) {
      passed.push(rule);
      continue;
    }
    const reason = `${action.type} on ${action.target} needs the permission ${permission}, which ${agentId} does not hold`;
    findings.push({ rule, effect: 'violation', severity: 'critical', reason, permission });
  }
  return { findings, passed, facts: authority.version === 0 ? {} : { authorityVersion: authority.version } };
}
