import { z } from 'zod';
import type { Resting } from '../charter/charter-basis.js';
import { agentIdSchema } from '../intent/intent.js';
import { canonicalJson } from '../record/canonical-json.js';
import type { Sha256 } from '../record/digest.js';
import { AGENT_ASK_PREFIX } from './authority.js';
import { personSchema, plainTextSchema, reasonSchema, roleSchema } from '../record/plain-text.js';
import {
  digestSchema,
  givenIdSchema,
  permissionIdSchema,
  permissionNameSchema,
  timeSchema,
} from './permission-fields.js';
import { MAX_NEEDS } from './permission-limits.js';
import { constraintsSchema, heldIntentSchema, type Approvals, type Binding } from './permission-grants.js';

const order = {
  agentId: agentIdSchema.describe('Whose authority it is about; also the message key.'),
  by: personSchema.describe('Who orders it, as the door has authenticated them.'),
  reason: reasonSchema,
};
/** Of people and of agents: the id is theirs. */
const given = { ...order, commandId: givenIdSchema };
/** Of timers and layers: the id is derived, so that any number of replicas orders the same thing once. */
const derived = { ...order, commandId: permissionIdSchema };
const roles = z.array(roleSchema).max(64).describe('Roles of the person, as the door knows them.');
const requestId = permissionIdSchema;
const grantId = permissionIdSchema;
const durationMs = z.int().describe('How long the grant lasts, ms.');
const uses = z.int().nullable().describe('How often it may be used; null: within its time as often as needed.');
const use = { grantId, intentId: z.uuidv7(), actionDigest: digestSchema };

export const requestPermissionSchema = z.strictObject({
  command: z.literal('RequestPermission'),
  ...given,
  needs: z
    .array(z.strictObject({ permission: permissionNameSchema, rule: plainTextSchema(256).optional() }))
    .min(1)
    .max(MAX_NEEDS),
  durationMs,
  uses,
  constraints: constraintsSchema.optional(),
  onBehalfOf: personSchema.optional(),
  held: heldIntentSchema.optional().describe('Binds everything to this one intent, for one use.'),
  waitMs: z.int().describe('How long the request stays open, ms.'),
});
export const cancelRequestSchema = z.strictObject({ command: z.literal('CancelRequest'), ...given, requestId });
export const approveRequestSchema = z.strictObject({
  command: z.literal('ApproveRequest'),
  ...given,
  roles,
  requestId,
  actionDigest: digestSchema.optional().describe('The action the person has seen; needed when an intent is held.'),
});
export const rejectRequestSchema = z.strictObject({ command: z.literal('RejectRequest'), ...given, roles, requestId });

const grant = {
  ...given,
  roles,
  permission: permissionNameSchema,
  durationMs,
  uses,
  constraints: constraintsSchema.optional(),
};
export const grantPermissionSchema = z.strictObject({ command: z.literal('GrantPermission'), ...grant });
/** Grants past the approvals, for a short time, with a review that stays open. */
export const breakGlassSchema = z.strictObject({ command: z.literal('BreakGlass'), ...grant });
export const closeReviewSchema = z.strictObject({ command: z.literal('CloseReview'), ...given, roles, grantId });

export const revokeGrantSchema = z.strictObject({ command: z.literal('RevokeGrant'), ...given, grantId });
export const revokeAllGrantsSchema = z.strictObject({ command: z.literal('RevokeAllGrants'), ...given });
export const suspendAgentSchema = z.strictObject({ command: z.literal('SuspendAgent'), ...given });
export const reinstateAgentSchema = z.strictObject({ command: z.literal('ReinstateAgent'), ...given });

export const expireGrantSchema = z.strictObject({ command: z.literal('ExpireGrant'), ...derived, grantId });
export const expireRequestSchema = z.strictObject({ command: z.literal('ExpireRequest'), ...derived, requestId });
export const supersedeRequestSchema = z.strictObject({ command: z.literal('SupersedeRequest'), ...derived, requestId });

