import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { TOPICS } from '#contracts';
import { documentOfEntry, placeName, type ChainedEntry } from '#domain';
import { charterEventIn } from './governing-events.js';
import type { History, HistoryEntry, HistorySearch } from './history.js';
import { ENTRIES_PER_PAGE } from './history-reading.js';
import { partitionFile, readableOf, type PackManifest } from './pack-files.js';
import { packInstructions } from './pack-instructions.js';
import { proofCrypto } from './proof-crypto.js';
import type { ProvenRecord } from './proven-record.js';

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
    const opened = new Map(page.map((entry) => [placeName(entry), entry]));
    const stored = await this.record.stored.at(page);
    await this.#addKeys(stored);
    for (const entry of stored) {
      const name = placeName(entry);
      const readable = opened.get(name);
      if (entry.gapUntil !== null || readable === undefined || this.#written.has(name)) continue;
      await this.#proofs.add(await this.record.prove(entry, this.now));
      this.#written.add(name);
      if (readable.erased !== true) await this.#events?.add(readableOf(entry, readable));
    }
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
