import { WEEKDAYS, hoursOf, weekdaysOf } from '../charter/time-notation.js';
import type { Boundary } from '../charter/charter-document.js';
import { destinationsOf, type Action } from '../intent/intent.js';
import type { Claim } from '../intent/claims.js';
import { compileAllowedTexts } from '../matching/allowed-texts.js';
import { allowing, restrictingVerbs } from '../matching/selection.js';
import type { Classification, Classifications, GovernedSystem } from '../charter/systems.js';
import type { ClaimedClassification } from './effective-classification.js';
import { localTimeIn } from './local-time.js';
import { breachOfLimit } from './numeric-limit.js';
import { compileRestrictedVerbs } from './restricted-verbs.js';
import { isInWindow } from './time-window.js';

/** How secret the data of an action are: by the charter's word for the target, and by the agent's claim if it is stricter. */
export interface DataClassification {
  /** The strictest one where the charter does not know the target. */
  readonly entry: Classification;
  readonly knownTarget: boolean;
  readonly claimed: ClaimedClassification | undefined;
}

/** What a boundary is held against. */
export interface BoundarySubject {
  readonly action: Action;
  /** ms since the epoch */
  readonly judgedAt: number;
  readonly data: DataClassification;
}

/** Why an action is outside a boundary. */
export interface Breach {
  readonly reason: string;
  /** What the agent says has broken it; left out: the charter's own word has. */
  readonly claims?: readonly Claim[];
}

/** One boundary, compiled. */
export interface BoundaryRule {
  readonly id: string;
  readonly timezone?: string;
  applies(action: Action): boolean;
  /** Why the action is outside the boundary; undefined when it is inside. */
  breach(subject: BoundarySubject): Breach | undefined;
}

/** Everything a boundary of a charter needs to know of the rest of it. */
export interface BoundaryContext {
  readonly classifications: Classifications;
  readonly systems: ReadonlyMap<string, GovernedSystem>;
  /** Every system that a destination may lead to, however it is spelt. */
  readonly receivers: (destination: string) => readonly GovernedSystem[];
}

function because(reason: string | undefined): Breach | undefined {
  return reason === undefined ? undefined : { reason };
}

/** The first breach by the charter's word, else the one by the agent's claim. */
function breachByData(
  { entry, knownTarget, claimed }: DataClassification,
  breach: (data: Classification) => string | undefined,
): Breach | undefined {
  const byEntry = breach(entry);
  if (byEntry !== undefined) {
    return {
      reason: knownTarget ? byEntry : `${byEntry} (the charter does not know the system, so the strictest counts)`,
    };
  }
  if (claimed === undefined) return undefined;
  const claims = ['dataClassification'] as const;
  if (claimed.unknown === true) return { reason: "the claimed classification is not one of the charter's", claims };
  const byClaim = breach(claimed);
  return byClaim === undefined
    ? undefined
    : { reason: `the agent says that the data are ${claimed.name}: ${byClaim}`, claims };
}

/** Why data may not go where the action takes them. Who is not named exactly as the charter names it counts as the mildest. */
function writeDown(
  { action }: BoundarySubject,
  data: Classification,
  { classifications, systems, receivers }: BoundaryContext,
): string | undefined {
  const [mildest] = classifications.byName.values();
  const refusal = (name: string, receiver: Classification, isKnown: boolean): string | undefined => {
    if (receiver.rank >= data.rank) return undefined;
    const which = isKnown ? `${name}, which is` : `${name} that the charter does not name, which counts as`;
    return `${data.name} data may not go to ${which} ${receiver.name}`;
  };
  const target = systems.get(action.target);
  const byTarget = refusal(target?.name ?? 'a system', target?.classification ?? mildest ?? data, target !== undefined);
  if (byTarget !== undefined) return byTarget;
  for (const destination of destinationsOf(action)) {
    for (const { name, classification } of receivers(destination)) {
      const byReceiver = refusal(name, classification, true);
      if (byReceiver !== undefined) return byReceiver;
    }
    const byUnknown = systems.has(destination) ? undefined : refusal('a receiver', mildest ?? data, false);
    if (byUnknown !== undefined) return byUnknown;
  }
  return undefined;
}

const always = (): boolean => true;

export function compileBoundary(boundary: Boundary, context: BoundaryContext): BoundaryRule {
  const { id } = boundary;
  if ('parameter' in boundary) {
    const limit = { path: boundary.parameter.split('.'), max: boundary.max, min: boundary.min };
    const limited = restrictingVerbs(boundary.actions);
    return {
      id,
      applies: (action) => limited(action.type),
      breach: ({ action }) => because(breachOfLimit(limit, action)),
    };
  }
  if ('never' in boundary) {
    const restrictedVerb = compileRestrictedVerbs(boundary.never);
    return {
      id,
      applies: always,
      breach: ({ action }) => {
        const verb = restrictedVerb(action.type);
        return because(verb === undefined ? undefined : `${action.type} is a restricted action (${verb})`);
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
        return because(`it is ${local.text} in ${timezone}, outside ${boundary.hours} ${daysText}`);
      },
    };
  }
  if ('systems' in boundary) {
    const allowed = allowing(boundary.systems);
    return {
      id,
      applies: always,
      breach: ({ action }) => {
        if (!allowed(action.target)) return because(`system ${action.target} may not be touched`);
        const reached = destinationsOf(action).flatMap((destination) => context.receivers(destination));
        const foreign = reached.find(({ name }) => !allowed(name));
        return because(foreign === undefined ? undefined : `system ${foreign.name} may not be a destination`);
      },
    };
  }
  if ('destinations' in boundary) {
    const allowed = compileAllowedTexts(boundary.destinations);
    return {
      id,
      applies: (action) => destinationsOf(action).length > 0,
      breach: ({ action }) => {
        const going = destinationsOf(action);
        const refused = going.findIndex((name) => !allowed(name));
        if (refused === -1) return undefined;
        const which = going.length === 1 ? 'the destination' : `destination ${refused + 1} of ${going.length}`;
        return because(`${which} is not one that data may go to`);
      },
    };
  }
  if ('no_write_down' in boundary) {
    return {
      id,
      applies: always,
      breach: (subject) => breachByData(subject.data, (data) => writeDown(subject, data, context)),
    };
  }
  const max = context.classifications.byName.get(boundary.max);
  if (max === undefined) throw new TypeError(`boundary ${id} was not checked`);
  return {
    id,
    applies: always,
    breach: ({ data }) =>
      breachByData(data, ({ name, rank }) =>
        rank > max.rank ? `the data are ${name}; at most ${max.name} is allowed` : undefined,
      ),
  };
}
