import { IMMUTABLE_RULES, ROLLED_OUT_RULES, requiredPermissionRule } from '../decision/rules.js';
import { severitySchema } from '../decision/decision.js';
import { compileGlob, hasWildcard } from '../matching/glob.js';
import { foldName } from '../matching/folding.js';
import type { Place } from '../matching/action-places.js';
import { hintFor, nearestName } from '../matching/near-names.js';
import { DESTRUCTIVE_VERBS, compileVerbSelector, compileVerbUse } from '../matching/verbs.js';
import { expressionReader, type ExpressionReader, type ExpressionReading } from '../policy/cel-expressions.js';
import type { ExpressionReads } from '../policy/cel-places.js';
import type { KnownTexts, KnownValues } from '../policy/known-values.js';
import { BOUNDARY_KINDS, rolloutModeSchema, rolloutShareSchema } from './charter-document.js';
import { reportShape, type CharterPath, type Report } from './charter-problems.js';
import { reachableActions, type ReachableActions } from './reachable-actions.js';
import { hoursOf, isFixedOffset } from './time-notation.js';

type BoundaryKind = keyof typeof BOUNDARY_KINDS;
type Mapping = Readonly<Record<string, unknown>>;

const KIND_NAMES = Object.keys(BOUNDARY_KINDS) as BoundaryKind[];
const KINDS_TEXT = KIND_NAMES.map((kind) => `${kind} (\`${BOUNDARY_KINDS[kind].key}\`)`).join(', ');

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function mappingOf(value: unknown): Mapping {
  return isMapping(value) ? value : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textsOf(value: unknown): readonly string[] {
  return listOf(value).filter((item) => typeof item === 'string');
}

/** The kinds whose key a boundary carries. `max` alone makes a classification; beside `parameter` it is a limit. */
function kindsOf(boundary: Mapping): readonly BoundaryKind[] {
  const named = KIND_NAMES.filter((kind) => kind !== 'data classification' && BOUNDARY_KINDS[kind].key in boundary);
  return named.length === 0 && 'max' in boundary ? ['data classification'] : named;
}

/** The names a charter declares. A name whose entry is wrong is declared all the same: one mistake, one problem. */
interface Declared {
  readonly classifications: readonly string[];
  readonly systems: readonly string[];
  readonly integrations: readonly string[];
  readonly agents: readonly string[];
  readonly permissions: readonly string[];
  /** Those with approvers. */
  readonly approved: readonly string[];
  /** What each permission binds its grants to. */
  readonly bindings: ReadonlyMap<string, readonly string[]>;
  /** What agents may do at all. */
  readonly actions: ReachableActions;
  /** Reads conditions over the declared lists and names. */
  readonly expressions: ExpressionReader;
}

const DEFAULT_CLASSIFICATIONS = ['public', 'internal', 'confidential', 'restricted'];

function actionsOf(charter: Mapping): ReachableActions {
  const agents = Object.entries(mappingOf(charter['agents']));
  const scopes = agents.map(([id, agent]): [string, readonly string[]] => [
    id,
    textsOf(mappingOf(mappingOf(agent)['scope'])['actions']),
  ]);
  const added = Object.values(mappingOf(charter['permissions'])).flatMap((permission) => {
    const extension = mappingOf(permission)['extends_scope'];
    if (extension === undefined || !isMapping(extension)) return [];
    return textsOf(extension['actions']);
  });
  return reachableActions(new Map(scopes), added);
}

/** What the names of a charter let the variables of its expressions be. */
function knownBy(charter: Mapping, names: Omit<Declared, 'expressions'>): KnownValues {
  const { classifications, systems, integrations, agents, actions } = names;
  const environments = Object.values(mappingOf(charter['systems']))
    .map((system) => mappingOf(system)['environment'])
    .filter((name) => typeof name === 'string');
  const integration: KnownTexts = { what: 'integration', values: ['', ...integrations], doubtful: true };
  const action: KnownTexts = {
    what: 'action that an agent may do',
    values: actions.names,
    alsoMatches: (text) => agents.length === 0 || actions.reaches(text),
    doubtful: true,
  };
  return {
    texts: {
      'action.type': action,
      'action.dataClassification': { what: 'classification', values: classifications },
      'action.environment': {
        what: 'environment',
        values: [...new Set(['production', ...environments, ''])],
        doubtful: true,
      },
      'action.integration': integration,
      'facts.integrations': { ...integration, values: integrations },
      'action.target': { what: 'system', values: systems, doubtful: true },
      'context.agentId': { what: 'agent', values: agents, doubtful: true },
    },
    numbers: { 'facts.classification': { from: 0, to: Math.max(0, classifications.length - 1) } },
  };
}

function declaredBy(charter: Mapping): Declared {
  const permissions = Object.entries(mappingOf(charter['permissions']));
  const names = {
    classifications:
      charter['classifications'] === undefined ? DEFAULT_CLASSIFICATIONS : textsOf(charter['classifications']),
    systems: Object.keys(mappingOf(charter['systems'])),
    integrations: textsOf(charter['integrations']),
    agents: Object.keys(mappingOf(charter['agents'])),
    permissions: permissions.map(([name]) => name),
    approved: permissions.flatMap(([name, permission]) =>
      mappingOf(permission)['approvals'] === undefined ? [] : [name],
    ),
    bindings: new Map(permissions.map(([name, permission]) => [name, textsOf(mappingOf(permission)['bind'])])),
    actions: actionsOf(charter),
  };
  const lists = Object.entries(mappingOf(charter['lists'])).map(([name, list]) => [name, textsOf(list)] as const);
  const expressions = expressionReader({ lists: Object.fromEntries(lists), known: knownBy(charter, names) });
  return { ...names, expressions };
}

function expectName(kind: string, name: string, known: readonly string[], path: CharterPath, report: Report): void {
  if (known.includes(name)) return;
  report('REMIT_CHARTER_UNDECLARED_NAME', path, `there is no ${kind} \`${name}\` in this charter`, {
    hint: hintFor(name, known, 'declared'),
  });
}

function expectSystems(patterns: unknown, declared: Declared, at: CharterPath, report: Report): void {
  for (const [index, pattern] of listOf(patterns).entries()) {
    if (typeof pattern !== 'string') continue;
    if (!hasWildcard(pattern)) {
      expectName('system', pattern, declared.systems, [...at, index], report);
    } else if (!declared.systems.some(compileGlob(pattern))) {
      report('REMIT_CHARTER_NEVER_APPLIES', [...at, index], `\`${pattern}\` matches no system of this charter`);
    }
  }
}

/** A glob may wait for agents to come, an exact name may not. */
function expectAgents(patterns: unknown, declared: Declared, at: CharterPath, report: Report, warn: Report): void {
  for (const [index, pattern] of listOf(patterns).entries()) {
    if (typeof pattern !== 'string') continue;
    if (!hasWildcard(pattern)) {
      expectName('agent', pattern, declared.agents, [...at, index], report);
    } else if (!declared.agents.some(compileGlob(pattern))) {
      warn('REMIT_CHARTER_MATCHES_NO_AGENT', [...at, index], `\`${pattern}\` matches no agent of this charter yet`);
    }
  }
}

/**
 * A rule about actions that no agent may do restricts nothing. One such action beside others may be there in case an agent
 * comes that may do it, unless it looks mistyped.
 */
function expectActions(patterns: unknown, agents: unknown, declared: Declared, at: CharterPath, warn: Report): void {
  if (declared.agents.length === 0) return;
  const selected = Array.isArray(agents) ? textsOf(agents) : undefined;
  const texts = textsOf(patterns);
  const isDead = texts.every((pattern) => !declared.actions.reaches(pattern, selected));
  for (const [index, pattern] of listOf(patterns).entries()) {
    if (typeof pattern !== 'string' || declared.actions.reaches(pattern, selected)) continue;
    const near = declared.actions.mistyped(pattern) ?? (isDead ? declared.actions.meantBy(pattern) : undefined);
    if (!isDead && near === undefined) continue;
    const who = selected === undefined ? 'no agent' : 'none of these agents';
    const message = `${who} may do \`${pattern}\`, by any scope or permission`;
    warn('REMIT_CHARTER_MATCHES_NO_ACTION', [...at, index], message, {
      hint: near === undefined || near === pattern ? undefined : `did you mean \`${near}\`?`,
    });
  }
}

function reportDuplicates(names: readonly string[], at: CharterPath, report: Report): void {
  const seen = new Set<string>();
  for (const [index, name] of names.entries()) {
    if (seen.has(name)) report('REMIT_CHARTER_DUPLICATE_ID', [...at, index], `\`${name}\` is listed twice`);
    seen.add(name);
  }
}

function checkBoundary(boundary: unknown, path: CharterPath, declared: Declared, report: Report, warn: Report): void {
  if (!isMapping(boundary)) {
    report('REMIT_CHARTER_WRONG_VALUE', path, `must be a mapping: one of ${KINDS_TEXT}`);
    return;
  }
  const [kind, ...others] = kindsOf(boundary);
  if (kind === undefined) {
    const keys = KIND_NAMES.map((name) => BOUNDARY_KINDS[name].key);
    const near = Object.keys(boundary)
      .map((key) => nearestName(key, keys))
      .find((key) => key !== undefined);
    report('REMIT_CHARTER_BOUNDARY_KIND', path, `is no kind of boundary; the kinds are ${KINDS_TEXT}`, {
      hint: near === undefined ? undefined : `did you mean \`${near}\`?`,
    });
    return;
  }
  if (others.length > 0) {
    const several = [kind, ...others].map((name) => `${name} (\`${BOUNDARY_KINDS[name].key}\`)`).join(' or ');
    report('REMIT_CHARTER_BOUNDARY_KIND', path, `could be ${several}; write one boundary for each`);
    return;
  }
  reportShape(BOUNDARY_KINDS[kind].schema, boundary, path, report);
  expectAgents(boundary['agents'], declared, [...path, 'agents'], report, warn);
  switch (kind) {
    case 'data classification': {
      const { max } = boundary;
      if (typeof max !== 'string') return;
      // The strictest is allowed: it documents that agents may touch everything.
      expectName('classification', max, declared.classifications, [...path, 'max'], report);
      return;
    }
    case 'system access':
      expectSystems(boundary['systems'], declared, [...path, 'systems'], report);
      return;
    case 'time window': {
      checkOffset(boundary['timezone'], [...path, 'timezone'], warn);
      const hours = typeof boundary['hours'] === 'string' ? hoursOf(boundary['hours']) : undefined;
      if (hours !== undefined && hours.start === hours.end) {
        report('REMIT_CHARTER_NEVER_APPLIES', [...path, 'hours'], 'is an empty window: it starts when it ends', {
          hint: 'for whole days write "00:00-24:00"',
        });
      }
      return;
    }
    case 'numeric limit': {
      const { min, max } = boundary;
      expectActions(boundary['actions'], boundary['agents'], declared, [...path, 'actions'], warn);
      if (typeof min === 'number' && typeof max === 'number' && min > max) {
        const message = `no number is at least ${min} and at most ${max}`;
        report('REMIT_CHARTER_NEVER_APPLIES', [...path, 'min'], message);
      }
      return;
    }
    case 'action restriction':
      for (const [index, verb] of textsOf(boundary['never']).entries()) {
        const near = declared.actions.mistypedVerb(verb);
        if (near === undefined) continue;
        const message = `\`${verb}\` is a word of no action that an agent was made for, and looks mistyped`;
        const hint = `did you mean \`${near}\`?`;
        warn('REMIT_CHARTER_MATCHES_NO_ACTION', [...path, 'never', index], message, { hint });
      }
      return;
    case 'destinations':
    case 'no write-down':
      return;
    default:
      kind satisfies never;
  }
}

function checkOffset(zone: unknown, path: CharterPath, warn: Report): void {
  if (typeof zone !== 'string' || !isFixedOffset(zone)) return;
  const message = `\`${zone}\` is the same all year, without summer time, and a plus sign lies west of Greenwich`;
  warn('REMIT_CHARTER_FIXED_OFFSET', path, message, { hint: 'name a place of the zone, such as America/New_York' });
}

/** Actions that somebody may do. */
interface Doable {
  readonly who: string;
  readonly patterns: readonly string[];
  readonly selects: (action: string) => boolean;
}

/** The scope of each agent, and what each permission adds to scopes. */
function whatMayBeDone(charter: Mapping): readonly Doable[] {
  const doable = (who: string, actions: unknown): Doable => {
    const patterns = textsOf(actions);
    const globs = patterns.map(compileGlob);
    return { who, patterns, selects: (action) => globs.some((glob) => glob(action)) };
  };
  const scopes = Object.entries(mappingOf(charter['agents'])).map(([id, agent]) =>
    doable(`the scope of ${id}`, mappingOf(mappingOf(agent)['scope'])['actions']),
  );
  const added = Object.entries(mappingOf(charter['permissions'])).map(([name, permission]) =>
    doable(`what ${name} adds to a scope`, mappingOf(mappingOf(permission)['extends_scope'])['actions']),
  );
  return [...scopes, ...added];
}

/** Longer names of an action that a rule about the action by itself does not speak of. */
const LONGER_NAMES = { never: ['rows'], actions: ['2', '_all'] } as const;

/** Forbidden verbs and limited actions that a scope takes under a longer name, which the rule does not speak of. */
function checkLongerNames(charter: Mapping, warn: Report): void {
  const mayBeDone = whatMayBeDone(charter);
  for (const [index, boundary] of listOf(charter['boundaries']).map(mappingOf).entries()) {
    const key = 'never' in boundary ? 'never' : 'actions';
    const patterns = textsOf(boundary[key]);
    const covers =
      key === 'never' ? patterns.map(compileVerbUse) : patterns.length === 0 ? [] : [compileVerbSelector(patterns)];
    for (const [at, pattern] of patterns.entries()) {
      if (hasWildcard(pattern)) continue;
      const longer = LONGER_NAMES[key].map((more) => pattern + more);
      const open = longer.find(
        (name) => !covers.some((is) => is(name)) && mayBeDone.some(({ selects }) => selects(name)),
      );
      if (open === undefined) continue;
      const who = mayBeDone.find(({ selects }) => selects(open))?.who ?? '';
      const message = `does not cover \`${open}\` or other longer names, which ${who} takes`;
      const hint = `write \`${pattern}*\`, too, or name the actions of the scope in full`;
      warn('REMIT_CHARTER_VERBS_NOT_COVERED', ['boundaries', index, key, at], message, { hint });
      break;
    }
  }
}

/** Words that destroy like those the charter forbids, that it does not forbid, and that some agent was made for. */
function checkDestructiveVerbs(charter: Mapping, warn: Report): void {
  const boundaries = listOf(charter['boundaries']).map(mappingOf);
  const forbidden = boundaries.flatMap(({ never }) => textsOf(never)).map(compileVerbUse);
  const first = boundaries.findIndex(({ never }) =>
    textsOf(never)
      .map(compileVerbUse)
      .some((uses) => DESTRUCTIVE_VERBS.some(uses)),
  );
  if (first === -1) return;
  const open = DESTRUCTIVE_VERBS.filter((verb) => !forbidden.some((uses) => uses(verb)));
  for (const { who, patterns, selects } of whatMayBeDone(charter)) {
    // A word of a compound action is forbidden by any form of it, and by a glob over the whole.
    const uncovered = patterns.filter((action) => !forbidden.some((uses) => uses(action)));
    const meant = open.filter((verb) => selects(verb) || uncovered.some(compileVerbUse(verb)));
    if (meant.length === 0) continue;
    const message = `does not cover ${meant.map((verb) => `\`${verb}\``).join(', ')}, which ${who} takes`;
    const hint = 'list them too, or narrow the scope';
    warn('REMIT_CHARTER_VERBS_NOT_COVERED', ['boundaries', first, 'never'], message, { hint });
    return;
  }
}

function checkSystems(systems: Mapping, declared: Declared, report: Report, warn: Report): void {
  const folded = new Map<string, string>();
  for (const [name, entry] of Object.entries(systems)) {
    const path = ['systems', name];
    const alike = folded.get(foldName(name));
    if (alike !== undefined) {
      const message = `\`${name}\` and \`${alike}\` are one system to whatever restricts, because spelling hides nothing from it`;
      report('REMIT_CHARTER_DUPLICATE_ID', path, message, { at: 'key' });
    }
    folded.set(foldName(name), name);
    const { classification, integration, environment } = mappingOf(entry);
    if (typeof classification === 'string') {
      expectName('classification', classification, declared.classifications, [...path, 'classification'], report);
    }
    if (typeof integration === 'string') {
      expectName('integration', integration, declared.integrations, [...path, 'integration'], report);
    }
    if (typeof environment !== 'string') continue;
    if (environment === 'prod' || nearestName(environment, ['production']) !== undefined) {
      warn(
        'REMIT_CHARTER_NEAR_MISS',
        [...path, 'environment'],
        `\`${environment}\` is not \`production\` to any rule`,
        {
          hint: 'did you mean `production`?',
        },
      );
    }
  }
}