export const reserveUseSchema = z.strictObject({
  command: z.literal('ReserveUse'),
  ...derived,
  ...use,
  judgedAt: timeSchema.describe("The intent's append time: the grant must be valid then."),
  judgedVersion: z
    .int()
    .min(0)
    .exactOptional()
    .describe('By how many permission events it was judged: once every use has been taken after them, it gets none.'),
});
export const confirmUseSchema = z.strictObject({
  command: z.literal('ConfirmUse'),
  ...derived,
  ...use,
  decisionId: digestSchema,
});
export const releaseUseSchema = z.strictObject({ command: z.literal('ReleaseUse'), ...derived, ...use });

/** Everything that can be ordered about one agent's authority. */
export const permissionCommandSchema = z.discriminatedUnion('command', [
  requestPermissionSchema,
  cancelRequestSchema,
  approveRequestSchema,
  rejectRequestSchema,
  grantPermissionSchema,
  breakGlassSchema,
  closeReviewSchema,
  revokeGrantSchema,
  revokeAllGrantsSchema,
  suspendAgentSchema,
  reinstateAgentSchema,
  expireGrantSchema,
  expireRequestSchema,
  supersedeRequestSchema,
  reserveUseSchema,
  confirmUseSchema,
  releaseUseSchema,
]);
export type PermissionCommand = z.infer<typeof permissionCommandSchema>;
export type CommandName = PermissionCommand['command'];

export interface CommandTraits {
  /**
   * Whether the charter of the moment when it was appended has to be known. `unread`: it takes authority away, or records
   * that it has ended, whatever the charter says. `if-kept`: it is carried out all the same where that charter is no longer
   * kept, as if none had taken its place.
   */
  readonly charter: 'required' | 'if-kept' | 'unread';
  /** Several events may come of it, and all are stored at once. */
  readonly severalEvents: boolean;
}

const NEEDS_CHARTER: CommandTraits = { charter: 'required', severalEvents: false };
const WITHOUT_CHARTER: CommandTraits = { charter: 'unread', severalEvents: false };

/** What whoever handles or waits for a command has to know of it. */
export const COMMAND_TRAITS: Readonly<Record<CommandName, CommandTraits>> = {
  RequestPermission: NEEDS_CHARTER,
  CancelRequest: { charter: 'if-kept', severalEvents: true },
  ApproveRequest: { charter: 'required', severalEvents: true },
  RejectRequest: { charter: 'required', severalEvents: true },
  GrantPermission: NEEDS_CHARTER,
  BreakGlass: NEEDS_CHARTER,
  CloseReview: NEEDS_CHARTER,
  RevokeGrant: WITHOUT_CHARTER,
  RevokeAllGrants: { charter: 'unread', severalEvents: true },
  SuspendAgent: WITHOUT_CHARTER,
  ReinstateAgent: NEEDS_CHARTER,
  ExpireGrant: WITHOUT_CHARTER,
  ExpireRequest: WITHOUT_CHARTER,
  SupersedeRequest: NEEDS_CHARTER,
  ReserveUse: WITHOUT_CHARTER,
  ConfirmUse: WITHOUT_CHARTER,
  ReleaseUse: WITHOUT_CHARTER,
};

/** Ids of the requests that holds open begin with this. Like those of what agents ask for, only the wiring makes them. */
export const HELD_REQUEST_PREFIX = 'hold:';

/** Ids of approvals begin so that the control API derives from the one id of several that are given together. */
export const ALIKE_APPROVAL_PREFIX = 'alike:';

/** Ids of commands that come without one begin so. Whoever got such an id may send the command again with it. */
export const CONTROL_API_ID_PREFIX = 'door:';

/** Whether commands that people and timers send must not have this id: it begins as those of holds and of agents do. */
export function isReservedId(commandId: string): boolean {
  return commandId.startsWith(HELD_REQUEST_PREFIX) || commandId.startsWith(AGENT_ASK_PREFIX);
}

/** Beginnings that a person may not give an id of their own. */
export const NOT_FOR_PEOPLES_IDS = [HELD_REQUEST_PREFIX, AGENT_ASK_PREFIX, ALIKE_APPROVAL_PREFIX] as const;

/** Ids that agents give get a prefix, so that no agent can take the id of anyone else's command. */
const agentGivenIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$/, 'must be 1-100 letters, digits or . _ : -');

