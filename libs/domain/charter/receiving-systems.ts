import { destinationsOf, type Action } from '../intent/intent.js';
import type { Charter } from './charter.js';
import type { GovernedSystem } from './systems.js';

const NONE: readonly GovernedSystem[] = [];

/** The systems of the charter that the destinations of an action may lead to, each once, however they are spelt. */
export function receivingSystems({ receivers }: Pick<Charter, 'receivers'>, action: Action): readonly GovernedSystem[] {
  const destinations = destinationsOf(action);
  if (destinations.length === 0) return NONE;
  return [...new Set(destinations.flatMap((destination) => receivers(destination)))];
}

/** The name of the target, and of every system of the charter that a destination may lead to. */
export function systemsReached(charter: Pick<Charter, 'receivers'>, action: Action): readonly string[] {
  const receiving = receivingSystems(charter, action);
  return receiving.length === 0 ? [action.target] : [action.target, ...receiving.map(({ name }) => name)];
}
