import { compileBoundary, type BoundaryRule } from '../boundary/boundary-rules.js';
import { requiredPermissionRule } from '../decision/rules.js';
import { boundedMemo } from '../matching/bounded-memo.js';
import { foldName } from '../matching/folding.js';
import type { Selector } from '../matching/glob.js';
import { receiverIndex } from '../matching/receivers.js';
import { allowing, restrictingNames, restrictingVerbs } from '../matching/selection.js';
import type { ListLookUp } from '../permission/value-constraints.js';
import { readEntryList, type EntryList } from '../policy/cel-patterns.js';
import { compilePolicies, type PolicyPrograms } from '../policy/cel-policies.js';
import type { Sha256 } from '../record/digest.js';
import { basisText, type Resting } from './charter-basis.js';
import type { CharterDocument, RolloutMode, Stage } from './charter-document.js';
import { compileClassifications, type Classifications, type GovernedSystem } from './systems.js';
import { durationMs } from './time-notation.js';

/** How long a decision may be acted on when nothing else is said. */
export const DEFAULT_DECISION_TTL_MS = 30_000;

const REMEMBERED_AGENTS = 10_000;

/** The charter's own word for an agent. */
export interface GovernedAgent {
  readonly id: string;
  readonly actions: Selector;
  readonly systems: Selector;
  readonly permissions: ReadonlySet<string>;
  /** Undefined: every approved integration. */
  readonly integrations: ReadonlySet<string> | undefined;
  /** Its claim to work outside business hours counts. */
  readonly offHours: boolean;
}

/** A permission that some actions need. */
export interface PermissionRequirement {
  readonly permission: string;
  readonly rule: string;
  readonly actions: Selector;
  readonly systems: Selector;
  readonly agents: Selector;
}

/** What a grant of a permission adds to an agent's intended scope. Undefined: as the scope itself has it. */
export interface ScopeExtension {
  readonly permission: string;
  readonly actions: Selector | undefined;
  readonly systems: Selector | undefined;
}

/** A checked charter, compiled so that judging is a few map look-ups. Made by `checkCharter` only. */
export interface Charter {
  readonly name: string;
  /** SHA-256 over the RFC 8785 form of the parsed document. */
  readonly digest: string;
  readonly stage: Stage;
  readonly decisionTtlMs: number;
  readonly document: CharterDocument;
  readonly classifications: Classifications;
  readonly systems: ReadonlyMap<string, GovernedSystem>;
  /** Every system that a destination may lead to, however it is spelt. */
  readonly receivers: (destination: string) => readonly GovernedSystem[];
  /** Every environment of the charter, and production, by its folded name. */
  readonly environments: ReadonlyMap<string, string>;
  readonly agents: ReadonlyMap<string, GovernedAgent>;
  readonly integrations: ReadonlySet<string>;
  readonly requirements: readonly PermissionRequirement[];
  readonly scopeExtensions: readonly ScopeExtension[];
  /** IANA zone of the local time that policies speak of. */
  readonly timezone: string;
  readonly policies: PolicyPrograms;
  /** Whether a text is an entry of a list, letter case aside. A list that cannot be read has no entries. */
  readonly inList: ListLookUp;
  boundariesOf(agentId: string): readonly BoundaryRule[];
  /** Boundaries and the other immutable rules have no mode: nobody asks for it. */
  modeOf(rule: string): RolloutMode;
  /** SHA-256 over all that this charter says of what a request for approval rests on; see `basisText`. */
  readonly basisOf: (agentId: string, request: Resting) => string;
}

function compileSystems(
  document: CharterDocument,
  classifications: Classifications,
): ReadonlyMap<string, GovernedSystem> {
  const systems = new Map<string, GovernedSystem>();
  for (const [name, { classification, environment, integration }] of Object.entries(document.systems)) {
    systems.set(name, {
      name,
      classification: classifications.byName.get(classification) ?? classifications.strictest,
      ...(environment === undefined ? {} : { environment }),
      ...(integration === undefined ? {} : { integration }),
    });
  }
  return systems;
}

/** Known to every charter: claiming it tightens wherever a policy speaks of it. */
const PRODUCTION = 'production';

function compileEnvironments(systems: Iterable<GovernedSystem>): ReadonlyMap<string, string> {
  const names = [...systems].map(({ environment }) => environment).filter((name) => name !== undefined);
  return new Map([PRODUCTION, ...names].map((name) => [foldName(name), name]));
}

