import { z } from 'zod';
import { agentIdSchema } from '../intent/intent.js';
import { List, Map } from 'immutable';
import { reservationKey, type AgentAuthority, type Grant } from './authority.js';
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
  used: z.int().min(0).describe('Spent for good.'),
  reservations: z
    .array(z.strictObject({ intentId: z.uuidv7(), actionDigest: digestSchema }))
    .describe('Uses in flight: set aside for intents whose decision is not known yet.'),
  exhaustedBy: z.int().min(1).exactOptional().describe('Version of the last event that left no use.'),
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
  basis: digestSchema.exactOptional(),
  entries: z.array(z.strictObject({ by: person, roles: z.array(z.string()), at: ms })),
  limit: z.int().exactOptional(),
};

const grantSchema = z.discriminatedUnion('status', [
  z.strictObject({ ...grant, status: z.literal('granted') }),
  z.strictObject({ ...grant, status: z.literal('expired'), endedAt: ms }),
  z.strictObject({ ...grant, status: z.literal('revoked'), endedAt: ms, revokedBy: person }),
]);

const requestSchema = z.discriminatedUnion('status', [
  z.strictObject({ ...request, status: z.literal('open') }),
  z.strictObject({
    ...request,
    status: z.enum(['granted', 'expired', 'cancelled', 'superseded']),
    endedAt: ms,
  }),
  z.strictObject({ ...request, status: z.literal('rejected'), endedAt: ms, rejectedBy: person, why: z.string() }),
]);

const count = z.int().min(0);

const known = {
  version: z.int().min(0),
  grants: z.array(grantSchema).describe('By id.'),
  requests: z.array(requestSchema).describe('By id.'),
  alive: z
    .strictObject({ requests: count, asked: count, holds: count, grants: count })
    .describe('How many have not ended.'),
  endedGrants: z.array(permissionIdSchema).describe('What has ended, in the order in which it is forgotten.'),
  endedRequests: z.array(permissionIdSchema),
  askedUntil: z.int().min(0).describe('Until when what the agent has asked for counts against its rate, ms.'),
  early: z.array(permissionEventSchema).describe('Events that came before one that must precede them.'),
  unreadable: z.literal(true).exactOptional(),
};

/** An agent's authority as JSON. */
export const authoritySnapshotSchema = z.discriminatedUnion('status', [
  z.strictObject({ ...known, status: z.literal('active') }),
  z.strictObject({
    ...known,
    status: z.literal('suspended'),
    since: z.int().min(1).describe('Version of the event that suspended it.'),
    by: person,
    reason: z.string(),
  }),
]);
export type AuthoritySnapshot = z.infer<typeof authoritySnapshotSchema>;

/**
 * Names what {@link authorityToSnapshot} writes, to the event store and to `permission.state`. It changes whenever the
 * state or what an event makes of it does: what was written under another name is not read.
 */
export const AUTHORITY_SNAPSHOT_FORMAT = 'authority/6';

/** The same state has the same snapshot, whichever way it has come about. */
export function authorityToSnapshot(authority: AgentAuthority): AuthoritySnapshot {
  const { grants, requests, endedGrants, endedRequests, early } = authority;
  return {
    ...authority,
    grants: byId(grants).map((one) => ({ ...one, approvedBy: [...one.approvedBy], reservations: inFlight(one) })),
    requests: byId(requests).map(({ needs, entries, ...rest }) => ({
      ...rest,
      needs: [...needs],
      entries: entries.map(({ roles, ...entry }) => ({ ...entry, roles: [...roles] })),
    })),
    endedGrants: endedGrants.toArray(),
    endedRequests: endedRequests.toArray(),
    early: [...early.values()].sort((one, other) => one.version - other.version),
  };
}

/** The state whose snapshot it is. */
export function authorityFromSnapshot(snapshot: AuthoritySnapshot): AgentAuthority {
  const { grants, requests, endedGrants, endedRequests, early } = snapshot;
  return {
    ...snapshot,
    grants: Map(
      grants.map((one) => {
        const reservations = Map(one.reservations.map((use) => [reservationKey(use), use]));
        return [one.grantId, { ...one, reservations }] as const;
      }),
    ),
    requests: Map(requests.map((one) => [one.requestId, one])),
    endedGrants: List(endedGrants),
    endedRequests: List(endedRequests),
    early: Map(early.map((one) => [one.version, one])),
  };
}

function byId<Entry>(entries: Map<string, Entry>): Entry[] {
  return [...entries].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, entry]) => entry);
}

function inFlight({ reservations }: Grant): { intentId: string; actionDigest: string }[] {
  return byId(reservations).map(({ intentId, actionDigest }) => ({ intentId, actionDigest }));
}

/** What the permission events of one agent add up to, so that a reader need not start from the first of them. */
export const permissionSnapshotSchema = z.strictObject({
  agentId: agentIdSchema.describe('Also the message key.'),
  position: z.int().min(0).describe('The offset of `permission.events` after the last event in it.'),
  previous: z.int().min(0).optional().describe('The position of the snapshot before it; left out: there was none.'),
  format: z.string().describe('Readers that fold events otherwise, or into another shape, read from the start.'),
  authority: authoritySnapshotSchema,
});
export type PermissionSnapshot = z.infer<typeof permissionSnapshotSchema>;

/** One partition of `permission.events` up to where snapshots of all its agents are on `permission.state`. */
export const permissionCutSchema = z.strictObject({
  partition: z.int().min(0),
  position: z.int().min(0).describe('Reading goes on at this offset of `permission.events`.'),
  logTime: ms.describe('Running maximum of append times before the position.'),
  agents: z.int().min(0).describe('How many agents have a snapshot.'),
  digest: z.string().describe('Over their ids and positions: a reader that finds others reads from the start.'),
  format: z.string().describe('That of the snapshots.'),
});
