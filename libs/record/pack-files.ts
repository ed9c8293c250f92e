import { join } from 'node:path';
import { z } from 'zod';
import type { PartitionName } from '#domain';
import type { HistoryEntry } from './history.js';

/*
 * An evidence pack is a folder:
 *   manifest.json      what it holds, and what was asked for
 *   checkpoints.jsonl  every checkpoint, from the first on
 *   proofs.jsonl       of a selection: each entry with its inclusion proof
 *   keys.jsonl         of a selection that was opened: the keys of its sealed entries
 *   events.jsonl       of a selection that was opened: what the entries say, to be read
 *   charters/          the charters named by its decisions, by digest
 *   entries/, leaves/  of all of the record: every entry and every leaf, a file for each partition
 *   README.md          how to verify it
 */

export const manifestSchema = z.strictObject({
  format: z.literal('remit.evidence/1'),
  holds: z.enum(['selection', 'everything']),
  selection: z.record(z.string(), z.string()),
  exportedAt: z.iso.datetime({ precision: 3 }),
  entries: z.int().min(0),
  opened: z.boolean(),
  publicKey: z.base64().describe('As the record has it: trust the key that you were given instead.'),
});

export type PackManifest = z.infer<typeof manifestSchema>;

export const keySchema = z.strictObject({ id: z.uuid(), key: z.base64() });

export const leavesSchema = z.strictObject({ epoch: z.int().min(1), hashes: z.base64() });

export const readableSchema = z.strictObject({
  topic: z.string(),
  partition: z.int(),
  offset: z.int(),
  appendTime: z.iso.datetime({ precision: 3 }),
  headers: z.array(z.tuple([z.string(), z.string()])),
  value: z.string().nullable(),
});

export type Readable = z.infer<typeof readableSchema>;

export function partitionFile(folder: string, kind: 'entries' | 'leaves', { topic, partition }: PartitionName): string {
  return join(folder, kind, encodeURIComponent(topic), `${String(partition)}.jsonl`);
}

export function readableOf(
  at: { readonly topic: string; readonly partition: number; readonly offset: number; readonly appendTime: number },
  content: Pick<HistoryEntry, 'headers' | 'value'>,
): Readable {
  const headers = Object.entries(content.headers).flatMap(([name, values]) =>
    (Buffer.isBuffer(values) ? [values] : (values as readonly Buffer[])).map((value): [string, string] => [
      name,
      value.toString('utf8'),
    ]),
  );
  const { topic, partition, offset, appendTime } = at;
  const time = new Date(appendTime).toISOString();
  return { topic, partition, offset, appendTime: time, headers, value: content.value?.toString('utf8') ?? null };
}