function compileAgents(document: CharterDocument): ReadonlyMap<string, GovernedAgent> {
  return new Map(
    Object.entries(document.agents).map(([id, agent]) => [
      id,
      {
        id,
        actions: allowing(agent.scope.actions),
        systems: allowing(agent.scope.systems),
        permissions: new Set(agent.permissions),
        integrations: agent.integrations === undefined ? undefined : new Set(agent.integrations),
        offHours: agent.off_hours === 'permitted',
      },
    ]),
  );
}

function compileRequirements(document: CharterDocument): readonly PermissionRequirement[] {
  return Object.entries(document.permissions).flatMap(([permission, { required_for: needed }]) =>
    needed === undefined
      ? []
      : [
          {
            permission,
            rule: requiredPermissionRule(permission),
            actions: restrictingVerbs(needed.actions),
            systems: restrictingNames(needed.systems),
            agents: restrictingNames(needed.agents),
          },
        ],
  );
}

function compileScopeExtensions(document: CharterDocument): readonly ScopeExtension[] {
  return Object.entries(document.permissions).flatMap(([permission, { extends_scope: added }]) => {
    if (added === undefined) return [];
    const { actions, systems } = added;
    return [{ permission, actions: actions && allowing(actions), systems: systems && allowing(systems) }];
  });
}

/** Modes that differ from `enforce`. A severity speaks for the policies of that severity, a rule's own entry wins. */
function compileModes(document: CharterDocument): ReadonlyMap<string, RolloutMode> {
  const modes = new Map<string, RolloutMode>();
  const modeAt = (key: string): RolloutMode | undefined => {
    const entry = Object.hasOwn(document.rollout, key) ? document.rollout[key] : undefined;
    return typeof entry === 'object' ? entry.mode : entry;
  };
  for (const policy of document.policies) {
    const mode = modeAt(policy.severity);
    if (mode !== undefined) modes.set(policy.id, mode);
  }
  for (const key of Object.keys(document.rollout)) {
    const mode = modeAt(key);
    if (mode !== undefined) modes.set(key, mode);
  }
  return modes;
}

function compileCheckedPolicies({ policies, lists }: CharterDocument): PolicyPrograms {
  const compiled = compilePolicies(policies, { lists });
  if (!compiled.ok) throw new TypeError('a checked charter has no policy that does not compile');
  return compiled.programs;
}

/** Compiles a list when it is first asked for. */
function compileLists({ lists }: CharterDocument): Charter['inList'] {
  const entriesOf = boundedMemo(Object.keys(lists).length + 1, (name: string): EntryList | undefined => {
    try {
      return Object.hasOwn(lists, name) ? readEntryList(lists[name] ?? []) : undefined;
    } catch {
      return undefined;
    }
  });
  return (list, text) => entriesOf(list)?.has(text) ?? false;
}

export function compileCharter(document: CharterDocument, digest: string, sha256: Sha256): Charter {
  const classifications = compileClassifications(document.classifications);
  const systems = compileSystems(document, classifications);
  const receivers = receiverIndex(systems);
  const boundaries = document.boundaries.map((boundary) => ({
    rule: compileBoundary(boundary, { classifications, systems, receivers }),
    agents: restrictingNames(boundary.agents),
  }));
  const modes = compileModes(document);
  const modeOf = (rule: string): RolloutMode => modes.get(rule) ?? 'enforce';
  const basis = { document, modeOf, systemsAt: (to: string) => receivers(to).map(({ name }) => name) };
  return {
    name: document.charter,
    digest,
    stage: document.stage,
    decisionTtlMs: (document.decision_ttl && durationMs(document.decision_ttl)) || DEFAULT_DECISION_TTL_MS,
    document,
    classifications,
    systems,
    receivers,
    environments: compileEnvironments(systems.values()),
    agents: compileAgents(document),
    integrations: new Set(document.integrations),
    requirements: compileRequirements(document),
    scopeExtensions: compileScopeExtensions(document),
    timezone: document.timezone,
    policies: compileCheckedPolicies(document),
    inList: compileLists(document),
    boundariesOf: boundedMemo(REMEMBERED_AGENTS, (agentId: string) =>
      boundaries.filter(({ agents }) => agents(agentId)).map(({ rule }) => rule),
    ),
    modeOf,
    basisOf: (agentId, request) => sha256(basisText(agentId, request, basis)),
  };
}
