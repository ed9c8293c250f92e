import { z } from 'zod';
import { agentIdSchema, chainIdOf, destinationsOf, type Intent, type JsonValue } from '../intent/intent.js';
import { parameterOf, type Place } from '../matching/action-places.js';
import { compileAllowedTexts } from '../matching/allowed-texts.js';
import { boundedMemo } from '../matching/bounded-memo.js';
import { foldName } from '../matching/folding.js';
import { parameterAt } from '../matching/parameter-path.js';
import { plainTextSchema, roleSchema } from '../record/plain-text.js';
import { digestSchema } from './permission-fields.js';
import {
  expectedAndGot,
  keepsConstraint,
  namesEverything,
  problemOfConstraint,
  valueConstraintSchema,
  type ListLookUp,
  type ValueConstraint,
} from './value-constraints.js';

/** So many parameters one grant may name. */
export const MAX_NAMED_PARAMETERS = 32;

/**
 * What binds a grant. Every constraint given must hold. A grant that is spelt otherwise than the action authorises
 * nothing, except where letter case means nothing: in hosts and mail addresses.
 */
export const constraintsSchema = z.strictObject({
  destination: valueConstraintSchema
    .optional()
    .describe('Where it may go. Of several destinations, all must be named.'),
  target: plainTextSchema(256)
    .optional()
    .describe('The system acted on; `*` stands for one or more characters of one part of its name.'),
  parameters: z
    .record(
      plainTextSchema(256).regex(
        /^[^.\s]+(\.[^.\s]+)*$/,
        'must be the dotted path of a parameter, such as payment.amount',
      ),
      valueConstraintSchema,
    )
    .refine((parameters) => Object.keys(parameters).length <= MAX_NAMED_PARAMETERS, {
      error: `names more than ${MAX_NAMED_PARAMETERS} parameters`,
    })
    .optional()
    .describe('By dotted path: the value it may have. Of a list, every item must be named.'),
  chainId: plainTextSchema(256).optional().describe('Only intents of this chain.'),
  provenFrom: agentIdSchema
    .optional()
    .describe('Only where the cause is proven, and the proven causes lead back to an intent of this other agent.'),
  actionDigest: digestSchema.optional().describe('Only this exact action.'),
  charterDigest: digestSchema.optional().describe('Only while this charter is in force.'),
});
export type Constraints = z.infer<typeof constraintsSchema>;

/** The action an approval is about, told so that people and timers can find it again. */
export const heldIntentSchema = z.strictObject({
  intentId: z.uuidv7(),
  decisionId: digestSchema.describe('The decision that held it.'),
  actionDigest: digestSchema,
  intentDigest: digestSchema
    .optional()
    .describe('SHA-256 over the whole intent: nothing else is judged again in its place. Left out: nothing at all is.'),
  chainId: plainTextSchema(256),
  source: z
    .strictObject({ topic: z.string(), partition: z.int().min(0), offset: z.int().min(0) })
    .describe('Where the intent lies, parameters and all.'),
  rules: z.array(z.string()).optional().describe('Every rule that held it.'),
  action: z.strictObject({
    type: z.string(),
    target: z.string(),
    destination: z.string().optional(),
    destinations: z.array(z.string()).optional(),
  }),
});
export type HeldIntent = z.infer<typeof heldIntentSchema>;

/** Whose approval a permission needs: `count` different people, each with the role. */
export const approvalsSchema = z.strictObject({
  count: z.int().min(1).max(16),
  role: roleSchema,
  shared: z.literal(true).optional().describe('Whoever approves another need of the same request counts here as well.'),
});
export type Approvals = z.infer<typeof approvalsSchema>;

export type ConstraintName = keyof Constraints;

/** The first constraint that an intent does not keep, told without a value of the action. */
export interface BrokenConstraint {
  readonly constraint: ConstraintName;
  /** Of `parameters`: the dotted path. */
  readonly parameter?: string;
  /** Of a value: the kind of it that the grant names … */
  readonly expected?: string;
  /** … and the kind that there was. */
  readonly got?: string;
}

const REMEMBERED_TARGETS = 256;

const targets = boundedMemo(REMEMBERED_TARGETS, (wanted: string) => compileAllowedTexts([wanted]));

/** What a grant is held against. */
export interface ConstraintSubject {
  readonly intent: Intent;
  readonly actionDigest: string;
  /** Of the charter the intent is judged by. */
  readonly charterDigest: string | null;
  /** Whether a text is an entry of a list of that charter; left out: it has no lists. */
  readonly inList?: ListLookUp | undefined;
  /** The agent to whose intent the proven causes lead back; left out: the cause is not proven, or there is none. */
  readonly provenFrom?: string | undefined;
}

/**
 * The first constraint the intent does not keep; `undefined` when it keeps all. At the places in `objected` a value only
 * has to be there: what it may be is asked value by value.
 */
