import { z } from 'zod';
import { MAX_REASON_LENGTH } from './plain-text.js';
import { canonicalJson } from './canonical-json.js';
import type { Sha256 } from './digest.js';

/** What can be wrong between the log and those who read it. */
export const LOG_DISCREPANCY_KINDS = [
  /** Messages were deleted from the log before the reader had read them. */
  'log-cut',
  /** The log ends before what the reader has read: it was truncated, or the topic was made anew. */
  'log-lost',
  /** The event store holds another event than the log under the same version of an agent. */
  'stream-forked',
  /** Checkpoints were signed and published that the database does not hold: it is older than they are. */
  'checkpoints-lost',
] as const;

/** The reader of whatever the audit log holds. */
export const AUDIT_LOG_READER = 'audit log';
/** The reader that compares the event store with `permission.events`. */
export const EVENT_STORE_READER = 'event store';
/** The reader that every judging process is anew at each start: its materialized views of the control topics. */
export const VIEWS_READER = 'views';

export const logDiscrepancySchema = z.object({
  id: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .describe('Of exactly this discrepancy: kind, place, reader and range.'),
  kind: z.enum(LOG_DISCREPANCY_KINDS),
  topic: z.string(),
  partition: z.int().min(0),
  reader: z.string().describe('A consumer group, `audit log`, `event store` or `views`.'),
  from: z.int().min(0).describe('First offset concerned; of `checkpoints-lost` the first epoch.'),
  to: z.int().min(0).describe('The offset after the last one concerned, or the epoch.'),
  stream: z.string().optional().describe('The agent, of `stream-forked`.'),
  version: z.int().optional().describe('The version from which on the two differ, of `stream-forked`.'),
});
export type LogDiscrepancy = z.infer<typeof logDiscrepancySchema>;

/** What is said of discrepancies on the log. */
export const logDiscrepancyEventSchema = z.discriminatedUnion('event', [
  z.object({
    event: z.literal('LogDiscrepancyFound'),
    at: z.iso.datetime({ precision: 3 }).describe('By the clock of the process that found it.'),
    discrepancy: logDiscrepancySchema,
  }),
  z.object({
    event: z.literal('LogDiscrepancyAcknowledged'),
    at: z.iso.datetime({ precision: 3 }),
    id: logDiscrepancySchema.shape.id,
    by: z.string().min(1).max(256).describe('The person, as the control API has authenticated them.'),
    reason: z.string().min(1).max(MAX_REASON_LENGTH),
  }),
]);
export type LogDiscrepancyEvent = z.infer<typeof logDiscrepancyEventSchema>;

/** A discrepancy as it stands. */
export interface StandingDiscrepancy {
  readonly discrepancy: LogDiscrepancy;
  readonly foundAt: string;
  readonly acknowledged?: { readonly by: string; readonly reason: string; readonly at: string } | undefined;
}

/** Every discrepancy that was ever found, by id. */
export type LogDiscrepancies = ReadonlyMap<string, StandingDiscrepancy>;

/** Found twice is found once; an acknowledgement counts for what was found before it. */
export function evolveDiscrepancies(before: LogDiscrepancies, event: LogDiscrepancyEvent): LogDiscrepancies {
  switch (event.event) {
    case 'LogDiscrepancyFound': {
      const { discrepancy, at } = event;
      if (before.has(discrepancy.id)) return before;
      return new Map(before).set(discrepancy.id, { discrepancy, foundAt: at });
    }
    case 'LogDiscrepancyAcknowledged': {
      const found = before.get(event.id);
      if (found === undefined || found.acknowledged !== undefined) return before;
      const { by, reason, at } = event;
      return new Map(before).set(event.id, { ...found, acknowledged: { by, reason, at } });
    }
    default:
      return event satisfies never;
  }
}

/** With the id that makes it this one and no other. */
export function logDiscrepancy(said: Omit<LogDiscrepancy, 'id'>, sha256: Sha256): LogDiscrepancy {
  return { id: sha256(canonicalJson(said)).slice(0, 16), ...said };
}

/** How far a reader has come in one partition: everything before `next` is its own. */
export interface ReaderPosition {
  readonly reader: string;
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
}

/** Where logs begin and end: for each topic, an offset for each partition. */
export interface LogBounds {
  readonly starts: ReadonlyMap<string, readonly number[]>;
  readonly ends: ReadonlyMap<string, readonly number[]>;
}

