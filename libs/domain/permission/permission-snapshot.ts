import { z } from 'zod';
import { agentIdSchema } from '../intent/intent.js';
import type { AgentAuthority } from './authority.js';
import { permissionEventSchema } from './permission-events.js';
import { digestSchema, permissionIdSchema, permissionNameSchema } from './permission-fields.js';
import { approvalsSchema, constraintsSchema, heldIntentSchema } from './permission-grants.js';

const ms = z.int().describe('ms since the epoch');
const person = z.string().min(1).max(256);

const grant = {
  grantId: permissionIdSchema,
  permission: permissionNameSchema,
  constraints: constraintsSchema,
  uses: z.int().nullable(),
  reservations: z.record(
    z.string(),
    z.strictObject({
      status: z.enum(['reserved', 'used', 'released']),
      intentId: z.uuidv7(),
      actionDigest: digestSchema,
    }),
  ),
  grantedAt: ms,
  expiresAt: ms,
  grantedBy: person,
  approvedBy: z.array(person),
  reason: z.string(),
  charterDigest: digestSchema,
  requestId: permissionIdSchema.exactOptional(),
  review: z.enum(['not needed', 'open', 'closed']),
};

const request = {
  requestId: permissionIdSchema,
  needs: z.array(
    z.strictObject({ permission: permissionNameSchema, approvals: approvalsSchema, rule: z.string().optional() }),
  ),
  durationMs: z.int(),
  uses: z.int().nullable(),
  constraints: constraintsSchema,
  charterDigest: digestSchema,
  requestedBy: person,
  requestedAt: ms,
  reason: z.string(),
  expiresAt: ms,
  onBehalfOf: person.exactOptional(),
  held: heldIntentSchema.exactOptional(),
  entries: z.array(z.strictObject({ by: person, roles: z.array(z.string()), at: ms })),
};

const known = {
  version: z.int().min(0),
  grants: z.record(
    permissionIdSchema,
    z.discriminatedUnion('status', [
      z.strictObject({ ...grant, status: z.literal('granted') }),
      z.strictObject({ ...grant, status: z.literal('expired'), endedAt: ms }),
      z.strictObject({ ...grant, status: z.literal('revoked'), endedAt: ms, revokedBy: person }),
    ]),
  ),
  requests: z.record(
    permissionIdSchema,
    z.discriminatedUnion('status', [
      z.strictObject({ ...request, status: z.literal('open') }),
      z.strictObject({
        ...request,
        status: z.enum(['granted', 'expired', 'cancelled', 'superseded']),
        endedAt: ms,
      }),
      z.strictObject({
        ...request,
        status: z.literal('rejected'),
        endedAt: ms,
        rejectedBy: person,
        why: z.string(),
      }),
    ]),
  ),
  early: z.array(permissionEventSchema),
  unreadable: z.literal(true).exactOptional(),
};

/** What the permission events of one agent add up to, so that a reader need not start from the first of them. */
export interface PermissionSnapshot {
  readonly agentId: string;
  readonly position: number;
  readonly authority: AgentAuthority;
}

export const permissionSnapshotSchema: z.ZodType<PermissionSnapshot> = z.strictObject({
  agentId: agentIdSchema.describe('Also the message key.'),
  position: z.int().min(0).describe('The offset of `permission.events` after the last event in it.'),
  authority: z.discriminatedUnion('status', [
    z.strictObject({ ...known, status: z.literal('active') }),
    z.strictObject({
      ...known,
      status: z.literal('suspended'),
      since: z.int().min(1).describe('Version of the event that suspended it.'),
      by: person,
      reason: z.string(),
    }),
  ]),
});
