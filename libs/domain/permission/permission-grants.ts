import { z } from 'zod';
import { chainIdOf, type Intent, type JsonValue } from '../intent/intent.js';
import { compileGlob } from '../matching/glob.js';
import { parameterAt } from '../matching/parameter-path.js';
import { digestSchema } from './permission-fields.js';

const globSchema = z.string().min(1).max(1024);

/**
 * What binds a grant. Every constraint given must hold. All comparisons are case-sensitive: a grant that is spelt
 * otherwise than the action authorises nothing. In a glob `*` stands for any run of characters.
 */
export const constraintsSchema = z.strictObject({
  destination: globSchema.optional().describe('A glob over the action’s destination.'),
  target: globSchema.optional().describe('A glob over the action’s target.'),
  parameters: z
    .record(
      z.string().regex(/^[^.\s]+(\.[^.\s]+)*$/, 'must be the dotted path of a parameter, such as payment.amount'),
      z.union([z.string().max(1024), z.number(), z.boolean()]),
    )
    .optional()
    .describe('By dotted path: a glob over a text, or the exact number or boolean. Of a list, every item must match.'),
  chainId: z.string().min(1).max(256).optional().describe('Only intents of this chain.'),
  actionDigest: digestSchema.optional().describe('Only this exact action.'),
  charterDigest: digestSchema.optional().describe('Only while this charter is in force.'),
});
export type Constraints = z.infer<typeof constraintsSchema>;

/** The action an approval is about, told so that people and timers can find it again. */
export const heldIntentSchema = z.strictObject({
  intentId: z.uuidv7(),
  decisionId: digestSchema.describe('The decision that held it.'),
  actionDigest: digestSchema,
  chainId: z.string().min(1).max(256),
  source: z
    .strictObject({ topic: z.string(), partition: z.int().min(0), offset: z.int().min(0) })
    .describe('Where the intent lies, parameters and all.'),
  action: z.strictObject({ type: z.string(), target: z.string(), destination: z.string().optional() }),
});
export type HeldIntent = z.infer<typeof heldIntentSchema>;

/** Whose approval a permission needs: `count` different people, each with the role. */
export const approvalsSchema = z.strictObject({ count: z.int().min(1).max(16), role: z.string().min(1).max(128) });
export type Approvals = z.infer<typeof approvalsSchema>;

function parameterMatches(value: JsonValue | undefined, wanted: string | number | boolean): boolean {
  if (Array.isArray(value)) return value.length > 0 && value.every((item) => parameterMatches(item, wanted));
  if (typeof wanted === 'string') return typeof value === 'string' && compileGlob(wanted)(value);
  return value === wanted;
}

export type ConstraintName = keyof Constraints;

/** The first constraint the intent does not keep; `undefined` when it keeps all. */
export function brokenConstraint(
  constraints: Constraints,
  intent: Intent,
  actionDigest: string,
  charterDigest: string | null,
): ConstraintName | undefined {
  const { action } = intent;
  const { destination, target, parameters, chainId } = constraints;
  if (constraints.actionDigest !== undefined && constraints.actionDigest !== actionDigest) return 'actionDigest';
  if (constraints.charterDigest !== undefined && constraints.charterDigest !== charterDigest) return 'charterDigest';
  if (chainId !== undefined && chainId !== chainIdOf(intent)) return 'chainId';
  if (target !== undefined && !compileGlob(target)(action.target)) return 'target';
  if (destination !== undefined) {
    const going = action.destination;
    if (going === undefined || going === null || !compileGlob(destination)(going)) return 'destination';
  }
  for (const [path, wanted] of Object.entries(parameters ?? {})) {
    if (!parameterMatches(parameterAt(action.parameters, path.split('.')), wanted)) return 'parameters';
  }
  return undefined;
}

/** What a charter may demand that every grant of a permission is bound to. */
export type Binding = 'action' | 'target' | 'destination' | 'parameters' | 'chain';

const CONSTRAINT_OF_BINDING: Record<Binding, ConstraintName> = {
  action: 'actionDigest',
  target: 'target',
  destination: 'destination',
  parameters: 'parameters',
  chain: 'chainId',
};

/** What an exact action digest binds as well. */
const PARTS_OF_ACTION: readonly Binding[] = ['action', 'target', 'destination', 'parameters'];

/** The bindings the constraints leave open. */
export function openBindings(bindings: readonly Binding[], constraints: Constraints): Binding[] {
  return bindings.filter((binding) => {
    if (constraints.actionDigest !== undefined && PARTS_OF_ACTION.includes(binding)) return false;
    return constraints[CONSTRAINT_OF_BINDING[binding]] === undefined;
  });
}

/** Whether constraints are given that bind nothing: none at all, no parameter, or a glob that matches everything. */
export function namesNothing(constraints: Constraints): boolean {
  const given = Object.values(constraints).filter((constraint) => constraint !== undefined);
  const globs = [constraints.destination, constraints.target];
  return (
    given.length === 0 ||
    (constraints.parameters !== undefined && Object.keys(constraints.parameters).length === 0) ||
    globs.some((glob) => glob !== undefined && /^\*+$/.test(glob))
  );
}

/** Whether two names mean one person: `Ann@Example.com ` is `ann@example.com`, because the doubt must not help anyone. */
export function samePerson(one: string, other: string): boolean {
  return folded(one) === folded(other);
}

function folded(name: string): string {
  return name.normalize('NFKC').trim().toLowerCase();
}
