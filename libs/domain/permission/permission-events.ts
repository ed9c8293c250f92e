import { z } from 'zod';
import { agentIdSchema } from '../intent/intent.js';
import { personSchema, plainTextSchema, reasonSchema, roleSchema } from '../record/plain-text.js';
import { digestSchema, permissionIdSchema, permissionNameSchema, timeSchema } from './permission-fields.js';
import { MAX_NEEDS } from './permission-limits.js';
import { approvalsSchema, constraintsSchema, heldIntentSchema } from './permission-grants.js';

const fact = {
  agentId: agentIdSchema.describe('The stream; also the message key.'),
  version: z.int().min(1).describe("Position in the agent's stream, from 1, without gaps."),
  commandId: permissionIdSchema.describe('The command that led to it.'),
  at: timeSchema.describe("The command's broker append time."),
  by: personSchema.describe('The person, agent, layer or timer that ordered it.'),
  reason: reasonSchema,
};

const grantId = permissionIdSchema;
const requestId = permissionIdSchema;
const use = { grantId, intentId: z.uuidv7(), actionDigest: digestSchema };

/** From here on the agent may do nothing, until reinstated. */
export const agentSuspendedSchema = z.strictObject({ event: z.literal('AgentSuspended'), ...fact });
export const agentReinstatedSchema = z.strictObject({ event: z.literal('AgentReinstated'), ...fact });

/** Somebody asks. Nothing is lent yet. */
export const permissionRequestedSchema = z.strictObject({
  event: z.literal('PermissionRequested'),
  ...fact,
  requestId,
  needs: z
    .array(
      z.strictObject({
        permission: permissionNameSchema,
        approvals: approvalsSchema,
        rule: plainTextSchema(256).optional().describe('The rule that asked for it.'),
      }),
    )
    .min(1)
    .max(MAX_NEEDS)
    .describe('All must be met.'),
  durationMs: z.int().min(1).describe('How long the grants will last, from the last approval.'),
  uses: z
    .int()
    .min(1)
    .nullable()
    .describe('How often each grant may be used; null: within its time as often as needed.'),
  constraints: constraintsSchema,
  charterDigest: digestSchema.describe('The charter it was asked under.'),
  basis: digestSchema
    .optional()
    .describe(
      'Digest of what that charter says of the agent, rules, permissions and systems it rests on. Approvals count while ' +
        'the charter in force says the same; afterwards it is superseded. Left out: while that charter is in force.',
    ),
  onBehalfOf: personSchema.optional(),
  held: heldIntentSchema.optional().describe('The intent that waits for it.'),
  expiresAt: timeSchema.describe('The request expires then, by comparison; the event only records it.'),
});

export const permissionApprovalEnteredSchema = z.strictObject({
  event: z.literal('PermissionApprovalEntered'),
  ...fact,
  requestId,
  roles: z.array(roleSchema).max(64).describe('The roles the person had.'),
});
export const permissionRejectedSchema = z.strictObject({ event: z.literal('PermissionRejected'), ...fact, requestId });
export const permissionRequestExpiredSchema = z.strictObject({
  event: z.literal('PermissionRequestExpired'),
  ...fact,
  requestId,
});
export const permissionRequestCancelledSchema = z.strictObject({
  event: z.literal('PermissionRequestCancelled'),
  ...fact,
  requestId,
  limit: z
    .int()
    .min(1)
    .optional()
    .describe(
      'Nobody was asked: so many actions of the agent were held already. Left out: whoever asked took it back.',
    ),
});
export const permissionRequestSupersededSchema = z.strictObject({
  event: z.literal('PermissionRequestSuperseded'),
  ...fact,
  requestId,
  charterDigest: digestSchema.describe('The charter that is in force instead.'),
});

/** Authority is lent, from `at` until `expiresAt`. */
export const permissionGrantedSchema = z.strictObject({
  event: z.literal('PermissionGranted'),
  ...fact,
  grantId,
  permission: permissionNameSchema,
  constraints: constraintsSchema,
  uses: z.int().min(1).nullable(),
  expiresAt: timeSchema.describe(
    'It authorises what was judged before then, by comparison; the event only records it.',
  ),
  approvedBy: z.array(personSchema).min(1).max(256),
  charterDigest: digestSchema.describe('The charter it was granted under.'),
  requestId: requestId.optional(),
  breakGlass: z
    .literal(true)
    .optional()
    .describe('Granted past the approvals: a review is open until someone else closes it.'),
});

