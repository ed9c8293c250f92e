import { z } from 'zod';
import { agentIdSchema } from '../intent/intent.js';
import { severitySchema } from '../decision/decision.js';
import { reasonSchema } from '../record/plain-text.js';
import {
  DURATION_PATTERN,
  HOURS_PATTERN,
  durationMs,
  hoursOf,
  isTimeZone,
  weekdaysOf,
  ZONE_SHAPE,
  zoneHint,
} from './time-notation.js';

const DEFAULT_CLASSIFICATIONS = ['public', 'internal', 'confidential', 'restricted'];

/** Rule ids share one namespace over boundaries and policies, because rollout and search name rules by id. */
const ruleIdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must be 1-64 lower-case letters, digits or hyphens, such as payment-limit');

const nameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$/, 'must be 1-128 letters, digits or . _ : @ / -');

/** Names that expressions use, such as `lists.approvedDestinations`. */
const identifierSchema = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, 'must be 1-64 letters, digits or _, and start with a letter');

const patternSchema = z.string().min(1, 'must not be empty').max(256);

/** A list of names or globs that must select something. */
const patternsSchema = z.array(patternSchema).min(1);

function refined(code: string) {
  return { params: { code } };
}

export const durationSchema = z
  .string('must be a duration with its unit, such as 30s, 15m or 1h')
  .refine((text) => durationMs(text) !== undefined, {
    error: 'must be a duration: a whole number and ms, s, m, h or d, such as 30s, 15m or 1h',
    ...refined('REMIT_CHARTER_DURATION'),
  })
  .meta({ pattern: DURATION_PATTERN.source });

const timeZoneSchema = z.string().check((zone) => {
  if (isTimeZone(zone.value)) return;
  const params = { code: 'REMIT_CHARTER_TIME_ZONE', hint: zoneHint(zone.value) };
  zone.issues.push({ code: 'custom', message: ZONE_SHAPE, input: zone.value, params });
});

const agentsSelectorSchema = patternsSchema.describe('Ids or globs of the agents it applies to; else all.').optional();

const boundaryFields = { id: ruleIdSchema, agents: agentsSelectorSchema };

export const classificationBoundarySchema = z
  .strictObject({ ...boundaryFields, max: z.string() })
  .describe('Data classified above `max` may not be touched.');

export const noWriteDownBoundarySchema = z
  .strictObject({ ...boundaryFields, no_write_down: z.literal(true) })
  .describe('Data may not go to a system of lower classification.');

export const systemAccessBoundarySchema = z
  .strictObject({ ...boundaryFields, systems: patternsSchema })
  .describe('No other system may be touched.');

export const destinationsBoundarySchema = z
  .strictObject({ ...boundaryFields, destinations: patternsSchema })
  .describe('Data may go nowhere else: names, or globs of one part, case-sensitive.');

export const actionRestrictionBoundarySchema = z
  .strictObject({ ...boundaryFields, never: patternsSchema })
  .describe('Verbs that may never be used: a word of the action type, or a glob over all of it.');

export const timeWindowBoundarySchema = z
  .strictObject({
    ...boundaryFields,
    hours: z
      .string()
      .refine((text) => hoursOf(text) !== undefined, {
        error: 'must be hours such as "09:00-17:00" or, past midnight, "22:00-06:00"',
        ...refined('REMIT_CHARTER_HOURS'),
      })
      .meta({ pattern: HOURS_PATTERN.source }),
    days: z
      .union([z.string(), z.array(z.string()).min(1)], 'must be days such as mon-fri or [mon, wed]')
      .refine((days) => weekdaysOf(days) !== undefined, {
        error: 'must be days such as mon-fri or [mon, wed], out of mon tue wed thu fri sat sun',
        ...refined('REMIT_CHARTER_DAYS'),
      })
      .optional(),
    timezone: timeZoneSchema,
  })
  .describe('Nothing may be done outside these local hours. A window past midnight belongs to the day it starts.');

export const numericLimitBoundarySchema = z
  .strictObject({
    ...boundaryFields,
    actions: patternsSchema,
    parameter: z
      .string()
      .regex(/^[^.\s]+(\.[^.\s]+)*$/, 'must be the dotted path of a parameter, such as amount or payment.amount'),
    max: z.number().optional(),
    min: z.number().optional(),
  })
  .refine((limit) => limit.max !== undefined || limit.min !== undefined, {
    error: 'needs `max`, `min` or both',
    ...refined('REMIT_CHARTER_MISSING_FIELD'),
  })
  .meta({ anyOf: [{ required: ['max'] }, { required: ['min'] }] })
  .describe('A parameter of these actions must be a number within the limits.');