function checkAgents(agents: Mapping, declared: Declared, report: Report, warn: Report): void {
  for (const [id, entry] of Object.entries(agents)) {
    const path = ['agents', id];
    const agent = mappingOf(entry);
    expectSystems(mappingOf(agent['scope'])['systems'], declared, [...path, 'scope', 'systems'], report);
    for (const [index, name] of listOf(agent['integrations']).entries()) {
      if (typeof name !== 'string') continue;
      expectName('integration', name, declared.integrations, [...path, 'integrations', index], report);
    }
    for (const [index, name] of listOf(agent['permissions']).entries()) {
      if (typeof name !== 'string' || declared.permissions.includes(name)) continue;
      const near = nearestName(name, declared.permissions);
      if (near === undefined) continue;
      const message = `no permission \`${name}\` is declared, so it satisfies no rule`;
      warn('REMIT_CHARTER_NEAR_MISS', [...path, 'permissions', index], message, { hint: `did you mean \`${near}\`?` });
    }
  }
}

function checkPermissions(permissions: Mapping, declared: Declared, report: Report, warn: Report): void {
  for (const [name, entry] of Object.entries(permissions)) {
    const needed = mappingOf(mappingOf(entry)['required_for']);
    const at = ['permissions', name, 'required_for'];
    expectAgents(needed['agents'], declared, [...at, 'agents'], report, warn);
    expectActions(needed['actions'], needed['agents'], declared, [...at, 'actions'], warn);
    for (const selection of ['required_for', 'extends_scope']) {
      const path = ['permissions', name, selection, 'systems'];
      expectSystems(mappingOf(mappingOf(entry)[selection])['systems'], declared, path, report);
    }
  }
}