/** Readers that have come further than the log goes, or whose next message is no longer kept. */
export function compareWithLog(
  positions: readonly ReaderPosition[],
  { starts, ends }: LogBounds,
  sha256: Sha256,
): readonly LogDiscrepancy[] {
  return positions.flatMap(({ reader, topic, partition, next }) => {
    const start = starts.get(topic)?.[partition];
    const end = ends.get(topic)?.[partition];
    const place = { topic, partition, reader };
    if (start !== undefined && next < start) {
      return [logDiscrepancy({ kind: 'log-cut', ...place, from: next, to: start }, sha256)];
    }
    if (end !== undefined && next > end) {
      return [logDiscrepancy({ kind: 'log-lost', ...place, from: end, to: next }, sha256)];
    }
    return [];
  });
}

/**
 * Whether a finding is one that is known: the same, a log that was lost and has got new messages since, or a log that
 * views cannot be built from, whichever snapshot they begin with. A log that was cut or lost further is another one.
 */
export function knownAs(found: LogDiscrepancy, known: LogDiscrepancies): StandingDiscrepancy | undefined {
  const same = known.get(found.id);
  if (same !== undefined) return same;
  return [...known.values()].find(({ discrepancy: { kind, topic, partition, reader, from, to } }) => {
    if (kind !== found.kind || reader !== found.reader || to !== found.to) return false;
    if (topic !== found.topic || partition !== found.partition) return false;
    return kind === 'log-lost' ? found.from >= from : kind === 'log-cut' && reader === VIEWS_READER;
  });
}

export function openDiscrepancies(known: LogDiscrepancies): readonly StandingDiscrepancy[] {
  return [...known.values()].filter(({ acknowledged }) => acknowledged === undefined);
}

/** Who reads on, and where. */
export interface ReadingOn {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
}

export interface HoldRules {
  /** Topics without which nobody knows what the charter says and what agents may do. */
  readonly controlTopics: readonly string[];
  /** The group that only stores, and judges nothing. */
  readonly auditGroup: string;
}

/**
 * The open discrepancy for which a group must not go on in a partition; `undefined`: it may. While it is in doubt what
 * the control topics say, nobody judges and no command is handled; the audit log waits only where it is concerned.
 */
export function heldBy(
  known: LogDiscrepancies,
  { group, topic, partition }: ReadingOn,
  { controlTopics, auditGroup }: HoldRules,
): LogDiscrepancy | undefined {
  return openDiscrepancies(known)
    .map(({ discrepancy }) => discrepancy)
    .find(({ kind, reader, topic: where, partition: which }) => {
      const isHere = where === topic && which === partition;
      if (group === auditGroup) return isHere && reader === AUDIT_LOG_READER;
      // an agent whose stream is forked gets no further events; what the log says of it holds
      if (kind === 'stream-forked' || kind === 'checkpoints-lost') return false;
      if (controlTopics.includes(where)) return true;
      // one reader has shown that positions mean something else than they did: to every reader
      return kind === 'log-lost' && isHere;
    });
}

/**
 * Up to here, what lies in a partition is void for a group: the log was lost, and made good by a person. To the audit
 * log nothing is void that it does not hold.
 */
export function voidBefore(
  known: LogDiscrepancies,
  { group, topic, partition }: ReadingOn,
  { auditGroup }: Pick<HoldRules, 'auditGroup'>,
): number {
  let before = 0;
  for (const { discrepancy, acknowledged } of known.values()) {
    const { kind, reader } = discrepancy;
    if (acknowledged === undefined || kind !== 'log-lost') continue;
    if (group === auditGroup && reader !== AUDIT_LOG_READER) continue;
    if (discrepancy.topic === topic && discrepancy.partition === partition) before = Math.max(before, discrepancy.to);
  }
  return before;
}

/** In one sentence, for operators. */
export function discrepancySentence({
  kind,
  topic,
  partition,
  reader,
  from,
  to,
  stream = '',
  version = 0,
}: LogDiscrepancy): string {
  const place = `${topic}/${String(partition)}`;
  const count = to - from;
  const range = `${String(count)} offset${count === 1 ? '' : 's'} (${String(from)} to ${String(to - 1)})`;
  switch (kind) {
    case 'log-cut':
      if (reader === VIEWS_READER)
        return `${range} of ${place} were deleted from the log, and views are built from them`;
      return `${range} of ${place} were deleted from the log before ${reader} had read them`;
    case 'log-lost':
      return `${range} of ${place} that ${reader} has read are no longer on the log: it was truncated, or the topic was made anew`;
    case 'stream-forked':
      return `the event store and ${place} hold different events of agent ${stream} from version ${String(version)} on`;
    case 'checkpoints-lost':
      return `checkpoints ${String(from)} to ${String(to - 1)} were published and are not in the database: it was restored from an older backup`;
    default:
      return kind satisfies never;
  }
}
