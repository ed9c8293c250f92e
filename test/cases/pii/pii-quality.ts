import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { detectPii, PII_KINDS, type JsonValue, type PiiKind } from '#domain';

const parametersSchema = z.record(z.string(), z.json()) as z.ZodType<Record<string, JsonValue>>;
const trapSchema = z.strictObject({ title: z.string(), parameters: parametersSchema });
const positiveSchema = trapSchema.extend({ kinds: z.array(z.enum(PII_KINDS)).min(1) });

const halvesOf = <Schema extends z.ZodType>(schema: Schema) =>
  z.strictObject({ tuning: z.array(schema).min(1), 'held-out': z.array(schema).min(1) });

export type Half = 'tuning' | 'held-out';

export type PiiPositive = z.infer<typeof positiveSchema>;
export type PiiTrap = z.infer<typeof trapSchema>;

/** The labelled set, from the root of the repository. */
export function readPiiCases(root: string): {
  positives: Record<Half, PiiPositive[]>;
  traps: Record<Half, PiiTrap[]>;
} {
  const read = (name: string): unknown => parse(readFileSync(join(root, 'test', 'cases', 'pii', name), 'utf8'));
  return {
    positives: halvesOf(positiveSchema).parse(read('positives.yaml')),
    traps: halvesOf(trapSchema).parse(read('traps.yaml')),
  };
}

/** How well one half is told apart. A positive is found when all its kinds are; a trap is a false alarm when any is. */
export interface PiiQuality {
  readonly half: Half;
  readonly positives: number;
  readonly found: number;
  readonly traps: number;
  readonly falseAlarms: number;
  /** Found of all that hold personal data. */
  readonly recall: number;
  /** Rightly reported of all that are reported. */
  readonly precision: number;
  readonly missed: readonly { title: string; kinds: readonly PiiKind[]; reported: readonly PiiKind[] }[];
  readonly alarmed: readonly { title: string; reported: readonly PiiKind[] }[];
}

export function measurePiiQuality(
  half: Half,
  positives: readonly PiiPositive[],
  traps: readonly PiiTrap[],
): PiiQuality {
  const kindsIn = (parameters: Record<string, JsonValue>): PiiKind[] => detectPii(parameters).map(({ kind }) => kind);
  const missed = positives
    .map(({ title, parameters, kinds }) => ({ title, kinds, reported: kindsIn(parameters) }))
    .filter(({ kinds, reported }) => !kinds.every((kind) => reported.includes(kind)));
  const alarmed = traps
    .map(({ title, parameters }) => ({ title, reported: kindsIn(parameters) }))
    .filter(({ reported }) => reported.length > 0);
  const found = positives.length - missed.length;
  return {
    half,
    positives: positives.length,
    found,
    traps: traps.length,
    falseAlarms: alarmed.length,
    recall: found / positives.length,
    precision: found / (found + alarmed.length),
    missed,
    alarmed,
  };
}
