import { z } from 'zod';
import {
  agentIdSchema,
  approvalsSchema,
  constraintsSchema,
  digestSchema,
  givenIdSchema,
  heldIntentSchema,
  logDiscrepancySchema,
  MAX_ASKED_BEFORE,
  MAX_NEEDS,
  permissionEventSchema,
  permissionIdSchema,
  permissionNameSchema,
  personSchema,
  reasonSchema,
  timeSchema,
} from '#domain';

/** Every path of the door begins so. */
export const DOOR_PREFIX = '/v1/';

/** Largest body, bytes. Only a charter needs more. */
export const DOOR_BODY_BYTES = 64 * 1024;
export const DOOR_CHARTER_BYTES = 1024 * 1024;

/** The id of what is ordered: sent again with the same id, an order counts once. */
export const IDEMPOTENCY_HEADER = 'idempotency-key';

const durationMsSchema = z
  .int()
  .min(1)
  .max(366 * 24 * 60 * 60 * 1000)
  .describe('How long a grant lasts, ms.');
const usesSchema = z
  .int()
  .min(1)
  .max(1_000_000)
  .nullable()
  .default(null)
  .describe('How often it may be used; null: within its time as often as needed.');

/** What is wrong, as RFC 9457 says it. `code` is stable; `detail` says what to do. */
export const problemSchema = z.strictObject({
  type: z.string().describe('urn:remit:problem:CODE'),
  title: z.string(),
  status: z.int(),
  code: z.string().regex(/^REMIT_[A-Z_]+$/),
  detail: z.string(),
  commandId: z.string().optional().describe('The order it is about: safe to send again with this Idempotency-Key.'),
  problems: z
    .array(
      z.strictObject({
        code: z.string().optional(),
        path: z.string().optional(),
        line: z.int().optional(),
        column: z.int().optional(),
        message: z.string(),
        hint: z.string().optional(),
      }),
    )
    .optional()
    .describe('Each thing that is wrong with what was sent.'),
});
export type DoorProblem = z.infer<typeof problemSchema>;

/** What came of an order, once it binds. */
export const orderAnswerSchema = z.strictObject({
  commandId: permissionIdSchema,
  agentId: agentIdSchema,
  events: z.array(permissionEventSchema).min(1).describe('In the order of their versions.'),
});
export type OrderAnswer = z.infer<typeof orderAnswerSchema>;

export const manyOrdersAnswerSchema = z.strictObject({
  done: z.array(orderAnswerSchema),
  failed: z.array(
    z.strictObject({ agentId: agentIdSchema, requestId: permissionIdSchema.optional(), problem: problemSchema }),
  ),
});
export type ManyOrdersAnswer = z.infer<typeof manyOrdersAnswerSchema>;

/** A grant as it stands at a moment. */
export const grantViewSchema = z.strictObject({
  grantId: permissionIdSchema,
  agentId: agentIdSchema,
  permission: permissionNameSchema,
  constraints: constraintsSchema,
  uses: z.int().nullable(),
  usesLeft: z.int().nullable(),
  grantedAt: timeSchema,
  expiresAt: timeSchema,
  remainingMs: z.int().min(0),
  grantedBy: personSchema,
  approvedBy: z.array(personSchema),
  reason: z.string(),
  requestId: permissionIdSchema.optional(),
  review: z
    .enum(['not needed', 'open', 'closed'])
    .describe('Of a grant past the approvals: whether someone looked at it.'),
});
export type GrantView = z.infer<typeof grantViewSchema>;

export const agentAuthorityViewSchema = z.strictObject({
  agentId: agentIdSchema,
  at: timeSchema.describe('What is shown held at this moment.'),
  status: z.enum(['active', 'suspended']),
  suspendedBy: personSchema.optional(),
  suspendedBecause: z.string().optional(),
  standing: z.array(permissionNameSchema).describe('Permissions the charter in force now gives for good.'),
  grants: z.array(grantViewSchema).describe('In force; what ends first comes first.'),
});
export type AgentAuthorityView = z.infer<typeof agentAuthorityViewSchema>;