const ask = { agentId: order.agentId, id: agentGivenIdSchema, reason: reasonSchema };

/** What an agent may ask for itself, and nothing else. */
export const permissionAskSchema = z.discriminatedUnion('ask', [
  z.strictObject({
    ask: z.literal('RequestPermission'),
    ...ask,
    needs: z.array(permissionNameSchema).min(1).max(MAX_NEEDS).describe('Permissions; all must be approved.'),
    durationMs,
    uses,
    constraints: constraintsSchema.optional(),
    onBehalfOf: personSchema.optional().describe('The person it acts for, who cannot approve it.'),
    waitMs: z.int().describe('How long the request stays open, ms.'),
  }),
  z.strictObject({
    ask: z.literal('CancelRequest'),
    ...ask,
    requestId: agentGivenIdSchema.describe('The id under which the agent has asked.'),
  }),
]);
export type PermissionAsk = z.infer<typeof permissionAskSchema>;

/** What an agent asks, as a command of its own. */
export function commandOfAsk(asked: PermissionAsk): PermissionCommand {
  const { agentId, reason } = asked;
  const given = { agentId, by: agentId, reason, commandId: AGENT_ASK_PREFIX + asked.id };
  switch (asked.ask) {
    case 'RequestPermission': {
      const { needs, durationMs, uses, constraints, onBehalfOf, waitMs } = asked;
      return {
        command: 'RequestPermission',
        ...given,
        needs: needs.map((permission) => ({ permission })),
        durationMs,
        uses,
        waitMs,
        ...(constraints === undefined ? {} : { constraints }),
        ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
      };
    }
    case 'CancelRequest':
      return { command: 'CancelRequest', ...given, requestId: AGENT_ASK_PREFIX + asked.requestId };
    default:
      return asked satisfies never;
  }
}

/** Why a request for approval counts no more, in words for people. */
export const BASIS_CHANGED =
  'the charter says something else now of the agent, rules, permissions or systems it rests on';

/** The charter's word on one permission. */
export interface PermissionTerm {
  readonly maxDurationMs: number;
  /** Undefined: the charter names no approvers. */
  readonly approvals?: Approvals | undefined;
  readonly bind: readonly Binding[];
}

/** What the charter in force says, as far as authority depends on it. */
export interface PermissionTerms {
  readonly charterDigest: string;
  readonly agentKnown: boolean;
  readonly permissions: ReadonlyMap<string, PermissionTerm>;
  /** The lists that constraints may speak of; left out: none. */
  readonly lists?: ReadonlySet<string> | undefined;
  /** Digest of all that the charter says of what a request rests on. */
  readonly basisOf: (request: Resting) => string;
  /** Who may grant past the approvals, and for how long at most. Undefined: nobody. */
  readonly breakGlass?: { readonly role: string; readonly maxDurationMs: number } | undefined;
}

/** A command with its place in time and law: everything a decision may depend on beside the state. */
export interface PlacedCommand {
  readonly command: PermissionCommand;
  /** Broker append time of the command, ms since the epoch. */
  readonly at: number;
  /** Undefined: no charter is in force. */
  readonly terms: PermissionTerms | undefined;
}

/** What was ordered, whatever its time: another order under the same command id is refused. */
export function commandDigestOf(command: PermissionCommand, sha256: Sha256): string {
  return sha256(canonicalJson(command));
}

/**
 * The one id under which an intent reserves, uses or releases a grant: redelivered, it is the same command. A second
 * round asks anew.
 */
export function useCommandId(
  command: 'ReserveUse' | 'ConfirmUse' | 'ReleaseUse',
  use: { readonly grantId: string; readonly intentId: string; readonly actionDigest: string; readonly round?: number },
  sha256: Sha256,
): string {
  const round = use.round === undefined || use.round === 1 ? '' : `\n${use.round}`;
  return `${command}#${sha256(`${use.grantId}\n${use.intentId}\n${use.actionDigest}${round}`)}`;
}

/** The one id under which something due at a known moment is ordered, by whichever replica. */
export function dueCommandId(command: 'ExpireGrant' | 'ExpireRequest' | 'SupersedeRequest', id: string): string {
  return `${command}#${id}`;
}
