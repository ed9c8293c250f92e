import { z } from 'zod';
import { CLAIMS } from '../intent/claims.js';
import { agentIdSchema, causeSchema, intentSchema, triggerSchema } from '../intent/intent.js';
import { permissionIdSchema } from '../permission/permission-fields.js';

/** The four judges, in the order in which they judge. */
export const LAYERS = ['boundary', 'permission', 'verification', 'policy'] as const;
export const layerSchema = z.enum(LAYERS);
export type Layer = z.infer<typeof layerSchema>;

export const severitySchema = z.enum(['critical', 'non_critical']);
export type Severity = z.infer<typeof severitySchema>;

const digestSchema = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 digest in lower-case hex');
const timeSchema = z.iso.datetime({ precision: 3 }).describe('RFC 3339, UTC, milliseconds.');

/** What one rule says of one intent. */
export const findingSchema = z.strictObject({
  rule: z.string().min(1),
  effect: z.enum(['violation', 'needs-approval']),
  severity: severitySchema,
  reason: z.string(),
  enforced: z.boolean(),
  notEnforced: z
    .enum(['observe', 'shadow', 'outside-share'])
    .optional()
    .describe(
      'Why the finding does not count here: stage observe, rule in shadow, or agent outside the rollout share.',
    ),
  permission: z.string().optional().describe('The permission that would have satisfied the rule.'),
  claims: z
    .array(z.enum(CLAIMS))
    .min(1)
    .optional()
    .describe(
      'What the agent says of its own action and has broken the rule by; left out: the charter’s own word has.',
    ),
});
export type Finding = z.infer<typeof findingSchema>;

/** One layer's findings and the facts it used: enough to judge again from the record alone. */
export const verdictSchema = z.strictObject({
  layer: layerSchema,
  findings: z.array(findingSchema),
  passed: z.array(z.string()).describe('Ids of the rules that applied and were satisfied.'),
  facts: z.record(z.string(), z.unknown()),
});
export type Verdict = z.infer<typeof verdictSchema>;

/** Whether the cause of an intent is its agent's own word. */
export const stampedCauseSchema = z.strictObject({
  standing: z
    .enum(['proven', 'claimed'])
    .describe('proven: the intent carries a signed decision that allowed its cause in the same chain.'),
  from: agentIdSchema
    .optional()
    .describe('Of a proven cause: the agent to whose intent the proven causes lead back. That one is its own word.'),
});
export type StampedCause = z.infer<typeof stampedCauseSchema>;

/**
 * What the first layer fixes for all later ones: the intent is judged at this time, by exactly these views.
 * A position is the offset after the last event that counts.
 */
export const stampSchema = z.strictObject({
  judgedAt: timeSchema.describe("The intent's broker append time, as a running maximum over its partition."),
  source: z.strictObject({ topic: z.string(), partition: z.int().min(0), offset: z.int().min(0) }),
  charter: z.strictObject({ digest: digestSchema.nullable(), position: z.int().min(0) }),
  permissions: z.strictObject({ position: z.int().min(0) }),
  cause: stampedCauseSchema.optional().describe('Left out: the intent names no cause, and starts its chain itself.'),
  notKept: z.literal(true).optional().describe('What was in force then is no longer kept: the intent is denied.'),
});
export type Stamp = z.infer<typeof stampSchema>;

/** An intent that was held, after its approval has ended one way or another. */
export const secondRoundSchema = z.strictObject({
  requestId: permissionIdSchema.describe('The request for approval that its hold has opened.'),
});
export type SecondRound = z.infer<typeof secondRoundSchema>;

/** A held intent, appended once more by Remit itself, to be judged from the first layer on. */
export const resubmittedIntentSchema = z.strictObject({
  intent: intentSchema,
  round: z.literal(2),
  requestId: permissionIdSchema.describe('The request for approval that has ended.'),
});

/** An intent on its way through the layers, with the verdicts so far. */
export const judgedIntentSchema = z.strictObject({
  intent: intentSchema,
  actionDigest: digestSchema,
  stamp: stampSchema,
  verdicts: z.array(verdictSchema),
  secondRound: secondRoundSchema.optional().describe('Left out in the first round.'),
});
export type JudgedIntent = z.infer<typeof judgedIntentSchema>;

export const outcomeSchema = z.enum(['allow', 'deny', 'hold']);
export type Outcome = z.infer<typeof outcomeSchema>;

/** The fold of all verdicts. It carries the digest of the action, never its parameters. */
export const decisionSchema = z.strictObject({
  decisionId: digestSchema.describe('SHA-256 over agent, intent, action digest and round.'),
  intentId: z.uuidv7(),
  agentId: agentIdSchema,
  round: z.int().min(1),
  requestId: permissionIdSchema.optional().describe('The ended request for approval that led to the second round.'),
  chainId: z.string(),
  onBehalfOf: z.string().optional(),
  trigger: triggerSchema.optional().describe('Its type and id. The description stays with the intent.'),
  cause: causeSchema.optional(),
  action: z.strictObject({
    type: z.string(),
    target: z.string(),
    destination: z.string().optional(),
    destinations: z.array(z.string()).optional(),
    digest: digestSchema,
  }),
  outcome: outcomeSchema,
  intentDigest: digestSchema
    .optional()
    .describe('Of a hold: SHA-256 over the whole intent. Nothing but this intent is judged again once it is approved.'),
  wouldBe: outcomeSchema.describe('The outcome if every rule were enforced.'),
  stage: z.enum(['observe', 'enforce']),
  verdicts: z.array(verdictSchema),
  stamp: stampSchema,
  validUntil: timeSchema.describe('A decision appended later than this is void for every reader.'),
  engine: z.string().describe('Name and version of the engine that judged.'),
});
export type Decision = z.infer<typeof decisionSchema>;