/** The kinds of boundary, each with the key that says which it is. */
export const BOUNDARY_KINDS = {
  'system access': { key: 'systems', schema: systemAccessBoundarySchema },
  destinations: { key: 'destinations', schema: destinationsBoundarySchema },
  'action restriction': { key: 'never', schema: actionRestrictionBoundarySchema },
  'time window': { key: 'hours', schema: timeWindowBoundarySchema },
  'numeric limit': { key: 'parameter', schema: numericLimitBoundarySchema },
  'no write-down': { key: 'no_write_down', schema: noWriteDownBoundarySchema },
  'data classification': { key: 'max', schema: classificationBoundarySchema },
} as const;

export const boundarySchema = z.union([
  systemAccessBoundarySchema,
  destinationsBoundarySchema,
  actionRestrictionBoundarySchema,
  timeWindowBoundarySchema,
  numericLimitBoundarySchema,
  noWriteDownBoundarySchema,
  classificationBoundarySchema,
]);
export type Boundary = z.infer<typeof boundarySchema>;

export const systemSchema = z.strictObject({
  classification: z.string().describe('The strictest data it holds, one of `classifications`.'),
  environment: z.string().min(1).max(64).optional().describe('Such as production.'),
  integration: z.string().optional().describe('The third-party integration it is reached through.'),
});

export const agentSchema = z.strictObject({
  owner: z.string().min(1).max(256).optional().describe('Who answers for it.'),
  purpose: z.string().min(1).max(1024).optional(),
  scope: z
    .strictObject({ actions: patternsSchema, systems: patternsSchema })
    .describe('What it was made for, as globs over action types and systems, case-sensitive.'),
  permissions: z.array(nameSchema).optional().describe('Standing permissions.'),
  integrations: z
    .array(nameSchema)
    .optional()
    .describe('The only integrations it may use; else all that are approved.'),
  off_hours: z
    .literal('permitted', 'must be permitted, or left out')
    .optional()
    .describe('It may work outside business hours when its action says that it does (`allowOffHours`).'),
});

/** The longest a decision may be acted on. Views keep what was in force for a little longer than that. */
export const MAX_DECISION_TTL_MS = 10 * 60 * 1000;

const LONGEST_HOLD_MS = 7 * 24 * 60 * 60 * 1000;

const selectionSchema = z
  .strictObject({ actions: patternsSchema.optional(), systems: patternsSchema.optional() })
  .refine((selection) => selection.actions !== undefined || selection.systems !== undefined, {
    error: 'selects nothing: give `actions`, `systems` or both',
    ...refined('REMIT_CHARTER_EMPTY'),
  })
  .meta({ anyOf: [{ required: ['actions'] }, { required: ['systems'] }] });

const bindingSchema = z.union(
  [
    z.enum(['action', 'target', 'destination', 'parameters', 'chain']),
    z.templateLiteral(['parameters.', z.string().regex(/[^.\s]+(\.[^.\s]+)*/)]),
  ],
  'must be action, target, destination, parameters, parameters.NAME or chain',
);

const requiredForSchema = z
  .strictObject({
    actions: patternsSchema.optional(),
    systems: patternsSchema.optional(),
    agents: agentsSelectorSchema,
  })
  .refine(({ actions, systems, agents }) => actions !== undefined || systems !== undefined || agents !== undefined, {
    error: 'selects nothing: give `actions`, `systems`, `agents` or several of them',
    ...refined('REMIT_CHARTER_EMPTY'),
  });

export const permissionSchema = z.strictObject({
  required_for: requiredForSchema.optional().describe('What an agent may do only while it holds it.'),
  extends_scope: selectionSchema
    .optional()
    .describe(
      'What a grant of it lets an agent do beyond its intended scope: these actions on these systems. Without `actions`, those of its scope; without `systems`, on those of its scope. A standing permission adds nothing.',
    ),
  max_duration: durationSchema.optional().describe('The longest a grant may last.'),
  bind: z.array(bindingSchema).min(1).optional().describe('What every grant of it must be bound to.'),
  approvals: z
    .strictObject({
      count: z.int().min(1).max(16),
      role: nameSchema,
      shared: z
        .literal(true, 'must be true, or left out')
        .optional()
        .describe('Whoever approves another permission of the same request counts here as well.'),
    })
    .optional()
    .describe(
      'Who has to approve it: so many different people of this role, who count for nothing else of the request.',
    ),
  hold_for: durationSchema
    .refine((text) => (durationMs(text) ?? 0) <= LONGEST_HOLD_MS, {
      error: 'must be at most 7d: after that the held action can no longer be read',
      ...refined('REMIT_CHARTER_DURATION'),
    })
    .optional()
    .describe('How long an action may be held for it; 1h when left out.'),
});

