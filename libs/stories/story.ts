import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseDocument, isMap, isSeq } from 'yaml';
import { z } from 'zod';
import { durationSchema, outcomeSchema, stageSchema, triggerSchema } from '#domain';

const expectationSchema = z.union([
  z.strictObject({
    outcome: outcomeSchema,
    wouldBe: outcomeSchema.optional(),
    rules: z
      .array(z.string())
      .default([])
      .describe('Every rule that must be in the decision, as layer/rule. No other may be.'),
  }),
  z.strictObject({ dead_letter: z.string() }),
]);

const proposalSchema = z.strictObject({
  step: z.string(),
  agent: z.string(),
  action: z.record(z.string(), z.unknown()),
  trigger: triggerSchema.optional(),
  on_behalf_of: z.string().optional(),
  caused_by: z.string().optional().describe('An earlier step of the same scenario.'),
  then: z
    .enum(['executed', 'failed'])
    .optional()
    .describe('Once allowed, the agent acts, with this result. Without it, it does nothing.'),
  expect: expectationSchema,
});

/** What no well-behaved agent sends. */
const rawSchema = z.strictObject({
  step: z.string(),
  agent: z.string(),
  raw: z.string().describe('The bytes of the message, as text.'),
  expect: expectationSchema,
});

/** The final word on an earlier step that was held. */
const settledSchema = z.strictObject({
  step: z.string(),
  settles: z.string().describe('The earlier step that was held.'),
  expect: expectationSchema,
});

const person = { by: z.string(), roles: z.array(z.string()), reason: z.string() };
const grantSchema = z.strictObject({
  ...person,
  agent: z.string(),
  permission: z.string(),
  for: durationSchema,
  uses: z.int().min(1).optional(),
});
const agentOrderSchema = z.strictObject({ ...person, agent: z.string() });
const answerSchema = z.strictObject({ ...person, held: z.string().describe('The step whose action waits.') });

/** What a person orders at the door between two steps. */
const orderSchema = z.union([
  z.strictObject({ grant: grantSchema }),
  z.strictObject({ revoke_all: agentOrderSchema }),
  z.strictObject({ suspend: agentOrderSchema }),
  z.strictObject({ reinstate: agentOrderSchema }),
  z.strictObject({ approve: answerSchema }),
  z.strictObject({ reject: answerSchema }),
]);

const waitSchema = z.strictObject({ wait: durationSchema });

export const storySchema = z.strictObject({
  story: z.string(),
  charter: z.string().describe('Path of the charter, from the root of the repository.'),
  stage: stageSchema.optional().describe('Instead of the stage in the charter.'),
  hold_for: z.string().optional().describe('Instead of how long the charter lets a held action wait for people.'),
  hours: z
    .enum(['open now', 'closed now'])
    .default('open now')
    .describe('Moves the charter to a zone where now is inside or outside business hours.'),
  chain: z.string().optional().describe('All steps belong to one chain of this name.'),
  steps: z.array(z.union([proposalSchema, rawSchema, settledSchema, orderSchema, waitSchema])).min(1),
});

/** A pattern the article names, as data: played by the demo and by the tests. */
export type Story = z.infer<typeof storySchema>;
export type StoryProposal = z.infer<typeof proposalSchema>;
export type StoryOrder = z.infer<typeof orderSchema>;

/** The steps that Remit decides; people's orders and waits lie between them. */
export function judgedStepsOf(story: Story): string[] {
  return story.steps.flatMap((step) => ('step' in step ? [step.step] : []));
}

/** Every `*.story.yaml` of a folder, in the order of their names. */
export function loadStories(folder: string): Story[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.story.yaml'))
    .sort()
    .map((file) => {
      const checked = storySchema.safeParse(parse(readFileSync(join(folder, file), 'utf8')));
      if (!checked.success) throw new Error(`${file}: ${z.prettifyError(checked.error)}`);
      return checked.data;
    });
}

const HOUR_MS = 60 * 60 * 1000;
const DECISION_TTL = '5m';
const HOUR_OF = { 'open now': 12, 'closed now': 3 } as const;

/** A zone without daylight saving in which it is now the given hour. `Etc/GMT-3` is three hours ahead of UTC. */
function zoneWhereItIs(hour: number, now: number): string {
  const behind = (Math.floor(now / HOUR_MS) - hour + 24) % 24;
  return behind <= 12 ? `Etc/GMT+${String(behind)}` : `Etc/GMT-${String(24 - behind)}`;
}

/**
 * The charter as a story wants it: moved to a zone in which it is noon now, or three at night, with every weekday in its
 * time windows. So a story about hours, and one that is not about them, plays alike at any time of any day; and with a
 * decision that is valid for as long as any machine takes, it plays alike on each.
 */
export function charterTextOf(
  { hours, stage, hold_for: holdFor }: Pick<Story, 'hours' | 'stage' | 'hold_for'>,
  text: string,
  now: number,
): string {
  const timezone = zoneWhereItIs(HOUR_OF[hours], now);
  const document = parseDocument(text);
  if (stage !== undefined) document.set('stage', stage);
  const permissions = document.get('permissions');
  if (holdFor !== undefined && isMap(permissions)) {
    for (const { value } of permissions.items) if (isMap(value)) value.set('hold_for', holdFor);
  }
  document.set('timezone', timezone);
  document.set('decision_ttl', DECISION_TTL);
  const boundaries = document.get('boundaries');
  for (const boundary of isSeq(boundaries) ? boundaries.items : []) {
    if (!isMap(boundary) || !boundary.has('hours')) continue;
    boundary.set('timezone', timezone);
    boundary.set('days', 'mon-sun');
  }
  return document.toString();
}
