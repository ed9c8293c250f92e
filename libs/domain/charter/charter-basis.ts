import { destinationsOf } from '../intent/intent.js';
import { canonicalJson } from '../record/canonical-json.js';
import type { Constraints, HeldIntent } from '../permission/permission-grants.js';
import type { CharterDocument, RolloutMode } from './charter-document.js';

/** A request for approval, as far as it says what in the charter it rests on. */
export interface Resting {
  readonly needs: readonly { readonly permission: string }[];
  readonly constraints: Constraints;
  readonly held?: Pick<HeldIntent, 'rules' | 'action'> | undefined;
}

/** The charter a request was asked under, and what it said of all the request rests on. */
export interface AskedUnder extends Resting {
  readonly charterDigest: string;
  readonly basis?: string;
}

/** Whether a charter says of what a request rests on what the charter said that it was asked under. */
export function saysTheSame(
  request: AskedUnder,
  charter: { readonly charterDigest: string; readonly basisOf: (request: Resting) => string },
): boolean {
  if (request.charterDigest === charter.charterDigest) return true;
  return request.basis !== undefined && request.basis === charter.basisOf(request);
}

/** What is looked up in the charter of which the basis is told. */
export interface BasisLookUp {
  readonly document: CharterDocument;
  /** The names of all systems a destination may lead to. */
  readonly systemsAt: (destination: string) => readonly string[];
  readonly modeOf: (rule: string) => RolloutMode;
}

function ownEntry<Entry>(entries: Readonly<Record<string, Entry>>, name: string): Entry | null {
  return Object.hasOwn(entries, name) ? (entries[name] ?? null) : null;
}

/**
 * All that a charter says of what a request for approval rests on, as canonical JSON: the agent's entry, the permissions
 * asked for, every rule that held the action with its mode and the lists it names, the system acted on, and those that
 * the destinations lead to. Nothing else of the charter is in it. Everything else is judged anew in the re-evaluation.
 */
export function basisText(agentId: string, request: Resting, charter: BasisLookUp): string {
  const { document, systemsAt, modeOf } = charter;
  const { needs, constraints, held } = request;
  const rules = (held?.rules ?? []).map((rule) => ({
    rule,
    mode: modeOf(rule),
    policy: document.policies.find(({ id }) => id === rule) ?? null,
  }));
  // an expression names a list by its name; one list too many in the basis only makes people be asked again
  const saying = JSON.stringify([rules, constraints]);
  const target = held?.action.target ?? constraints.target;
  const systems = [
    ...(target === undefined ? [] : [target]),
    ...(held === undefined ? [] : destinationsOf(held.action).flatMap((destination) => systemsAt(destination))),
  ];
  const { agents, permissions, lists, systems: known, classifications, timezone } = document;
  return canonicalJson({
    agent: ownEntry(agents, agentId),
    permissions: needs.map(({ permission }) => [permission, ownEntry(permissions, permission)]),
    rules,
    lists: Object.keys(lists)
      .filter((name) => saying.includes(name))
      .sort()
      .map((name) => [name, lists[name]]),
    systems: [...new Set(systems)].sort().map((name) => [name, ownEntry(known, name)]),
    ...(rules.length === 0 ? {} : { classifications, timezone }),
  });
}
