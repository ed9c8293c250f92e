import type { Charter } from '../charter/charter.js';
import { receivingSystems } from '../charter/receiving-systems.js';
import type { Action } from '../intent/intent.js';
import { foldName } from '../matching/folding.js';

/** The charter's own word for the environment of the target. */
export function environmentOf(charter: Charter, action: Action): string | undefined {
  return charter.systems.get(action.target)?.environment;
}

/** The environments of the target and of every system that a destination may lead to; `''`: the charter names none. */
export function environmentsReached(charter: Charter, action: Action): readonly [string, ...string[]] {
  const ofTarget = environmentOf(charter, action) ?? '';
  const others = new Set(receivingSystems(charter, action).map(({ environment = '' }) => environment));
  others.delete(ofTarget);
  return [ofTarget, ...others];
}

/** The environment the agent claims, spelt as the charter spells it where the charter knows it. */
export function claimedEnvironment(charter: Charter, action: Action): string | undefined {
  const { environment } = action;
  if (environment === null || environment === undefined) return undefined;
  return charter.environments.get(foldName(environment)) ?? environment;
}

/** The third-party integrations an action goes through. */
export interface Integrations {
  /** By the charter's word for its target and destination. */
  readonly ofCharter: readonly string[];
  /** What the agent names besides. */
  readonly claimed: string | undefined;
}

const NONE: Integrations = { ofCharter: [], claimed: undefined };

export function integrationsOf(charter: Charter, action: Action): Integrations {
  const target = charter.systems.get(action.target)?.integration;
  const destination = receivingSystems(charter, action);
  const claim = action.integration ?? undefined;
  if (target === undefined && destination.length === 0 && claim === undefined) return NONE;
  const reached = destination.map(({ integration }) => integration);
  const ofCharter = [...new Set([target, ...reached].filter((name) => name !== undefined))];
  return { ofCharter, claimed: claim !== undefined && ofCharter.includes(claim) ? undefined : claim };
}
