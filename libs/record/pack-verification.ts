import type { KeyObject } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { z } from 'zod';
import {
  checkpointSchema,
  entryDocumentSchema,
  entryOfDocument,
  inclusionProofSchema,
  verifyProofs,
  verifyRecord,
  placeName,
  type ChainedEntry,
  type Checkpoint,
  type EntryDocument,
  type InclusionProof,
  type PartitionName,
  type RecordReport,
  type RecordSource,
  type Trust,
} from '#domain';
import { charterEventIn } from './governing-events.js';
import type { HistoryEntry } from './history.js';
import { ENTRIES_PER_PAGE } from './history-reading.js';
import {
  keySchema,
  leavesSchema,
  manifestSchema,
  partitionFile,
  readableOf,
  readableSchema,
  type PackManifest,
} from './pack-files.js';
import { proofCrypto } from './proof-crypto.js';
import { RecordError } from './record-error.js';
import { openContent, secretKey } from './sealing.js';
import { headersFromText } from './stored-headers.js';

export interface PackReport extends RecordReport {
  readonly manifest: PackManifest;
  /** Events whose readable text was opened from what is proven, and found to be the same. */
  readonly opened: number;
  /** Readable texts and charters that what is proven does not bear out. */
  readonly unfounded: readonly string[];
}

/** Verifies an evidence pack without any database. Throws `REMIT_RECORD_EXPORT_UNREADABLE`. */
export async function verifyPack(folder: string, trust: Trust): Promise<PackReport> {
  const manifest = await readManifest(folder);
  if (manifest.holds === 'everything') {
    const report = withCheckpoint(await verifyRecord(new ExportedRecord(folder), trust, proofCrypto));
    const unfounded: string[] = [];
    for (const name of READABLE) if (await isThere(join(folder, name))) unfounded.push(name);
    if (report.faults.length === 0) unfounded.push(...miscounted(manifest, report.proven + report.notYetProven));
    return { ...report, manifest, opened: 0, unfounded };
  }
  const proofs = (): AsyncGenerator<InclusionProof> => linesOf(join(folder, 'proofs.jsonl'), inclusionProofSchema);
  const source = { checkpoints: () => new ExportedRecord(folder).checkpoints(), proofs };
  const report = await verifyProofs(source, trust, proofCrypto);
  return { ...report, manifest, ...(await verifyReadable(folder, manifest, proofs())) };
}

/** What a selection has to be read by. All of the record has none of it. */
const READABLE = ['proofs.jsonl', 'keys.jsonl', 'events.jsonl', 'charters'];

/** An export begins with a checkpoint: where there is none, anybody could have written what is in it. */
function withCheckpoint(report: RecordReport): RecordReport {
  if (report.checkpoints > 0 || report.faults.length > 0 || report.notYetProven === 0) return report;
  const what = 'there is no checkpoint at all: nothing was signed';
  return { ...report, faults: [{ kind: 'checkpoint-missing', epoch: 1, what }] };
}

function miscounted({ entries }: PackManifest, found: number): string[] {
  return entries === found ? [] : [`manifest.json: ${String(entries)} entries, where ${String(found)} were found,`];
}

async function readManifest(folder: string): Promise<PackManifest> {
  const file = join(folder, 'manifest.json');
  try {
    return manifestSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    throw new RecordError('REMIT_RECORD_EXPORT_UNREADABLE', `${file} is no manifest of an export`, { cause: error });
  }
}

/** Whether what there is to read is what the proven entries hold. */
async function verifyReadable(
  folder: string,
  manifest: PackManifest,
  proofs: AsyncIterable<InclusionProof>,
): Promise<Pick<PackReport, 'opened' | 'unfounded'>> {
  const keys = new Map<string, KeyObject>();
  const readable = new Map<string, string>();
  const unfounded: string[] = [];
  const isOpened = manifest.opened || (await isThere(join(folder, 'events.jsonl')));
  if (isOpened) {
    for await (const { id, key } of linesOf(join(folder, 'keys.jsonl'), keySchema))
      keys.set(id, secretKey(Buffer.from(key, 'base64')));
    for await (const { line, value } of textLinesOf(join(folder, 'events.jsonl'), readableSchema)) {
      const name = placeName(value);
      if (readable.has(name)) unfounded.push(`events.jsonl: ${name}, more than once,`);
      readable.set(name, line);
    }
  }
  const charters = new Map<string, string>();
  for (const name of await readdir(join(folder, 'charters')).catch(() => [])) {
    charters.set(name, await readFile(join(folder, 'charters', name), 'utf8'));
  }
  let opened = 0;
  let entries = 0;
  for await (const { entry } of proofs) {
    entries += 1;
    const content = contentOf(entryOfDocument(entry, proofCrypto), keys);
    if (content === undefined) continue;
    const charter = charterEventIn({ ...entry, key: bufferOf(entry.key), ...content });
    if (charter?.event === 'CharterActivated' && charters.get(`${charter.digest}.yaml`) === charter.text) {
      charters.delete(`${charter.digest}.yaml`);
    }
    if (!isOpened) continue;
    const name = placeName(entry);
    const text = readable.get(name);
    readable.delete(name);
    if (text === JSON.stringify(readableOf(entry, content))) opened += 1;
    else unfounded.push(text === undefined ? `events.jsonl without ${name}` : `events.jsonl: ${name}`);
  }
  unfounded.push(...miscounted(manifest, entries));
  unfounded.push(...[...readable.keys()].map((name) => `events.jsonl: ${name}`));
  unfounded.push(...[...charters.keys()].map((name) => `charters/${name}`));
  return { opened, unfounded };
}

