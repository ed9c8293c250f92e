import { z } from 'zod';
import { MAX_REASON_LENGTH } from './plain-text.js';
import { agentIdSchema } from '../intent/intent.js';
import { permissionIdSchema } from '../permission/permission-fields.js';

const by = z
  .string()
  .min(1)
  .max(256)
  .describe('Who: the person whose login the door accepted, else the account at the terminal.');
const account = z
  .string()
  .min(1)
  .max(256)
  .optional()
  .describe('The account at the terminal, as the operating system knows it: account@machine.');
const at = z.iso.datetime({ precision: 3 });

/** Somebody reads the record. Written before it is opened. */
export const recordReadSchema = z.strictObject({
  event: z.literal('RecordRead'),
  by,
  account,
  at,
  how: z.enum(['search', 'export', 'prove', 'verify', 'chain', 'replay', 'gaps', 'at', 'agents', 'rebuild']),
  selection: z.record(z.string(), z.string()).describe('What was asked for.'),
});

/** Keys were destroyed: what was sealed with them can never be read again. */
export const recordErasedSchema = z.strictObject({
  event: z.literal('RecordErased'),
  by,
  account,
  at,
  reason: z.string().min(1).max(MAX_REASON_LENGTH),
  of: z.enum(['intent', 'agent', 'person']),
  subject: z.string().describe('Intent id or agent id; of a person the keyed tag, never the name.'),
  keys: z.int().min(0).describe('How many keys were destroyed.'),
});

/** The oldest months were dropped, because their time had come. */
export const recordDroppedSchema = z.strictObject({
  event: z.literal('RecordDropped'),
  by,
  account,
  at,
  reason: z.string().min(1).max(MAX_REASON_LENGTH),
  months: z.array(z.string().regex(/^\d{4}-\d{2}$/)),
  epoch: z.int().min(1).describe('The checkpoint that says from where on the record is kept.'),
});

/** Somebody is shown what a held intent would execute, parameters and all. Written before it is read. */
export const heldActionReadSchema = z.strictObject({
  event: z.literal('HeldActionRead'),
  by,
  account,
  at,
  agentId: agentIdSchema,
  intentId: z.uuidv7(),
  requestId: permissionIdSchema.describe('The request for its approval.'),
});

/** Whatever people do with the record. */
export const recordAccessSchema = z.discriminatedUnion('event', [
  recordReadSchema,
  recordErasedSchema,
  recordDroppedSchema,
  heldActionReadSchema,
]);
export type RecordAccess = z.infer<typeof recordAccessSchema>;