export const requestViewSchema = z.strictObject({
  requestId: permissionIdSchema,
  agentId: agentIdSchema,
  status: z.enum(['open', 'granted', 'rejected', 'expired', 'cancelled', 'superseded']),
  rejectedBy: personSchema.optional(),
  rejectedBecause: z.string().optional(),
  needs: z.array(
    z.strictObject({
      permission: permissionNameSchema,
      approvals: approvalsSchema,
      rule: z.string().optional(),
      approvedBy: z.array(personSchema),
    }),
  ),
  durationMs: z.int(),
  uses: z.int().nullable(),
  constraints: constraintsSchema,
  charterDigest: digestSchema,
  requestedBy: personSchema,
  requestedAt: timeSchema,
  reason: z.string(),
  onBehalfOf: personSchema.optional(),
  expiresAt: timeSchema,
  remainingMs: z.int().min(0).describe('0 once it has ended or run out.'),
  held: heldIntentSchema.optional(),
  alike: digestSchema.describe(
    'Open requests with the same value ask for the same of the same agent and may be approved together.',
  ),
});
export type RequestView = z.infer<typeof requestViewSchema>;

const askedBeforeSchema = z.strictObject({
  requestId: permissionIdSchema,
  similar: z.literal(true).optional().describe('Not the same: other parameters, or other constraints.'),
  requestedAt: timeSchema,
  status: requestViewSchema.shape.status,
  endedAt: timeSchema.optional(),
  by: z.array(personSchema).describe('Who approved or rejected it.'),
  why: z.string().optional().describe('Why it was rejected.'),
  grant: z
    .enum(['used', 'not used yet', 'ended unused'])
    .optional()
    .describe('Of a request that was granted. `used`: the agent was allowed to do it by that.'),
});

export const requestDetailSchema = requestViewSchema.extend({
  askedBefore: z
    .array(askedBeforeSchema)
    .max(MAX_ASKED_BEFORE)
    .describe('Earlier requests of the agent for the same or similar, the rejected first, and what became of them.'),
  action: z
    .discriminatedUnion('status', [
      z.strictObject({
        status: z.literal('shown'),
        digest: digestSchema.describe('Of exactly this action. Approve with it.'),
        lines: z
          .array(z.string())
          .describe('The whole action, one value a line, safe to print: nothing in it steers a terminal or hides.'),
        value: z.record(z.string(), z.unknown()).describe('The same as data.'),
      }),
      z.strictObject({ status: z.literal('unavailable'), because: z.string() }),
      z.strictObject({
        status: z.literal('withheld'),
        because: z.string().describe('Which roles may see it.'),
      }),
    ])
    .optional()
    .describe('What would be executed; absent when no intent waits for it. Each reading is written to `audit.access`.'),
});
export type RequestDetail = z.infer<typeof requestDetailSchema>;

export const charterViewSchema = z.strictObject({
  name: z.string(),
  digest: digestSchema,
  stage: z.enum(['observe', 'enforce']),
  activatedBy: personSchema,
  text: z.string().describe('The YAML source.'),
});
export type CharterView = z.infer<typeof charterViewSchema>;

const charterWarningSchema = z.strictObject({
  code: z.string(),
  line: z.int(),
  column: z.int(),
  message: z.string(),
  hint: z.string().optional(),
});

export const charterActivatedAnswerSchema = charterViewSchema
  .omit({ text: true })
  .extend({ warnings: z.array(charterWarningSchema) });
export type CharterActivatedAnswer = z.infer<typeof charterActivatedAnswerSchema>;

export const hygieneFindingSchema = z.strictObject({
  kind: z.enum([
    'standing-permission',
    'unused-grant',
    'ending-grant',
    'always-elevated',
    'no-owner',
    'unknown-agent',
    'open-review',
  ]),
  agentId: agentIdSchema,
  permission: permissionNameSchema.optional(),
  grantId: permissionIdSchema.optional(),
  message: z.string(),
});

export const reviewReportSchema = z.strictObject({ at: timeSchema, findings: z.array(hygieneFindingSchema) });
export type ReviewReport = z.infer<typeof reviewReportSchema>;

export const discrepancyViewSchema = logDiscrepancySchema.extend({
  status: z.enum(['open', 'acknowledged']),
  says: z.string().describe('What is wrong, in a sentence.'),
  todo: z.string().describe('What to do, and what an acknowledgement does.'),
  foundAt: timeSchema,
  acknowledgedBy: personSchema.optional(),
  acknowledgedAt: timeSchema.optional(),
  reason: z.string().optional(),
});
export type DiscrepancyView = z.infer<typeof discrepancyViewSchema>;

const discrepancyParams = z.strictObject({ discrepancy: logDiscrepancySchema.shape.id });