function reportExpression(
  reading: ExpressionReading | undefined,
  path: CharterPath,
  report: Report,
  warn: Report,
): void {
  const placeOf = (offset: number): string => (offset === 0 ? '' : ` (character ${offset + 1} of the expression)`);
  if (reading?.ok === true) {
    for (const { code, message, offset, hint } of reading.doubts) {
      warn(code, path, message + placeOf(offset), { hint });
    }
  }
  if (reading?.ok !== false) return;
  for (const { code, message, offset, hint } of reading.problems) {
    report(code, path, message + placeOf(offset), { hint });
  }
}

/**
 * A grant that names values lifts those; one that names none lifts the whole policy. Where the policy looks at values, a
 * permission should demand that its grants name some.
 */
function warnOfLifting(
  permission: string,
  { places, target }: ExpressionReads,
  declared: Declared,
  path: CharterPath,
  warn: Report,
): void {
  if (!declared.permissions.includes(permission)) return;
  const bind = declared.bindings.get(permission) ?? [];
  if (bind.includes('action')) return;
  const namesValues = bind.some((one) => one === 'destination' || one.startsWith('parameters'));
  const open = [...(namesValues ? [] : places.keys()), ...(target && !bind.includes('target') ? ['target'] : [])];
  if (open.length === 0) return;
  const message = `a grant of \`${permission}\` that does not name the ${open.join(' and the ')} lifts this policy for every one`;
  warn('REMIT_CHARTER_LIFTS_MORE', path, message, {
    hint: `bind \`${permission}\`: write \`bind: [${open.join(', ')}]\` there, or \`bind: [action]\``,
  });
}