/** An export of everything, as something to verify. */
class ExportedRecord implements RecordSource {
  readonly #leaves = new Map<string, Promise<ReadonlyMap<number, Uint8Array>>>();

  constructor(private readonly folder: string) {}

  checkpoints(): AsyncIterable<Checkpoint> {
    return linesOf(join(this.folder, 'checkpoints.jsonl'), checkpointSchema);
  }

  async leaves(epoch: number, of: PartitionName): Promise<Uint8Array> {
    const file = partitionFile(this.folder, 'leaves', of);
    const known = this.#leaves.get(file) ?? readLeaves(file);
    this.#leaves.set(file, known);
    return (await known).get(epoch) ?? new Uint8Array();
  }

  async partitions(): Promise<readonly PartitionName[]> {
    const folder = join(this.folder, 'entries');
    const found: PartitionName[] = [];
    for (const name of (await namesIn(folder)).sort()) {
      for (const file of await namesIn(join(folder, name))) {
        const partition = { topic: topicNamed(name), partition: Number.parseInt(file, 10) };
        // A file by another name would be there to be read, and never verified.
        const own = join(folder, name, file);
        if (own !== partitionFile(this.folder, 'entries', partition)) throw unreadable(own);
        found.push(partition);
      }
    }
    return found;
  }

  async *entries(of: PartitionName): AsyncGenerator<readonly ChainedEntry[]> {
    const file = partitionFile(this.folder, 'entries', of);
    if (!(await isThere(file))) return;
    let page: ChainedEntry[] = [];
    for await (const document of linesOf<EntryDocument>(file, entryDocumentSchema)) {
      // A file that holds another partition's entries is not this partition: as it is named, so it is hashed.
      page.push(entryOfDocument({ ...document, ...of }, proofCrypto));
      if (page.length < ENTRIES_PER_PAGE) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }
}

/** What is in a folder; nothing where there is none. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw unreadable(folder, error);
  }
}

function topicNamed(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

async function readLeaves(file: string): Promise<ReadonlyMap<number, Uint8Array>> {
  const leaves = new Map<number, Uint8Array>();
  if (!(await isThere(file))) return leaves;
  for await (const { epoch, hashes } of linesOf(file, leavesSchema)) {
    leaves.set(epoch, proofCrypto.fromBase64(hashes));
  }
  return leaves;
}

async function* linesOf<Value>(file: string, schema: z.ZodType<Value>): AsyncGenerator<Value> {
  for await (const { value } of textLinesOf(file, schema)) yield value;
}

/** Each line with what it says. */
async function* textLinesOf<Value>(
  file: string,
  schema: z.ZodType<Value>,
): AsyncGenerator<{ readonly line: string; readonly value: Value }> {
  let number = 0;
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity });
  try {
    for await (const line of lines) {
      number += 1;
      yield { line, value: schema.parse(JSON.parse(line)) };
    }
  } catch (error) {
    throw unreadable(number === 0 ? file : `${file}:${String(number)}`, error);
  }
}

function unreadable(where: string, cause?: unknown): RecordError {
  return new RecordError('REMIT_RECORD_EXPORT_UNREADABLE', `${where} cannot be read as part of an export`, { cause });
}

function bufferOf(base64: string | null): Buffer | null {
  return base64 === null ? null : Buffer.from(base64, 'base64');
}

/** What an entry holds; `undefined`: sealed, and its key is not here. Throws `REMIT_RECORD_ALTERED` for a wrong key. */
function contentOf(
  entry: ChainedEntry,
  keys: ReadonlyMap<string, KeyObject>,
): Pick<HistoryEntry, 'headers' | 'value'> | undefined {
  const value = entry.value === null ? null : Buffer.from(entry.value);
  if (entry.keyId === null) return { headers: headersFromText(entry.headers ?? '[]'), value };
  const key = keys.get(entry.keyId);
  if (key === undefined || value === null) return undefined;
  const content = openContent(key, value, entry);
  return { headers: headersFromText(content.headers), value: content.value };
}