const reasonBody = z.strictObject({ reason: reasonSchema });
const grantBody = z.strictObject({
  permission: permissionNameSchema,
  durationMs: durationMsSchema,
  uses: usesSchema,
  constraints: constraintsSchema.optional(),
  reason: reasonSchema,
});
const whichAgent = agentIdSchema.optional().describe('Whose request; needed where two agents have one of this id.');
const seenDigest = digestSchema.optional().describe('The action you have seen; needed when an intent is held.');

const agentParams = z.strictObject({ agent: agentIdSchema });
const grantParams = z.strictObject({ agent: agentIdSchema, grant: permissionIdSchema });
const requestParams = z.strictObject({ request: permissionIdSchema });

/** One way through the door. */
export interface DoorRoute {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** Below {@link DOOR_PREFIX}, with `:name` for parameters. */
  readonly path: string;
  readonly summary: string;
  /** Whose door it is, in words: roles are the charter's. */
  readonly allowed: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  readonly answer: z.ZodType;
  /** It answers for each of many, with 207 as soon as one of them has failed. */
  readonly answersForMany?: true;
  /** It orders something: takes an Idempotency-Key. */
  readonly orders: boolean;
}

/** Everything people can see and order, once. The controllers, the command line and the OpenAPI document come from it. */
export const DOOR = {
  activateCharter: {
    method: 'post',
    path: 'charters',
    summary: 'Put a charter in force: every intent appended after the answer is judged by it.',
    allowed: 'administrators',
    body: z.strictObject({ text: z.string().min(1).describe('The YAML source.') }),
    answer: charterActivatedAnswerSchema,
    orders: true,
  },
  currentCharter: {
    method: 'get',
    path: 'charters/current',
    summary: 'The charter in force.',
    allowed: 'anyone with a token',
    answer: charterViewSchema,
    orders: false,
  },
  grants: {
    method: 'get',
    path: 'agents/:agent/grants',
    summary: 'What an agent holds now or held at any moment, with time remaining.',
    allowed: 'anyone with a token',
    params: agentParams,
    query: z.strictObject({ at: z.iso.datetime({ offset: true }).optional().describe('RFC 3339; now when left out.') }),
    answer: agentAuthorityViewSchema,
    orders: false,
  },
  grant: {
    method: 'post',
    path: 'agents/:agent/grants',
    summary: 'Lend a permission for a time; with `uses` and constraints, a counted allowance.',
    allowed:
      'the role that approves the permission, where one approval is enough; administrators where the charter names nobody',
    params: agentParams,
    body: grantBody,
    answer: orderAnswerSchema,
    orders: true,
  },
  breakGlass: {
    method: 'post',
    path: 'agents/:agent/break-glass',
    summary:
      'Lend a permission past the approvals, for a short time; a review stays open until someone else closes it.',
    allowed: 'the role the charter gives break-glass',
    params: agentParams,
    body: grantBody,
    answer: orderAnswerSchema,
    orders: true,
  },
  closeReview: {
    method: 'post',
    path: 'agents/:agent/grants/:grant/review',
    summary: 'Close the review of a grant past the approvals.',
    allowed: 'the role the charter gives break-glass, but another person',
    params: grantParams,
    body: reasonBody,
    answer: orderAnswerSchema,
    orders: true,
  },
  revoke: {
    method: 'delete',
    path: 'agents/:agent/grants/:grant',
    summary: 'Take one grant back, at once.',
    allowed: 'administrators and everyone whose role approves something',
    params: grantParams,
    query: reasonBody,
    answer: orderAnswerSchema,
    orders: true,
  },
  revokeAll: {
    method: 'delete',
    path: 'agents/:agent/grants',
    summary: 'Take every grant of an agent back, at once.',
    allowed: 'administrators and everyone whose role approves something',
    params: agentParams,
    query: reasonBody,
    answer: orderAnswerSchema,
    orders: true,
  },
  suspend: {
    method: 'put',
    path: 'agents/:agent/suspension',
    summary: 'Stop an agent: everything it intends from now on is denied.',
    allowed: 'administrators and everyone whose role approves something',
    params: agentParams,
    body: reasonBody,
    answer: orderAnswerSchema,
    orders: true,
  },
  suspendAll: {
    method: 'put',
    path: 'suspension',
    summary: 'Stop every agent that the charter or the log knows: the kill switch.',
    allowed: 'administrators and everyone whose role approves something',
    body: reasonBody,
    answer: manyOrdersAnswerSchema,
    answersForMany: true,
    orders: true,
  },
  reinstate: {
    method: 'delete',
    path: 'agents/:agent/suspension',
    summary: 'Let a suspended agent go on.',
    allowed: 'administrators, and whoever has suspended it',
    params: agentParams,
    query: reasonBody,
    answer: orderAnswerSchema,
    orders: true,
  },
  request: {
    method: 'post',
    path: 'agents/:agent/requests',
    summary: 'Ask for permissions for an agent, which others then approve.',
    allowed: 'anyone with a token',
    params: agentParams,
    body: z.strictObject({
      permissions: z.array(permissionNameSchema).min(1).max(MAX_NEEDS),
      durationMs: durationMsSchema,
      uses: usesSchema,
      constraints: constraintsSchema.optional(),
      waitMs: z
        .int()
        .min(1)
        .max(7 * 24 * 60 * 60 * 1000)
        .default(60 * 60 * 1000)
        .describe('How long the request stays open, ms.'),
      reason: reasonSchema,
    }),
    answer: orderAnswerSchema,
    orders: true,
  },
  requests: {
    method: 'get',
    path: 'requests',
    summary: 'Held actions and requests: what waits for a person, the most urgent first.',
    allowed: 'anyone with a token',
    query: z.strictObject({
      agent: agentIdSchema.optional(),
      status: z.enum(['open', 'all']).default('open').describe('all: also what ended in the last 30 days.'),
    }),
    answer: z.strictObject({ at: timeSchema, requests: z.array(requestViewSchema) }),
    orders: false,
  },
  requestDetail: {
    method: 'get',
    path: 'requests/:request',
    summary: 'One request, with exactly what would be executed.',
    allowed: 'anyone with a token',
    params: requestParams,
    query: z.strictObject({ agent: whichAgent }),
    answer: requestDetailSchema,
    orders: false,
  },
  approve: {
    method: 'post',
    path: 'requests/:request/approval',
    summary: 'Approve a request, bound to the action you have seen.',
    allowed: 'a role it waits for; never the agent, who it acts for, or who asked',
    params: requestParams,
    body: z.strictObject({ agent: whichAgent, actionDigest: seenDigest, reason: reasonSchema }),
    answer: orderAnswerSchema,
    orders: true,
  },
  reject: {
    method: 'post',
    path: 'requests/:request/rejection',
    summary: 'Reject a request: one rejection ends it.',
    allowed: 'a role it asks for; never the agent, who it acts for, or who asked',
    params: requestParams,
    body: z.strictObject({ agent: whichAgent, reason: reasonSchema }),
    answer: orderAnswerSchema,
    orders: true,
  },
  cancel: {
    method: 'post',
    path: 'requests/:request/cancellation',
    summary: 'Take a request back.',
    allowed: 'who asked, or who the agent acts for',
    params: requestParams,
    body: z.strictObject({ agent: whichAgent, reason: reasonSchema }),
    answer: orderAnswerSchema,
    orders: true,
  },
  approveAlike: {
    method: 'post',
    path: 'approvals',
    summary: 'Approve several alike requests, each bound to its own action.',
    allowed: 'as for one',
    body: z.strictObject({
      requests: z
        .array(z.strictObject({ request: permissionIdSchema, agent: whichAgent, actionDigest: seenDigest }))
        .min(1)
        .max(100),
      reason: reasonSchema,
    }),
    answer: manyOrdersAnswerSchema,
    answersForMany: true,
    orders: true,
  },
  discrepancies: {
    method: 'get',
    path: 'log/discrepancies',
    summary: 'Where the log and those who read it do not agree: what was cut, lost, forked or restored.',
    allowed: 'anyone with a token',
    query: z.strictObject({
      status: z.enum(['open', 'all']).default('open').describe('all: also what was acknowledged.'),
    }),
    answer: z.strictObject({ discrepancies: z.array(discrepancyViewSchema) }),
    orders: false,
  },
  acknowledgeDiscrepancy: {
    method: 'post',
    path: 'log/discrepancies/:discrepancy/acknowledgement',
    summary: 'Take note of exactly this discrepancy, so that Remit goes on; its `todo` says how.',
    allowed: 'administrators',
    params: discrepancyParams,
    body: reasonBody,
    answer: discrepancyViewSchema,
    orders: true,
  },
  review: {
    method: 'get',
    path: 'review',
    summary:
      'What to tidy up: standing permissions, unused and ending grants, constant elevation, ownerless agents, open reviews.',
    allowed: 'anyone with a token',
    answer: reviewReportSchema,
    orders: false,
  },
} as const satisfies Record<string, DoorRoute>;

export type DoorOperation = keyof typeof DOOR;

/** What an `Idempotency-Key` may be. */
export const idempotencyKeySchema = givenIdSchema;