function checkPolicy(policy: unknown, path: CharterPath, declared: Declared, report: Report, warn: Report): void {
  const { violated_when: expression, objects_to: objections, scope, effect } = mappingOf(policy);
  const { unless_granted: permission } = mappingOf(policy);
  const reading = typeof expression === 'string' ? declared.expressions.read(expression) : undefined;
  reportExpression(reading, [...path, 'violated_when'], report, warn);
  for (const [place, values] of Object.entries(mappingOf(objections))) {
    if (typeof values !== 'string') continue;
    reportExpression(declared.expressions.read(values, 'list'), [...path, 'objects_to', place], report, warn);
  }
  if (isMapping(objections) && Object.keys(objections).length === 0) {
    report('REMIT_CHARTER_EMPTY', [...path, 'objects_to'], 'objects to nothing: name a place, such as `destination`');
  }
  if (isMapping(scope)) {
    expectSystems(scope['systems'], declared, [...path, 'scope', 'systems'], report);
    expectAgents(scope['agents'], declared, [...path, 'scope', 'agents'], report, warn);
    expectActions(scope['actions'], scope['agents'], declared, [...path, 'scope', 'actions'], warn);
    if (Object.keys(scope).length === 0) {
      const message = 'selects nothing: give `actions`, `systems` or `agents`, or leave it out';
      report('REMIT_CHARTER_EMPTY', [...path, 'scope'], message);
    }
  }
  if (typeof permission === 'string') {
    expectName('permission', permission, declared.permissions, [...path, 'unless_granted'], report);
    if (effect === 'hold' && declared.permissions.includes(permission) && !declared.approved.includes(permission)) {
      const message = `holds the action, but nobody can approve \`${permission}\``;
      report('REMIT_CHARTER_NOBODY_APPROVES', [...path, 'unless_granted'], message, {
        hint: `give \`${permission}\` its \`approvals\`: how many people of which role`,
      });
    }
    if (reading?.ok === true) warnOfLifting(permission, reading.reads, declared, [...path, 'unless_granted'], warn);
    const places = new Map(Object.keys(mappingOf(objections)).map((place) => [place as Place, []]));
    const objected = { places, oneDestination: false, target: false };
    warnOfLifting(permission, objected, declared, [...path, 'unless_granted'], warn);
  } else if (effect === 'hold') {
    const message = 'holds the action, but nothing says who may release it';
    report('REMIT_CHARTER_NOBODY_APPROVES', [...path, 'effect'], message, {
      hint: 'name a permission in `unless_granted`; its `approvals` say who approves',
    });
  }
}

