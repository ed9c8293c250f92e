import { z } from 'zod';
import type { Decision, Outcome } from '../decision/decision.js';
import { missingFactsSchema, type MissingFacts, type Replay } from './replay.js';

/** What most people fear first: what was not allowed, and would be. Then what would be stopped. */
export const CHANGES = [
  'deny-to-allow',
  'hold-to-allow',
  'deny-to-hold',
  'allow-to-deny',
  'allow-to-hold',
  'hold-to-deny',
] as const;
export const changeKindSchema = z.enum(CHANGES);
export type ChangeKind = z.infer<typeof changeKindSchema>;

export function changeKind(from: Outcome, to: Outcome): ChangeKind | undefined {
  return CHANGES.find((kind) => kind === `${from}-to-${to}`);
}

/** Of each change so many examples are kept, and of differences so many places: a report has a size of its own. */
const EXAMPLES = 5;

const count = z.int().min(0);

/** A decision that changed or differs: `because` are the rules behind it, or the paths at which the bodies differ. */
const exampleSchema = z.strictObject({
  topic: z.string(),
  partition: count,
  offset: count,
  appendTime: z.int().describe('ms since the epoch'),
  agentId: z.string(),
  intentId: z.string(),
  decisionId: z.string(),
  action: z.string(),
  because: z.array(z.string()),
  reasons: z.array(z.string()),
});
export type ReplayExample = z.infer<typeof exampleSchema>;

/** Where a replayed decision lies. */
export type ReplayedAt = Pick<ReplayExample, 'topic' | 'partition' | 'offset' | 'appendTime'>;

export interface ChangeReport {
  count: number;
  /** A decision counts for every rule behind its change. */
  readonly rules: Map<string, number>;
  readonly agents: Map<string, number>;
  readonly examples: ReplayExample[];
}

/** What came of a replay so far. Its size depends on the number of rules and agents, not of decisions. */
export interface ReplayReport {
  decisions: number;
  identical: number;
  /** Judged by a candidate or recorded by another engine, with the outcome that was recorded. */
  sameOutcome: number;
  differing: number;
  readonly differences: ReplayExample[];
  readonly notReplayable: Map<MissingFacts, number>;
  readonly changes: Map<ChangeKind, ChangeReport>;
}

export function emptyReport(): ReplayReport {
  return {
    decisions: 0,
    identical: 0,
    sameOutcome: 0,
    differing: 0,
    differences: [],
    notReplayable: new Map(),
    changes: new Map(),
  };
}

function countIn<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function exampleOf(
  at: ReplayedAt,
  decision: Decision,
  because: readonly string[],
  reasons: readonly string[],
): ReplayExample {
  const { agentId, intentId, decisionId, action } = decision;
  const { topic, partition, offset, appendTime } = at;
  return {
    ...{ topic, partition, offset, appendTime, agentId, intentId, decisionId },
    action: `${action.type} on ${action.target}`,
    because: [...because],
    reasons: [...reasons],
  };
}

/** Adds a decision whose facts the record has not kept. */
export function addNotReplayable(report: ReplayReport, why: MissingFacts): void {
  report.decisions += 1;
  countIn(report.notReplayable, why);
}

/** Adds what came of one decision to the report. */
export function addReplay(report: ReplayReport, at: ReplayedAt, decision: Decision, replay: Replay): void {
  switch (replay.standing) {
    case 'not-replayable':
      addNotReplayable(report, replay.why);
      return;
    case 'identical':
      report.identical += 1;
      break;
    case 'differs':
      report.differing += 1;
      if (report.differences.length < EXAMPLES)
        report.differences.push(exampleOf(at, decision, replay.paths, [`now ${replay.again.outcome}`]));
      break;
    case 'compared':
      addChange(report, at, decision, replay.change);
      break;
    default:
      replay satisfies never;
  }
  report.decisions += 1;
}

function addChange(
  report: ReplayReport,
  at: ReplayedAt,
  decision: Decision,
  change: Extract<Replay, { standing: 'compared' }>['change'],
): void {
  const kind = change && changeKind(change.from, change.to);
  if (change === undefined || kind === undefined) {
    report.sameOutcome += 1;
    return;
  }
  let changed = report.changes.get(kind);
  if (changed === undefined) {
    changed = { count: 0, rules: new Map(), agents: new Map(), examples: [] };
    report.changes.set(kind, changed);
  }
  changed.count += 1;
  for (const rule of change.rules) countIn(changed.rules, rule);
  countIn(changed.agents, decision.agentId);
  if (changed.examples.length < EXAMPLES) {
    changed.examples.push(exampleOf(at, decision, change.rules, change.reasons));
  }
}

/** How many decisions were decided again: all but those that are not replayable. */
export function comparedIn({ decisions, notReplayable }: Pick<ReplayReport, 'decisions' | 'notReplayable'>): number {
  return [...notReplayable.values()].reduce((left, count) => left - count, decisions);
}

/** Counts in descending order, then by name. */
export function ranked<Name extends string>(counts: ReadonlyMap<Name, number>): [Name, number][] {
  return [...counts].sort(([one, many], [other, more]) => more - many || (one < other ? -1 : 1));
}

const rankedSchema = z.array(z.tuple([z.string(), count])).describe('Most first.');

/** A report as JSON. */
export const replayReportSchema = z.strictObject({
  decisions: count,
  identical: count,
  sameOutcome: count.describe('Judged by a candidate, or recorded by another engine: with the outcome on record.'),
  differing: count,
  differences: z.array(exampleSchema),
  notReplayable: z.array(z.tuple([missingFactsSchema, count])),
  changes: z.array(
    z.strictObject({
      change: changeKindSchema,
      count,
      rules: rankedSchema,
      agents: rankedSchema,
      examples: z.array(exampleSchema),
    }),
  ),
});
export type ReplayReportJson = z.infer<typeof replayReportSchema>;

export function reportToJson(report: ReplayReport): ReplayReportJson {
  const { changes, notReplayable, ...counts } = report;
  return {
    ...counts,
    notReplayable: ranked(notReplayable),
    changes: CHANGES.flatMap((change) => {
      const changed = changes.get(change);
      if (changed === undefined) return [];
      return [{ ...changed, change, rules: ranked(changed.rules), agents: ranked(changed.agents) }];
    }),
  };
}

/** The inverse of {@link reportToJson}, to go on from. */
export function reportFromJson({ notReplayable, changes, ...counts }: ReplayReportJson): ReplayReport {
  return {
    ...counts,
    notReplayable: new Map(notReplayable),
    changes: new Map(
      changes.map(({ change, rules, agents, ...rest }) => [
        change,
        { ...rest, rules: new Map(rules), agents: new Map(agents) },
      ]),
    ),
  };
}