export function brokenConstraint(
  constraints: Constraints,
  subject: ConstraintSubject,
  objected: readonly Place[] = [],
): BrokenConstraint | undefined {
  const { intent, actionDigest, charterDigest, inList } = subject;
  const { action } = intent;
  const { destination, target, parameters, chainId, provenFrom } = constraints;
  if (constraints.actionDigest !== undefined && constraints.actionDigest !== actionDigest) {
    return { constraint: 'actionDigest' };
  }
  if (constraints.charterDigest !== undefined && constraints.charterDigest !== charterDigest) {
    return { constraint: 'charterDigest' };
  }
  if (chainId !== undefined && chainId !== chainIdOf(intent)) return { constraint: 'chainId' };
  // where the agent has begun itself, everything rests on its own word
  if (provenFrom !== undefined && (provenFrom !== subject.provenFrom || provenFrom === intent.agentId)) {
    return { constraint: 'provenFrom' };
  }
  if (target !== undefined && !targets(target)(action.target)) return { constraint: 'target' };
  if (destination !== undefined) {
    const all = destinationsOf(action);
    const going = all.length > 1 ? all : all[0];
    const isKept = objected.includes('destination') ? all.length > 0 : keepsConstraint(destination, going, inList);
    if (!isKept) {
      return { constraint: 'destination', ...expectedAndGot(destination, going, inList) };
    }
  }
  for (const [path, wanted] of Object.entries(parameters ?? {})) {
    const value = parameterAt(action.parameters, path.split('.'));
    const isObjected = objected.includes(`parameters.${path}`);
    if (isObjected ? isThere(value) : keepsConstraint(wanted, value, inList)) continue;
    return { constraint: 'parameters', parameter: path, ...expectedAndGot(wanted, value, inList) };
  }
  return undefined;
}

function isThere(value: JsonValue | undefined): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined;
}

/** What constraints name at a place; undefined where they name nothing there. */
export function constraintAt({ destination, parameters }: Constraints, place: Place): ValueConstraint | undefined {
  if (place === 'destination') return destination;
  const path = parameterOf(place);
  return path !== undefined && parameters !== undefined && Object.hasOwn(parameters, path)
    ? parameters[path]
    : undefined;
}

/** Whether constraints name no value: neither a destination nor a parameter. */
export function namesNoValue({ destination, parameters }: Constraints): boolean {
  return destination === undefined && parameters === undefined;
}

/** A broken constraint as a person reads it. */
export function brokenInWords({ constraint, parameter, expected, got }: BrokenConstraint): string {
  const what = parameter === undefined ? constraint : `parameter ${parameter}`;
  return expected === undefined ? what : `${what}: expected ${expected}, got ${got ?? 'nothing'}`;
}

/** What a charter may demand that every grant of a permission is bound to. */
export type Binding = 'action' | 'target' | 'destination' | 'parameters' | `parameters.${string}` | 'chain';

const CONSTRAINT_OF_BINDING: Record<Exclude<Binding, `parameters.${string}`>, ConstraintName> = {
  action: 'actionDigest',
  target: 'target',
  destination: 'destination',
  parameters: 'parameters',
  chain: 'chainId',
};

function isParameter(binding: Binding): binding is `parameters.${string}` {
  return binding.startsWith('parameters.');
}

/** The bindings the constraints leave open. */
export function openBindings(bindings: readonly Binding[], constraints: Constraints): Binding[] {
  return bindings.filter((binding) => {
    // One exact action is bound in all its parts.
    if (constraints.actionDigest !== undefined && binding !== 'chain') return false;
    if (isParameter(binding)) return constraintAt(constraints, binding) === undefined;
    return constraints[CONSTRAINT_OF_BINDING[binding]] === undefined;
  });
}

/** Every value that constraints name, with the place it is named for. */
function namedPlaces({ destination, parameters }: Constraints): [place: string, constraint: ValueConstraint][] {
  const named = Object.entries(parameters ?? {}).map(([path, constraint]): [string, ValueConstraint] => [
    `parameter ${path}`,
    constraint,
  ]);
  return destination === undefined ? named : [['destination', destination], ...named];
}

/** Whether constraints are given that bind nothing: none at all, no parameter, or a glob that matches everything. */
export function namesNothing(constraints: Constraints): boolean {
  const given = Object.values(constraints).filter((constraint) => constraint !== undefined);
  const { target, parameters } = constraints;
  return (
    given.length === 0 ||
    (parameters !== undefined && Object.keys(parameters).length === 0) ||
    (target !== undefined && /^\*+$/.test(target)) ||
    namedPlaces(constraints).some(([, constraint]) => namesEverything(constraint))
  );
}

const NO_LISTS: ReadonlySet<string> = new Set();

/** Why constraints can never be kept under a charter with these lists, in words for who wrote them; undefined: they can. */
export function problemOfConstraints(
  constraints: Constraints,
  lists: ReadonlySet<string> = NO_LISTS,
): string | undefined {
  for (const [place, constraint] of namedPlaces(constraints)) {
    const problem = problemOfConstraint(constraint, lists);
    if (problem !== undefined) return `${place}: ${problem}`;
  }
  return undefined;
}

/**
 * Whether two names mean one person: `Ann@Example.com ` is `ann@example.com`, with invisible characters or without, because
 * the doubt must not help anyone.
 */
export function samePerson(one: string, other: string): boolean {
  return foldName(one) === foldName(other);
}