interface RuleIds {
  readonly boundaries: ReadonlySet<string>;
  readonly policies: ReadonlySet<string>;
}

function checkRuleIds(charter: Mapping, report: Report): RuleIds {
  const reserved: readonly string[] = [...IMMUTABLE_RULES, ...ROLLED_OUT_RULES, ...severitySchema.options];
  const firstUse = new Map<string, string>();
  const idsOf = (section: 'boundaries' | 'policies'): ReadonlySet<string> => {
    const ids = new Set<string>();
    for (const [index, rule] of listOf(charter[section]).entries()) {
      const id = mappingOf(rule)['id'];
      if (typeof id !== 'string') continue;
      const path = [section, index, 'id'];
      const before = firstUse.get(id);
      if (reserved.includes(id)) {
        report('REMIT_CHARTER_DUPLICATE_ID', path, `\`${id}\` is the name of a rule that comes with Remit`);
      } else if (before !== undefined) {
        report('REMIT_CHARTER_DUPLICATE_ID', path, `\`${id}\` is already the id of ${before}`);
      }
      firstUse.set(id, before ?? `${section}[${index}]`);
      ids.add(id);
    }
    return ids;
  };
  return { boundaries: idsOf('boundaries'), policies: idsOf('policies') };
}

function checkRollout(rollout: Mapping, ids: RuleIds, declared: Declared, report: Report): void {
  const known = [
    ...severitySchema.options,
    ...ids.policies,
    ...ROLLED_OUT_RULES,
    ...declared.permissions.map(requiredPermissionRule),
  ];
  for (const [key, value] of Object.entries(rollout)) {
    const path = ['rollout', key];
    if (ids.boundaries.has(key) || (IMMUTABLE_RULES as readonly string[]).includes(key)) {
      const message = `\`${key}\` always applies: it can be neither shadowed, sampled nor switched off`;
      report('REMIT_CHARTER_IMMUTABLE_RULE', path, message, { at: 'key' });
      continue;
    }
    if (!known.includes(key)) {
      report('REMIT_CHARTER_UNDECLARED_NAME', path, `there is no rule or severity \`${key}\` in this charter`, {
        hint: hintFor(key, known, 'known'),
        at: 'key',
      });
    }
    if (!isMapping(value)) {
      reportShape(rolloutModeSchema, value, path, report);
      continue;
    }
    reportShape(rolloutShareSchema, value, path, report);
    const { percent } = value;
    if (typeof percent === 'number' && percent >= 0 && percent < 100) {
      const message = `${percent} percent is well formed, but a share below 100 is not supported by this version`;
      report('REMIT_CHARTER_PERCENT_NOT_YET', [...path, 'percent'], message, {
        hint: 'use mode shadow until the rule may apply to every agent',
      });
    }
  }
}

/**
 * Reports what a schema cannot see: names nobody declared, ids used twice, rules that can never apply. Works on a
 * document whose shape may be wrong in places, so that a person gets every problem at once.
 */
export function reportMeaning(document: unknown, report: Report, warn: Report): void {
  const charter = mappingOf(document);
  const declared = declaredBy(charter);
  reportDuplicates(declared.classifications, ['classifications'], report);
  reportDuplicates(declared.integrations, ['integrations'], report);
  checkSystems(mappingOf(charter['systems']), declared, report, warn);
  for (const [index, boundary] of listOf(charter['boundaries']).entries()) {
    checkBoundary(boundary, ['boundaries', index], declared, report, warn);
  }
  checkOffset(charter['timezone'], ['timezone'], warn);
  checkDestructiveVerbs(charter, warn);
  checkLongerNames(charter, warn);
  checkAgents(mappingOf(charter['agents']), declared, report, warn);
  checkPermissions(mappingOf(charter['permissions']), declared, report, warn);
  for (const [index, policy] of listOf(charter['policies']).entries()) {
    checkPolicy(policy, ['policies', index], declared, report, warn);
  }
  checkRollout(mappingOf(charter['rollout']), checkRuleIds(charter, report), declared, report);
}
