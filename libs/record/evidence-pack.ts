import type { KeyObject } from 'node:crypto';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { TOPICS } from '#contracts';
import {
  checkpointSchema,
  documentOfEntry,
  entryDocumentSchema,
  entryOfDocument,
  inclusionProofSchema,
  verifyProofs,
  verifyRecord,
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
import type { History, HistoryEntry, HistorySearch } from './history.js';
import { packInstructions } from './pack-instructions.js';
import { proofCrypto } from './proof-crypto.js';
import type { ProvenRecord } from './proven-record.js';
import { RecordError } from './record-error.js';
import { openContent, secretKey } from './sealing.js';
import { headersFromText } from './stored-headers.js';

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

const manifestSchema = z.strictObject({
  format: z.literal('remit.evidence/1'),
  holds: z.enum(['selection', 'everything']),
  selection: z.record(z.string(), z.string()),
  exportedAt: z.iso.datetime({ precision: 3 }),
  entries: z.int().min(0),
  opened: z.boolean(),
  publicKey: z.base64().describe('As the record has it: trust the key that you were given instead.'),
});
export type PackManifest = z.infer<typeof manifestSchema>;

const keySchema = z.strictObject({ id: z.uuid(), key: z.base64() });
const leavesSchema = z.strictObject({ epoch: z.int().min(1), hashes: z.base64() });
const readableSchema = z.strictObject({
  topic: z.string(),
  partition: z.int(),
  offset: z.int(),
  appendTime: z.iso.datetime({ precision: 3 }),
  headers: z.array(z.tuple([z.string(), z.string()])),
  value: z.string().nullable(),
});
type Readable = z.infer<typeof readableSchema>;

const ENTRIES_PER_PAGE = 500;

/** A file of one JSON value a line, which takes no more than it can write. */
class Lines {
  readonly #stream: WriteStream;

  constructor(file: string) {
    this.#stream = createWriteStream(file, { mode: 0o600 });
  }

  async add(value: unknown): Promise<void> {
    if (!this.#stream.write(`${JSON.stringify(value)}\n`)) await once(this.#stream, 'drain');
  }

  async end(): Promise<void> {
    this.#stream.end();
    await once(this.#stream, 'close');
  }
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

function partitionFile(folder: string, kind: 'entries' | 'leaves', { topic, partition }: PartitionName): string {
  return join(folder, kind, encodeURIComponent(topic), `${String(partition)}.jsonl`);
}

function readableOf(
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

async function writeCheckpoints(record: ProvenRecord, folder: string): Promise<void> {
  const lines = new Lines(join(folder, 'checkpoints.jsonl'));
  for await (const checkpoint of record.stored.checkpoints()) await lines.add(checkpoint);
  await lines.end();
}

async function writeManifest(
  record: ProvenRecord,
  folder: string,
  manifest: Omit<PackManifest, 'format' | 'publicKey'>,
): Promise<PackManifest> {
  const publicKey = (await record.checkpoints.firstPublicKey()).toString('base64');
  const whole: PackManifest = { format: 'remit.evidence/1', ...manifest, publicKey };
  await writeFile(join(folder, 'manifest.json'), `${JSON.stringify(whole, null, 2)}\n`);
  await writeFile(join(folder, 'README.md'), packInstructions(whole));
  return whole;
}

export interface PackOptions {
  readonly folder: string;
  /** ms since the epoch. */
  readonly now: number;
}

/** Writes all of the record, sealed as it is stored. Everything in it can be verified, completeness included. */
export async function exportEverything(record: ProvenRecord, { folder, now }: PackOptions): Promise<PackManifest> {
  await mkdir(folder, { recursive: true });
  let entries = 0;
  const partitions = await record.stored.partitions();
  for (const partition of partitions) {
    const file = partitionFile(folder, 'entries', partition);
    await mkdir(join(file, '..'), { recursive: true });
    const lines = new Lines(file);
    for await (const page of record.stored.entries(partition)) {
      for (const entry of page) await lines.add(documentOfEntry(entry, proofCrypto));
      entries += page.length;
    }
    await lines.end();
  }
  // After the entries: a checkpoint never speaks of what was stored after it.
  await writeCheckpoints(record, folder);
  const leaves = new Map<string, Lines>();
  for await (const { body } of record.stored.checkpoints()) {
    for (const head of body.heads) {
      if (head.entries === 0) continue;
      const file = partitionFile(folder, 'leaves', head);
      const known = leaves.get(file);
      if (known === undefined) await mkdir(join(file, '..'), { recursive: true });
      const lines = known ?? new Lines(file);
      leaves.set(file, lines);
      const hashes = proofCrypto.toBase64(await record.stored.leaves(body.epoch, head));
      await lines.add({ epoch: body.epoch, hashes });
    }
  }
  for (const lines of leaves.values()) await lines.end();
  const exportedAt = new Date(now).toISOString();
  return writeManifest(record, folder, { holds: 'everything', selection: {}, exportedAt, entries, opened: false });
}

/** Writes what a search finds, each entry with its proof, and the charters it was judged by. */
export async function exportSelection(
  record: ProvenRecord,
  history: History,
  search: Omit<HistorySearch, 'limit' | 'after'>,
  { folder, now, opened }: PackOptions & { readonly opened: boolean },
): Promise<PackManifest> {
  await mkdir(join(folder, 'charters'), { recursive: true });
  const pack = new SelectionPack(record, folder, opened, now);
  const digests = new Set<string>();
  for await (const page of pagesOf(history, search)) {
    for (const entry of page) for (const digest of charterDigestsIn(entry)) digests.add(digest);
    await pack.add(page);
  }
  for await (const page of history.stream({ topics: [TOPICS.charterEvents.name] })) {
    const wanted = page.filter((entry) => {
      const event = charterEventIn(entry);
      return event?.event === 'CharterActivated' && digests.has(event.digest);
    });
    for (const entry of wanted) {
      const event = charterEventIn(entry);
      if (event?.event === 'CharterActivated') {
        await writeFile(join(folder, 'charters', `${event.digest}.yaml`), event.text);
      }
    }
    await pack.add(wanted);
  }
  const entries = await pack.end();
  await writeCheckpoints(record, folder);
  return writeManifest(record, folder, {
    holds: 'selection',
    selection: Object.fromEntries(
      Object.entries(search).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
    ),
    exportedAt: new Date(now).toISOString(),
    entries,
    opened,
  });
}

async function* pagesOf(
  history: History,
  search: Omit<HistorySearch, 'limit' | 'after'>,
): AsyncGenerator<readonly HistoryEntry[]> {
  let after: HistoryEntry | undefined;
  for (;;) {
    const page = await history.search({ ...search, limit: ENTRIES_PER_PAGE, after });
    if (page.length > 0) yield page;
    after = page.at(-1);
    if (page.length < ENTRIES_PER_PAGE) return;
  }
}

const DIGEST_IN_DECISION = /"charter":\{"digest":"([0-9a-f]{64})"/g;

function charterDigestsIn({ topic, value }: HistoryEntry): string[] {
  if (topic !== TOPICS.agentDecisions.name || value === null) return [];
  return [...value.toString('utf8').matchAll(DIGEST_IN_DECISION)].map(([, digest]) => digest ?? '');
}

/** Writes entries with their proofs, each once. */
class SelectionPack {
  readonly #proofs: Lines;
  readonly #keys: Lines | undefined;
  readonly #events: Lines | undefined;
  readonly #written = new Set<string>();
  readonly #keysWritten = new Set<string>();

  constructor(
    private readonly record: ProvenRecord,
    folder: string,
    opened: boolean,
    private readonly now: number,
  ) {
    this.#proofs = new Lines(join(folder, 'proofs.jsonl'));
    this.#keys = opened ? new Lines(join(folder, 'keys.jsonl')) : undefined;
    this.#events = opened ? new Lines(join(folder, 'events.jsonl')) : undefined;
  }

  async add(page: readonly HistoryEntry[]): Promise<void> {
    const opened = new Map(page.map((entry) => [nameOf(entry), entry]));
    const stored = await this.record.stored.at(page);
    await this.#addKeys(stored);
    for (const entry of stored) {
      const name = nameOf(entry);
      const readable = opened.get(name);
      if (entry.gapUntil !== null || readable === undefined || this.#written.has(name)) continue;
      const proof = (await this.record.prove(entry)) ?? (await this.#proveAfterClosing(entry));
      if (proof === undefined) {
        throw new RecordError(
          'REMIT_RECORD_ALTERED',
          `${name} is not under the checkpoint that should cover it; run remit audit verify`,
        );
      }
      this.#written.add(name);
      await this.#proofs.add(proof);
      if (readable.erased !== true) await this.#events?.add(readableOf(entry, readable));
    }
  }

  /** What was stored a moment ago is under no checkpoint yet. */
  async #proveAfterClosing(entry: ChainedEntry): Promise<InclusionProof | undefined> {
    await this.record.checkpoints.closeEpoch({ now: this.now });
    return this.record.prove(entry);
  }

  async end(): Promise<number> {
    await Promise.all([this.#proofs.end(), this.#keys?.end(), this.#events?.end()]);
    return this.#written.size;
  }

  async #addKeys(stored: readonly ChainedEntry[]): Promise<void> {
    if (this.#keys === undefined) return;
    for (const [id, key] of await this.record.keysWithIds(stored.flatMap(({ keyId }) => keyId ?? []))) {
      if (this.#keysWritten.has(id)) continue;
      this.#keysWritten.add(id);
      await this.#keys.add({ id, key: key.export().toString('base64') });
    }
  }
}

function nameOf({ topic, partition, offset }: PartitionName & { readonly offset: number }): string {
  return `${topic}/${String(partition)}/${String(offset)}`;
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
      const name = nameOf(value);
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
    const name = nameOf(entry);
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
