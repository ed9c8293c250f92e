import type { Charter } from '../charter/charter.js';
import type { Action } from '../intent/intent.js';

const STRICTEST_ENVIRONMENT = 'production';

/** The charter's environment of the target, unless the agent says production: no other claim could tighten. */
export function effectiveEnvironment(charter: Charter, action: Action): string | undefined {
  if (action.environment?.toLowerCase() === STRICTEST_ENVIRONMENT) return STRICTEST_ENVIRONMENT;
  return charter.systems.get(action.target)?.environment;
}

/** Every third-party integration the action goes through, by the charter's word or by the agent's: all must be approved. */
export function effectiveIntegrations(charter: Charter, action: Action): readonly string[] {
  const target = charter.systems.get(action.target)?.integration;
  const destination = action.destination ? charter.systems.get(action.destination)?.integration : undefined;
  const claim = action.integration ?? undefined;
  if (target === undefined && destination === undefined && claim === undefined) return [];
  return [...new Set([target, destination, claim].filter((name) => name !== undefined))];
}
