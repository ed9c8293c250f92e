import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseDocument, isMap, isSeq } from 'yaml';
import { z } from 'zod';
import { outcomeSchema, triggerSchema } from '#domain';

const expectationSchema = z.union([
  z.strictObject({
    outcome: outcomeSchema,
    wouldBe: outcomeSchema.optional(),
    /** Every rule that must be in the decision, as `layer/rule`. No other may be. */
    rules: z.array(z.string()).default([]),
  }),
  z.strictObject({ dead_letter: z.string() }),
]);

const stepSchema = z.strictObject({
  step: z.string(),
  agent: z.string(),
  action: z.record(z.string(), z.unknown()).optional(),
  /** Sent as it is, instead of an action: what no well-behaved agent sends. */
  raw: z.string().optional(),
  trigger: triggerSchema.optional(),
  on_behalf_of: z.string().optional(),
  /** An earlier step of the same story. */
  caused_by: z.string().optional(),
  /** What the agent reports after an allow. */
  then: z.enum(['executed', 'failed', 'rolled-back']).optional(),
  expect: expectationSchema,
});

export const storySchema = z.strictObject({
  story: z.string(),
  charter: z.string().describe('Path of the charter, from the root of the repository.'),
  /** Moves the charter to a zone where now is inside or outside business hours. */
  hours: z.enum(['open now', 'closed now']).default('open now'),
  /** All steps belong to one chain of this name. */
  chain: z.string().optional(),
  steps: z.array(stepSchema).min(1),
});

/** A pattern the article names, as data: played by the demo and by the tests. */
export type Story = z.infer<typeof storySchema>;
export type StoryStep = Story['steps'][number];

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
const HOUR_OF = { 'open now': 12, 'closed now': 3 } as const;

/** A zone without daylight saving in which it is now the given hour. `Etc/GMT-3` is three hours ahead of UTC. */
function zoneWhereItIs(hour: number, now: number): string {
  const behind = (Math.floor(now / HOUR_MS) - hour + 24) % 24;
  return behind <= 12 ? `Etc/GMT+${String(behind)}` : `Etc/GMT-${String(24 - behind)}`;
}

/**
 * The charter moved to a zone in which it is noon now, or three at night, with every weekday in its time windows. So a
 * story about hours, and one that is not about them, plays alike at any time of any day.
 */
export function charterTextAt(text: string, hours: Story['hours'], now: number): string {
  const timezone = zoneWhereItIs(HOUR_OF[hours], now);
  const document = parseDocument(text);
  document.set('timezone', timezone);
  const boundaries = document.get('boundaries');
  for (const boundary of isSeq(boundaries) ? boundaries.items : []) {
    if (!isMap(boundary) || !boundary.has('hours')) continue;
    boundary.set('timezone', timezone);
    boundary.set('days', 'mon-sun');
  }
  return document.toString();
}