/** One use is set aside for this intent, before its verdict leaves. */
export const permissionReservedSchema = z.strictObject({ event: z.literal('PermissionReserved'), ...fact, ...use });
/** The intent was allowed: the use is spent. */
export const permissionUsedSchema = z.strictObject({
  event: z.literal('PermissionUsed'),
  ...fact,
  ...use,
  decisionId: digestSchema,
});
/** The intent was denied, or its decision void: the use is free again. */
export const permissionReleasedSchema = z.strictObject({ event: z.literal('PermissionReleased'), ...fact, ...use });

export const permissionExpiredSchema = z.strictObject({ event: z.literal('PermissionExpired'), ...fact, grantId });
export const permissionRevokedSchema = z.strictObject({ event: z.literal('PermissionRevoked'), ...fact, grantId });
export const permissionReviewClosedSchema = z.strictObject({
  event: z.literal('PermissionReviewClosed'),
  ...fact,
  grantId,
});

/** Why an order changed nothing. */
export const REFUSAL_CODES = [
  'REMIT_PERMISSION_AGENT_UNKNOWN',
  'REMIT_PERMISSION_AGENT_SUSPENDED',
  'REMIT_PERMISSION_AGENT_NOT_SUSPENDED',
  'REMIT_PERMISSION_NO_CHARTER',
  'REMIT_PERMISSION_UNKNOWN',
  'REMIT_PERMISSION_NAMED_TWICE',
  'REMIT_PERMISSION_DURATION',
  'REMIT_PERMISSION_USES',
  'REMIT_PERMISSION_WAIT',
  'REMIT_PERMISSION_CONSTRAINT_EMPTY',
  'REMIT_PERMISSION_CONSTRAINT_WRONG',
  'REMIT_PERMISSION_BINDING_MISSING',
  'REMIT_PERMISSION_NOBODY_APPROVES',
  'REMIT_PERMISSION_APPROVALS_NEEDED',
  'REMIT_PERMISSION_SELF_APPROVAL',
  'REMIT_PERMISSION_ROLE_MISSING',
  'REMIT_PERMISSION_ALREADY_APPROVED',
  'REMIT_PERMISSION_OTHER_ACTION',
  'REMIT_PERMISSION_ID_TAKEN',
  'REMIT_PERMISSION_REQUEST_UNKNOWN',
  'REMIT_PERMISSION_REQUEST_GRANTED',
  'REMIT_PERMISSION_REQUEST_REJECTED',
  'REMIT_PERMISSION_REQUEST_EXPIRED',
  'REMIT_PERMISSION_REQUEST_CANCELLED',
  'REMIT_PERMISSION_REQUEST_SUPERSEDED',
  'REMIT_PERMISSION_NOT_REQUESTER',
  'REMIT_PERMISSION_TOO_MANY_OPEN',
  'REMIT_PERMISSION_TOO_MANY_GRANTS',
  'REMIT_PERMISSION_GRANT_UNKNOWN',
  'REMIT_PERMISSION_GRANT_EXPIRED',
  'REMIT_PERMISSION_GRANT_REVOKED',
  'REMIT_PERMISSION_NOTHING_TO_REVOKE',
  'REMIT_PERMISSION_USES_UNLIMITED',
  'REMIT_PERMISSION_NO_USE_LEFT',
  'REMIT_PERMISSION_USE_UNKNOWN',
  'REMIT_PERMISSION_NO_BREAK_GLASS',
  'REMIT_PERMISSION_NO_OPEN_REVIEW',
] as const;
export const refusalCodeSchema = z.enum(REFUSAL_CODES);
export type RefusalCode = z.infer<typeof refusalCodeSchema>;

/** An order that could not be followed. Nothing has changed. */
export const permissionRefusedSchema = z.strictObject({
  event: z.literal('PermissionRefused'),
  ...fact,
  command: z.string().min(1).max(64).describe('What was ordered.'),
  code: refusalCodeSchema,
  problem: z.string().min(1).describe('Why not, and what to do.'),
  requestId: requestId.optional(),
  grantId: grantId.optional(),
});

/** Everything that can happen to one agent's authority, one event per fact and per refusal. */
export const permissionEventSchema = z.discriminatedUnion('event', [
  permissionRequestedSchema,
  permissionApprovalEnteredSchema,
  permissionRejectedSchema,
  permissionRequestExpiredSchema,
  permissionRequestCancelledSchema,
  permissionRequestSupersededSchema,
  permissionGrantedSchema,
  permissionReservedSchema,
  permissionUsedSchema,
  permissionReleasedSchema,
  permissionExpiredSchema,
  permissionRevokedSchema,
  permissionReviewClosedSchema,
  agentSuspendedSchema,
  agentReinstatedSchema,
  permissionRefusedSchema,
]);
export type PermissionEvent = z.infer<typeof permissionEventSchema>;
