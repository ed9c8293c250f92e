import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import {
  actionSchema,
  durationMs,
  durationSchema,
  intentSchema,
  permissionCommandSchema,
  permissionEventSchema,
  permissionSchema,
  type AuthorityQuestion,
  type PermissionEvent,
  type PermissionTerms,
  type PlacedCommand,
} from '#domain';

const DAY = Date.UTC(2026, 0, 5);
const DAY_MS = 24 * 60 * 60 * 1000;
const TIME = /^(?:day (\d+) )?(\d\d):(\d\d)(?::(\d\d(?:\.\d{3})?))?$/;

/** `09:30`, `09:30:15.250` or `day 3 09:30`, in UTC; the first day is day 1. */
const timeOfDaySchema = z.string().regex(TIME);

function timeOf(text: string): number {
  const [, day = '1', hours, minutes, seconds = '0'] = TIME.exec(text) ?? [];
  return DAY + (Number(day) - 1) * DAY_MS + (Number(hours) * 60 + Number(minutes)) * 60_000 + Number(seconds) * 1000;
}

const termsSchema = z.strictObject({
  digest: z.string(),
  agents: z.array(z.string()).default(['clerk']),
  permissions: z.record(z.string(), permissionSchema),
  basis: z.string().optional().describe('Digest of what requests rest on in it; left out: its own digest.'),
  break_glass: z.strictObject({ role: z.string(), max_duration: durationSchema }).optional(),
  lists: z.record(z.string(), z.array(z.string())).default({}),
});

const fieldsSchema = z.record(z.string(), z.unknown());

const caseSchema = z
  .strictObject({
    case: z.string().describe('What an auditor is promised.'),
    charter: z
      .union([termsSchema, z.literal('none')])
      .optional()
      .describe('In force now, when it is another one.'),
    given: z.array(fieldsSchema).default([]),
    when: fieldsSchema.and(z.looseObject({ at: timeOfDaySchema })).optional(),
    then: z.array(fieldsSchema).optional(),
    ask: z
      .strictObject({
        at: timeOfDaySchema,
        permission: z.string(),
        action: actionSchema,
        intent: z.string().default('intent 1'),
        digest: z.string().default('digest A'),
        chain: z.string().optional(),
        proven_from: z.string().optional().describe('The agent that the proven causes lead back to.'),
        on_behalf_of: z.string().optional(),
        re_evaluation_of: z.string().optional().describe('The request for approval that has ended.'),
      })
      .optional(),
    answer: z
      .strictObject({
        granted_by: z.string().optional(),
        why: z.string().optional(),
        constraint: z.string().optional(),
        parameter: z.string().optional(),
        expected: z.string().optional(),
        got: z.string().optional(),
      })
      .optional(),
  })
  .refine(
    (one) =>
      (one.when === undefined) === (one.then === undefined) && (one.ask === undefined) === (one.answer === undefined),
    'a `when` has its `then`, an `ask` its `answer`',
  )
  .refine((one) => one.when !== undefined || one.ask !== undefined, 'has neither `when` nor `ask`');

const fileSchema = z.strictObject({
  about: z.string(),
  charter: termsSchema,
  /** Named with anchors, so that cases can say `*asked`. */
  history: fieldsSchema.optional(),
  cases: z.array(caseSchema).min(1),
});

/** `constraint` and what follows: how the one grant that was considered is not kept. */
type Answer = NonNullable<z.infer<typeof caseSchema>['answer']>;

/** One case, ready to be played. */
export interface PermissionCase {
  readonly name: string;
  readonly given: readonly PermissionEvent[];
  readonly when?: { readonly command: PlacedCommand; readonly then: readonly object[] };
  readonly ask?: { readonly question: AuthorityQuestion; readonly answer: Answer };
}

export interface PermissionCaseFile {
  readonly file: string;
  readonly about: string;
  readonly cases: readonly PermissionCase[];
}

/** `digest A`, `intent 1`, times and durations become what they stand for, at any depth. */
function meant(value: unknown): unknown {
  if (typeof value === 'string') {
    const digest = /^digest ([A-F])$/.exec(value)?.[1];
    if (digest !== undefined) return digest.toLowerCase().repeat(64);
    const intent = /^intent (\d)$/.exec(value)?.[1];
    if (intent !== undefined) return `01900000-0000-7000-8000-00000000000${intent}`;
    return TIME.test(value) ? new Date(timeOf(value)).toISOString() : value;
  }
  if (Array.isArray(value)) return value.map(meant);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      const isDuration = (name === 'duration' || name === 'wait') && typeof inner === 'string';
      return isDuration ? [`${name}Ms`, durationMs(inner) ?? Number(inner)] : [name, meant(inner)];
    }),
  );
}

