import { z } from 'zod';
import { isWellFormed } from '../record/well-formed.js';

/** Any JSON value, as `JSON.parse` yields it. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [name: string]: JsonValue };

/** How deep `parameters` may nest. Deeper values serve no agent and cost every reader a deep recursion. */
export const MAX_PARAMETER_DEPTH = 32;

/** An agent's name: printable ASCII without blanks, so that two names that look alike are alike. */
export const agentIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$/, 'must be 1-128 letters, digits or . _ : @ / -');

const actionTypeSchema = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_.:-]{0,127}$/, 'must be a verb of 1-128 letters, digits or _ . : -');

const systemNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,255}$/, 'must be 1-256 letters, digits or . _ : @ / -');

/** Free text of at most so many UTF-16 units. */
function textSchema(longest: number) {
  return z.string().min(1).max(longest).refine(isWellFormed, 'must be well-formed Unicode');
}

/** Whether a value has a digest (finite numbers, well-formed text) and nests no deeper than the levels left. */
function isDigestible(value: unknown, levels: number): boolean {
  if (typeof value === 'string') return isWellFormed(value);
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  if (levels === 0) return false;
  if (Array.isArray(value)) return value.every((inner) => isDigestible(inner, levels - 1));
  return Object.entries(value).every(([name, inner]) => isWellFormed(name) && isDigestible(inner, levels - 1));
}

/**
 * What the action is done with: any JSON object. It is kept as it came, never copied field by field,
 * because the digest must cover exactly what the agent will execute.
 */
const parametersSchema = z
  .custom<Record<string, JsonValue>>(
    (value) =>
      typeof value === 'object' && value !== null && !Array.isArray(value) && isDigestible(value, MAX_PARAMETER_DEPTH),
    `must be a JSON object of finite numbers and well-formed text, at most ${MAX_PARAMETER_DEPTH} levels deep`,
  )
  .meta({ type: 'object', description: 'What the action is done with: any JSON object.' });

/** So many places one action may send to. */
export const MAX_DESTINATIONS = 64;

/** What an agent intends to do. Everything below `destinations` is the agent's own claim: it can only tighten. */
export const actionSchema = z.strictObject({
  type: actionTypeSchema.describe('The verb, such as read_costs.'),
  target: systemNameSchema.describe('The system acted on, by its name in the charter.'),
  parameters: parametersSchema.optional(),
  destination: textSchema(1024).nullish().describe('Where data goes: a system, host, address or account.'),
  destinations: z
    .array(textSchema(1024))
    .min(1)
    .max(MAX_DESTINATIONS)
    .nullish()
    .describe('Every place data goes to, where there are several. What `destination` names counts as well.'),
  dataClassification: textSchema(64).nullish().describe("Claimed classification, one of the charter's."),
  integration: textSchema(128).nullish().describe('Claimed third-party integration.'),
  environment: textSchema(64).nullish().describe('Claimed environment, such as production.'),
  containsPii: z.boolean().nullish().describe('The agent says that personal data are in it.'),
  allowOffHours: z.boolean().nullish().describe('The agent says that it may work outside business hours.'),
});
export type Action = z.infer<typeof actionSchema>;

/** Every place the action sends to, each once; empty where it names none. Every rule about destinations holds for each. */
export function destinationsOf({ destination, destinations }: Pick<Action, 'destination' | 'destinations'>): string[] {
  return [...new Set([...(destination == null ? [] : [destination]), ...(destinations ?? [])])];
}

/** What started a chain: a user, a schedule, an event, another agent. */
export const triggerSchema = z.strictObject({
  type: textSchema(64).describe('user_request, schedule, event, agent …'),
  id: textSchema(256).nullish(),
  description: z.string().max(1024).refine(isWellFormed).nullish(),
});
export type Trigger = z.infer<typeof triggerSchema>;

/** The intent that led to this one. */
export const causeSchema = z.strictObject({
  agentId: agentIdSchema,
  intentId: z.uuidv7(),
});
export type Cause = z.infer<typeof causeSchema>;

/** Longest decision that proves a cause, UTF-16 units. A longer one proves nothing: its intent is only claimed. */
export const MAX_PROOF_DECISION = 16 * 1024;

/** So long is the signature of a message in the largest batch that is signed at once, in base64url. */
const MAX_PROOF_SIGNATURE = 1024;

/** The decision that allowed the causing intent, exactly as it was written, and the signature it was written with. */
export const causeProofSchema = z.strictObject({
  decision: z
    .string()
    .min(1)
    .max(MAX_PROOF_DECISION)
    .refine(isWellFormed, 'must be well-formed Unicode')
    .describe('The value of the message on agent.decisions, as text.'),
  signature: z
    .string()
    .max(MAX_PROOF_SIGNATURE)
    .regex(/^[A-Za-z0-9_-]+$/, 'must be base64url')
    .describe('Its header remit-signature, base64url.'),
});
export type CauseProof = z.infer<typeof causeProofSchema>;

/** What an agent says of its cause: its own word, unless it proves it. */
export const saidCauseSchema = causeSchema.extend({
  proof: causeProofSchema.nullish().describe('That the causing intent was allowed in this chain; left out: a claim.'),
});
export type SaidCause = z.infer<typeof saidCauseSchema>;

/** An action on the bus. Identity: `agentId` + `intentId` + digest of `action`. */
export const intentSchema = z.strictObject({
  intentId: z.uuidv7().describe('UUIDv7 (RFC 9562), made by the agent.'),
  agentId: agentIdSchema.describe('Must equal the Kafka message key.'),
  action: actionSchema,
  onBehalfOf: textSchema(256).nullish().describe('The person the agent acts for.'),
  trigger: triggerSchema.nullish(),
  cause: saidCauseSchema.nullish(),
  precedingActions: z.array(textSchema(256)).max(64).nullish(),
  chainId: textSchema(256).nullish().describe("The initiator's free text; else the first intent's id."),
});
export type Intent = z.infer<typeof intentSchema>;

/** The chain an intent belongs to: what its initiator called it, else the intent's own id. */
export function chainIdOf(intent: Pick<Intent, 'chainId' | 'intentId'>): string {
  return intent.chainId ?? intent.intentId;
}

/** What the agent reports after acting on a decision. */
export const outcomeReportSchema = z.strictObject({
  intentId: z.uuidv7(),
  agentId: agentIdSchema.describe('Must equal the Kafka message key.'),
  decisionId: z.string().regex(/^[0-9a-f]{64}$/),
  actionDigest: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .describe('Digest of what was really executed.'),
  status: z.enum(['executed', 'failed', 'rolled-back']),
  chainId: textSchema(256),
  detail: z.string().max(1024).refine(isWellFormed).nullish(),
});
export type OutcomeReport = z.infer<typeof outcomeReportSchema>;