export const breakGlassTermsSchema = z
  .strictObject({ role: nameSchema, max_duration: durationSchema })
  .describe('Who may grant past the approvals, and for how long at most. Left out: nobody.');

const PLACE = /^(destination|parameters\.[^.\s]+(\.[^.\s]+)*)$/;

const expressionSchema = z.string().max(4096);

const policyFieldsSchema = z.strictObject({
  id: ruleIdSchema,
  severity: severitySchema,
  scope: z
    .strictObject({
      actions: patternsSchema.optional(),
      systems: patternsSchema.optional(),
      agents: patternsSchema.optional(),
    })
    .optional(),
  violated_when: expressionSchema.optional().describe('A CEL expression over action, context and lists: a condition.'),
  objects_to: z
    .record(
      z.string().regex(PLACE, 'must be destination or the dotted path of a parameter, such as parameters.recipients'),
      expressionSchema,
    )
    .optional()
    .describe(
      'Instead of a condition: by place, a CEL expression that yields a list of the values there it objects to. Grants ' +
        'of `unless_granted` lift exactly the values they name.',
    ),
  effect: z.enum(['deny', 'hold']),
  unless_granted: z.string().optional().describe('A permission that lifts it.'),
  reason: reasonSchema,
});

/** Refuses neither and both of `violated_when` and `objects_to`. */
export const policySchema = policyFieldsSchema
  .refine(
    ({ violated_when: condition, objects_to: objections }) => (condition === undefined) !== (objections === undefined),
    { error: 'needs `violated_when` or `objects_to`, one of the two', ...refined('REMIT_CHARTER_MISSING_FIELD') },
  )
  .meta({ oneOf: [{ required: ['violated_when'] }, { required: ['objects_to'] }] });

export const rolloutModeSchema = z.enum(['off', 'shadow', 'enforce']);
export type RolloutMode = z.infer<typeof rolloutModeSchema>;

export const rolloutShareSchema = z.strictObject({
  mode: rolloutModeSchema,
  percent: z.int('must be a whole number from 0 to 100').min(0).max(100).optional(),
  by: z.literal('agent', 'must be agent').optional(),
});

export const stageSchema = z.enum(['observe', 'enforce']);
export type Stage = z.infer<typeof stageSchema>;

/** The one governing document, as a person writes it. */
export const charterDocumentSchema = z.strictObject({
  charter: nameSchema.describe('Its name.'),
  stage: stageSchema.describe('observe: judge everything, block nothing.'),
  decision_ttl: durationSchema
    .refine((text) => (durationMs(text) ?? 0) <= MAX_DECISION_TTL_MS, {
      error: 'must be at most 10m: an action that waits longer is judged anew',
      ...refined('REMIT_CHARTER_DURATION'),
    })
    .optional()
    .describe('How long a decision may be acted on, at most 10m; 30s when left out.'),
  classifications: z
    .array(nameSchema)
    .min(1)
    .default(DEFAULT_CLASSIFICATIONS)
    .describe('From the mildest to the strictest.'),
  timezone: timeZoneSchema.default('UTC').describe('Whose clock `context.localHour` and the like show.'),
  lists: z.record(identifierSchema, z.array(patternSchema)).default({}),
  systems: z.record(nameSchema, systemSchema),
  integrations: z.array(nameSchema).default([]).describe('Third-party integrations approved for anyone.'),
  boundaries: z.array(boundarySchema).default([]),
  agents: z.record(agentIdSchema, agentSchema),
  permissions: z.record(nameSchema, permissionSchema).default({}),
  break_glass: breakGlassTermsSchema.optional(),
  policies: z.array(policySchema).default([]),
  rollout: z.record(z.string(), z.union([rolloutModeSchema, rolloutShareSchema])).default({}),
});
export type CharterDocument = z.infer<typeof charterDocumentSchema>;