function termsOf(charter: z.infer<typeof termsSchema> | 'none', agentId: string): PermissionTerms | undefined {
  if (charter === 'none') return undefined;
  const glass = charter.break_glass;
  return {
    charterDigest: String(meant(charter.digest)),
    agentKnown: charter.agents.includes(agentId),
    permissions: new Map(
      Object.entries(charter.permissions).map(([name, { max_duration: longest = '1h', approvals, bind = [] }]) => [
        name,
        { maxDurationMs: durationMs(longest) ?? 0, approvals, bind },
      ]),
    ),
    lists: new Set(Object.keys(charter.lists)),
    basisOf: () => String(meant(charter.basis ?? charter.digest)),
    breakGlass: glass && { role: glass.role, maxDurationMs: durationMs(glass.max_duration) ?? 0 },
  };
}

function loadFile(file: string, text: string): PermissionCaseFile {
  const checked = fileSchema.safeParse(parse(text, { merge: true, maxAliasCount: -1 }));
  if (!checked.success) throw new Error(`${file}: ${z.prettifyError(checked.error)}`);
  const { about, charter, cases } = checked.data;
  return { file, about, cases: cases.map((one) => permissionCase(one, charter)) };
}

/** `repeat: 3` stands for three such events, whose own ids end in -1, -2 and -3. */
function repeated({ repeat, ...event }: Record<string, unknown>): Record<string, unknown>[] {
  if (typeof repeat !== 'number') return [event];
  return Array.from({ length: repeat }, (_, index) =>
    Object.fromEntries(
      Object.entries(event).map(([name, value]) => {
        const isOwnId = name === 'grantId' || name === 'requestId' || name === 'commandId';
        return [name, isOwnId ? `${String(value)}-${String(index + 1)}` : value];
      }),
    ),
  );
}

/** What a case leaves unsaid is of no importance to it: who, why and under which id. */
function permissionCase(one: z.infer<typeof caseSchema>, charter: z.infer<typeof termsSchema>): PermissionCase {
  const given = one.given.flatMap(repeated).map((event, index) =>
    permissionEventSchema.parse({
      agentId: 'clerk',
      version: index + 1,
      commandId: `given-${String(index + 1)}`,
      by: 'somebody',
      reason: 'as the case says',
      ...(event['event'] === 'PermissionRequested' ? { basis: meant(event['charterDigest']) } : {}),
      ...(meant(event) as object),
    }),
  );
  const inForce = one.charter ?? charter;
  const { when, then, ask, answer } = one;
  return {
    name: one.case,
    given,
    ...(when && then
      ? { when: { command: placed(when, inForce), then: then.map((event) => meant(event) as object) } }
      : {}),
    ...(ask && answer ? { ask: { question: questionOf(ask, inForce), answer } } : {}),
  };
}

function placed({ at, ...fields }: { at: string }, charter: z.infer<typeof termsSchema> | 'none'): PlacedCommand {
  const meantFields = meant(fields) as Record<string, unknown>;
  const command = permissionCommandSchema.parse({
    agentId: 'clerk',
    commandId: 'now',
    by: 'somebody',
    reason: 'as the case says',
    // counted only where the case says how often
    ...(meantFields['durationMs'] === undefined ? {} : { uses: null }),
    ...meantFields,
  });
  return { command, at: timeOf(at), terms: termsOf(charter, command.agentId) };
}

function questionOf(
  ask: NonNullable<z.infer<typeof caseSchema>['ask']>,
  charter: z.infer<typeof termsSchema> | 'none',
): AuthorityQuestion {
  return {
    permission: ask.permission,
    actionDigest: String(meant(ask.digest)),
    judgedAt: timeOf(ask.at),
    charterDigest: charter === 'none' ? null : String(meant(charter.digest)),
    reEvaluationOf: ask.re_evaluation_of,
    provenFrom: ask.proven_from,
    inList: (list, text) => charter !== 'none' && (charter.lists[list] ?? []).includes(text),
    intent: intentSchema.parse({
      agentId: 'clerk',
      intentId: meant(ask.intent),
      action: ask.action,
      chainId: ask.chain,
      onBehalfOf: ask.on_behalf_of,
    }),
  };
}

/** Every case file of this folder. */
export function loadPermissionCases(folder: string): PermissionCaseFile[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .map((file) => loadFile(file, readFileSync(join(folder, file), 'utf8')));
}
