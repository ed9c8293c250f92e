import { systemsReached } from '../charter/receiving-systems.js';
import type { JudgingInput, LayerJudgement, RawFinding } from '../decision/layer.js';
import { hasGap } from './authority.js';
import { holdingsOf, isHeld, nearestMisses, type PermissionHolding } from './holding.js';
import { approvalFinding, endOfApproval } from './second-round.js';

/** Whether the agent may now do what needs elevation. */
export function judgePermissions(input: JudgingInput): LayerJudgement {
  const { intent, charter, authority } = input;
  const { action, agentId } = intent;
  const findings: RawFinding[] = [];
  const passed: string[] = [];
  if (authority.status === 'suspended') {
    const reason = `${agentId} is suspended`;
    findings.push({ rule: 'suspended', effect: 'violation', severity: 'critical', reason, immutable: true });
  } else if (hasGap(authority)) {
    const reason = `events of ${agentId} after version ${authority.version} are missing, so its authority is not known`;
    findings.push({ rule: 'authority-unknown', effect: 'violation', severity: 'critical', reason, immutable: true });
  } else {
    passed.push('suspended');
  }
  const notApproved = approvalFinding(input);
  if (notApproved !== undefined) findings.push(notApproved);
  const holdings: PermissionHolding[] = [];
  const reached = systemsReached(charter, action);
  for (const { permission, rule, actions, systems, agents } of charter.requirements) {
    if (!actions(action.type) || !agents(agentId)) continue;
    const needing = reached.find((system) => systems(system));
    if (needing === undefined) continue;
    if (charter.modeOf(rule) === 'off') continue;
    const held = holdingsOf(input, permission);
    holdings.push(...held);
    if (isHeld(held)) {
      passed.push(rule);
      continue;
    }
    const reason = `${action.type} on ${needing} needs the permission ${permission}, which ${agentId} does not hold${nearestMisses(held)}`;
    findings.push({ rule, effect: 'violation', severity: 'critical', reason, permission });
  }
  const facts: Record<string, unknown> = {};
  if (authority.version > 0) facts['authorityVersion'] = authority.version;
  // Who did it and in which words stays with the permission event: a decision cannot be erased.
  if (authority.status === 'suspended') facts['suspension'] = { version: authority.since };
  const approval = endOfApproval(input);
  if (approval !== undefined) facts['approval'] = approval;
  if (holdings.length > 0) facts['permissions'] = holdings;
  return { findings, passed, facts };
}
