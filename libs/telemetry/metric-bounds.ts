import type { Charter, CharterDocument } from '#domain';
import { OTHER, UNKNOWN } from './metric-table.js';

/** What may stand in a metric of an agent and of what it does: no more than the charter itself names. */
export interface MetricBounds {
  agentOf(agentId: string): string;
  verbOf(actionType: string): string;
}

const known = new WeakMap<Charter, MetricBounds>();
const WITHOUT_CHARTER: MetricBounds = { agentOf: () => UNKNOWN, verbOf: () => OTHER };

/** Agents and verbs are texts that agents choose: whatever the charter does not name is folded into one. */
export function metricBoundsOf(charter: Charter | undefined): MetricBounds {
  if (charter === undefined) return WITHOUT_CHARTER;
  let bounds = known.get(charter);
  if (bounds === undefined) {
    const verbs = verbsOf(charter.document);
    bounds = {
      agentOf: (agentId) => (charter.agents.has(agentId) ? agentId : UNKNOWN),
      verbOf: (actionType) => (verbs.has(actionType) ? actionType : OTHER),
    };
    known.set(charter, bounds);
  }
  return bounds;
}

/** The verbs that a charter names anywhere, patterns left out. */
function verbsOf({ agents, boundaries, permissions, policies }: CharterDocument): ReadonlySet<string> {
  const named = [
    ...Object.values(agents).flatMap(({ scope }) => scope.actions),
    ...boundaries.flatMap((boundary) => [
      ...('never' in boundary ? boundary.never : []),
      ...('actions' in boundary ? boundary.actions : []),
    ]),
    ...Object.values(permissions).flatMap((permission) => [
      ...(permission.required_for?.actions ?? []),
      ...(permission.extends_scope?.actions ?? []),
    ]),
    ...policies.flatMap(({ scope }) => scope?.actions ?? []),
  ];
  return new Set(named.filter((verb) => !verb.includes('*')));
}
