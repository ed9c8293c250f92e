import { WEEKDAYS, hoursOf, weekdaysOf } from '../charter/time-notation.js';
import type { Boundary } from '../charter/charter-document.js';
import type { Action } from '../intent/intent.js';
import { compileSelector } from '../matching/glob.js';
import type { Classifications, GovernedSystem } from '../charter/systems.js';
import { localTimeIn } from './local-time.js';
import { breachOfLimit } from './numeric-limit.js';
import { compileRestrictedVerbs } from './restricted-verbs.js';
import { isInWindow } from './time-window.js';

/** How secret the data of an action are: the stricter of the charter's word for the target and the agent's claim. */
export interface EffectiveClassification {
  readonly name: string;
  readonly rank: number;
  /** The claim named no classification of the charter, so the strictest counts. */
  readonly unknownClaim?: true;
}

/** What a boundary is held against. */
export interface BoundarySubject {
  readonly action: Action;
  /** ms since the epoch */
  readonly judgedAt: number;
  /** Undefined when neither the charter nor the agent says anything. */
  readonly classification: EffectiveClassification | undefined;
}

/** One boundary, compiled. */
export interface BoundaryRule {
  readonly id: string;
  readonly timezone?: string;
  applies(action: Action): boolean;
  /** Why the action is outside the boundary; undefined when it is inside. */
  breach(subject: BoundarySubject): string | undefined;
}

export function effectiveClassification(
  classifications: Classifications,
  target: GovernedSystem | undefined,
  claim: string | null | undefined,
): EffectiveClassification | undefined {
  const entry = target?.classification;
  if (claim === null || claim === undefined) return entry;
  const claimed = classifications.byName.get(claim);
  if (claimed === undefined) return { ...classifications.strictest, unknownClaim: true };
  return entry === undefined || claimed.rank > entry.rank ? claimed : entry;
}

function unknownClaim(classification: EffectiveClassification | undefined): string | undefined {
  return classification?.unknownClaim === true ? "the claimed classification is not one of the charter's" : undefined;
}

const always = (): boolean => true;

/** Everything a boundary of a charter needs to know of the rest of it. */
export interface BoundaryContext {
  readonly classifications: Classifications;
  readonly systems: ReadonlyMap<string, GovernedSystem>;
}

export function compileBoundary(boundary: Boundary, { classifications, systems }: BoundaryContext): BoundaryRule {
  const { id } = boundary;
  if ('parameter' in boundary) {
    const limit = { path: boundary.parameter.split('.'), max: boundary.max, min: boundary.min };
    const limited = compileSelector(boundary.actions);
    return {
      id,
      applies: (action) => limited(action.type),
      breach: ({ action }) => breachOfLimit(limit, action),
    };
  }
  if ('never' in boundary) {
    const restrictedVerb = compileRestrictedVerbs(boundary.never);
    return {
      id,
      applies: always,
      breach: ({ action }) => {
        const verb = restrictedVerb(action.type);
        return verb === undefined ? undefined : `${action.type} is a restricted action (${verb})`;
      },
    };
  }
  if ('hours' in boundary) {
    const hours = hoursOf(boundary.hours);
    const days = weekdaysOf(boundary.days ?? WEEKDAYS);
    if (hours === undefined || days === undefined) throw new TypeError(`boundary ${id} was not checked`);
    const { timezone } = boundary;
    const window = { ...hours, days };
    const daysText = boundary.days === undefined ? 'every day' : [boundary.days].flat().join(', ');
    return {
      id,
      timezone,
      applies: always,
      breach: ({ judgedAt }) => {
        const local = localTimeIn(timezone, judgedAt);
        if (isInWindow(window, local)) return undefined;
        return `it is ${local.text} in ${timezone}, outside ${boundary.hours} ${daysText}`;
      },
    };
  }
  if ('systems' in boundary) {
    const allowed = compileSelector(boundary.systems);
    return {
      id,
      applies: always,
      breach: ({ action }) => {
        if (!allowed(action.target)) return `system ${action.target} may not be touched`;
        const { destination } = action;
        const isSystem = destination !== null && destination !== undefined && systems.has(destination);
        return isSystem && !allowed(destination) ? `system ${destination} may not be a destination` : undefined;
      },
    };
  }
  if ('no_write_down' in boundary) {
    return {
      id,
      applies: always,
      breach: ({ action, classification }) => {
        if (classification === undefined) return undefined;
        const unknown = unknownClaim(classification);
        if (unknown !== undefined) return unknown;
        const destination = action.destination ?? undefined;
        for (const name of destination === undefined ? [action.target] : [action.target, destination]) {
          const receiver = systems.get(name);
          if (receiver === undefined || receiver.classification.rank >= classification.rank) continue;
          return `${classification.name} data may not go to ${name}, which is ${receiver.classification.name}`;
        }
        return undefined;
      },
    };
  }
  const max = classifications.byName.get(boundary.max);
  if (max === undefined) throw new TypeError(`boundary ${id} was not checked`);
  return {
    id,
    applies: always,
    breach: ({ classification }) => {
      if (classification === undefined) return undefined;
      const unknown = unknownClaim(classification);
      if (unknown !== undefined) return unknown;
      return classification.rank > max.rank
        ? `the data are ${classification.name}; at most ${max.name} is allowed`
        : undefined;
    },
  };
}
