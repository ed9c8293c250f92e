import { destinationsOf } from '../intent/intent.js';
import { parameterOf, valuesAt, type ObjectedValue, type Objection, type Place } from '../matching/action-places.js';
import { hasGap, INITIAL_AUTHORITY, type AgentAuthority, type Grant } from './authority.js';
import {
  authorises,
  byPreference,
  missOf,
  nearestReason,
  type AuthorityQuestion,
  type GrantConsidered,
  type WhyNot,
} from './authority-queries.js';
import { constraintAt, namesNoValue, type BrokenConstraint } from './permission-grants.js';
import { expectedAndGot, keepsConstraint, kindOfValue, MAX_ITEMS_LOOKED_AT } from './value-constraints.js';

/** A grant that an intent rests on. */
export interface GrantUsed {
  readonly grantId: string;
  /** Its uses are counted: one must be reserved before the verdict leaves. */
  readonly mustReserve: boolean;
}

/** Grants that authorise an intent together, or why they do not. */
export type JointAuthorisation =
  | { readonly authorised: true; readonly grants: readonly GrantUsed[] }
  | { readonly authorised: false; readonly why: WhyNot; readonly considered: readonly GrantConsidered[] };

function isNamedBy(
  { constraints }: Grant,
  { place, value }: ObjectedValue,
  { inList }: AuthorityQuestion,
  /** How many values there are in all. */
  count: number,
): boolean {
  // One exact action is named with all its values; a grant that names none is for the permission as such.
  if (constraints.actionDigest !== undefined || namesNoValue(constraints)) return true;
  if (count > MAX_ITEMS_LOOKED_AT) return false;
  const constraint = constraintAt(constraints, place);
  return constraint !== undefined && keepsConstraint(constraint, value, inList);
}

function brokenBy(
  { constraints }: Grant,
  { place, value }: ObjectedValue,
  question: AuthorityQuestion,
): BrokenConstraint {
  const constraint = constraintAt(constraints, place);
  const parameter = parameterOf(place);
  return {
    constraint: place === 'destination' ? 'destination' : 'parameters',
    ...(parameter === undefined ? {} : { parameter }),
    ...(constraint === undefined
      ? { expected: 'no value', got: kindOfValue(value) }
      : expectedAndGot(constraint, value, question.inList)),
  };
}

/** The values that a grant does not name at places where it names something, and all values at the others. */
interface RefusedValues {
  readonly values: ReadonlySet<ObjectedValue>;
  /** The first at each place where the grant names something. */
  readonly atNamedPlaces: ReadonlyMap<Place, ObjectedValue>;
}

function refusedBy(grant: Grant, objected: readonly ObjectedValue[], question: AuthorityQuestion): RefusedValues {
  const values = new Set<ObjectedValue>();
  const atNamedPlaces = new Map<Place, ObjectedValue>();
  for (const value of objected) {
    if (isNamedBy(grant, value, question, objected.length)) continue;
    values.add(value);
    const isPlaceNamed = constraintAt(grant.constraints, value.place) !== undefined;
    if (isPlaceNamed && !atNamedPlaces.has(value.place)) atNamedPlaces.set(value.place, value);
  }
  return { values, atNamedPlaces };
}

/**
 * Why a grant does not lift a value: it does not name it, or it does not name some value at another place that it names
 * something for. What it names at several places is granted together only.
 */
function obstacleTo(value: ObjectedValue, { values, atNamedPlaces }: RefusedValues): ObjectedValue | undefined {
  if (values.has(value)) return value;
  for (const [place, refused] of atNamedPlaces) if (place !== value.place) return refused;
  return undefined;
}

/**
 * The grants that name all of the values between them. The values of one place add up: each may be lifted by another
 * grant. Whatever else a grant names must hold for the intent together with the value that it lifts.
 */
function namingAll(authority: AgentAuthority, question: AuthorityQuestion, objection: Objection): JointAuthorisation {
  const considered: GrantConsidered[] = [];
  const fitting: Grant[] = [];
  const { values } = objection;
  // Where nothing is objected to, what a grant names must be so as it stands.
  const places = [...new Set(values.map(({ place }) => place))];
  for (const grant of authority.grants.values()) {
    if (grant.permission !== question.permission) continue;
    const miss = missOf(grant, question, places);
    if (miss === undefined) fitting.push(grant);
    else considered.push({ grantId: grant.grantId, ...miss });
  }
  const used: GrantUsed[] = [];
  let open = values;
  for (const grant of fitting.sort(byPreference(question))) {
    const refused = refusedBy(grant, values, question);
    const still = open.filter((value) => obstacleTo(value, refused) !== undefined);
    if (still.length < open.length) used.push({ grantId: grant.grantId, mustReserve: grant.uses !== null });
    open = still;
    if (open.length === 0) return { authorised: true, grants: used };
  }
  const [first] = open;
  if (first !== undefined) {
    for (const grant of fitting) {
      const obstacle = obstacleTo(first, refusedBy(grant, values, question)) ?? first;
      considered.push({ grantId: grant.grantId, why: 'constraint broken', ...brokenBy(grant, obstacle, question) });
    }
  }
  return { authorised: false, ...nearestReason(authority, considered) };
}

/** The places of the action with several values that some grant of the permission names values for. */
function listedPlaces(authority: AgentAuthority, { permission, intent }: AuthorityQuestion): Map<Place, Objection> {
  const { action } = intent;
  const there = { parameters: action.parameters ?? {}, destinations: destinationsOf(action) };
  const listed = new Map<Place, Objection>();
  for (const grant of authority.grants.values()) {
    if (grant.permission !== permission) continue;
    const { destination, parameters } = grant.constraints;
    const places = Object.keys(parameters ?? {}).map((path): Place => `parameters.${path}`);
    for (const place of destination === undefined ? places : (['destination', ...places] as const)) {
      if (listed.has(place)) continue;
      const values = valuesAt(place, there);
      if (values.length < 2 || values.length > MAX_ITEMS_LOOKED_AT) continue;
      listed.set(place, { places: [place], values: values.map((value) => ({ place, value })) });
    }
  }
  return listed;
}

/**
 * Whether grants authorise the intent. Where a policy objects to values, each of them must be named by a grant; where it
 * does not, one grant covers the whole intent, or several name the items of one list between them.
 */
export function authorisesTogether(
  authority: AgentAuthority | undefined,
  question: AuthorityQuestion,
  objection?: Objection,
): JointAuthorisation {
  const known = authority ?? INITIAL_AUTHORITY;
  if (hasGap(known)) return { authorised: false, why: 'events missing', considered: [] };
  if (known.status === 'suspended') return { authorised: false, why: 'agent suspended', considered: [] };
  if (objection !== undefined && objection.values.length > 0) return namingAll(known, question, objection);
  const alone = authorises(known, question);
  if (alone.authorised) {
    const { grantId, mustReserve } = alone;
    return { authorised: true, grants: [{ grantId, mustReserve }] };
  }
  for (const listed of listedPlaces(known, question).values()) {
    const together = namingAll(known, question, listed);
    if (together.authorised) return together;
  }
  return alone;
}
