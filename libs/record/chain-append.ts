import type { QueryRunner } from 'typeorm';
import { entryHash, NOTHING_BEFORE, placeKey, type ChainedEntry, type Outline, type StoredEntry } from '#domain';
import { copyRows } from './copy-rows.js';
import type { PartitionReading, RecordedMessage } from './history.js';
import { outlineOfMessage, storeOutlines } from './outlines.js';
import { sha256Bytes } from './proof-crypto.js';
import { scopeOf, type IntentKeys, type Query, type Sealable } from './intent-keys.js';
import { requireNoHole } from './record-error.js';
import { isSealed, sealContent } from './sealing.js';
import { readMessage } from './search-terms.js';
import { headersToText } from './stored-headers.js';

const LOCK_HEADS = `
  SELECT topic, "partition", next, hash FROM record.chain_head
  WHERE (topic, "partition") IN (SELECT * FROM unnest($1::text[], $2::integer[]))
  ORDER BY topic, "partition" FOR UPDATE`;

const CREATE_HEADS = `
  INSERT INTO record.chain_head (topic, "partition", hash)
  SELECT topic, "partition", $3 FROM unnest($1::text[], $2::integer[]) AS wanted (topic, "partition")
  ON CONFLICT DO NOTHING`;

const ADVANCE_HEADS = `
  UPDATE record.chain_head AS head
  SET next = done.next, entries = head.entries + done.entries, hash = done.hash
  FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bytea[])
    AS done (topic, "partition", next, entries, hash)
  WHERE head.topic = done.topic AND head."partition" = done."partition"`;

type Unhashed = StoredEntry & { readonly key: Buffer | null; readonly value: Buffer | null };

/** The messages of one partition, by offset. */
interface PartitionRun {
  readonly topic: string;
  readonly partition: number;
  readonly entries: readonly Unhashed[];
}

interface Head {
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
  readonly hash: Uint8Array;
}

function nameOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${String(partition)}`;
}

/** Messages as they will be stored, and what is derived from them while they can be read, by place. */
interface ToStore {
  readonly entries: readonly Unhashed[];
  readonly outlines: ReadonlyMap<string, Outline>;
}

/** Messages as they will be stored: read for search, sealed where that is due. */
async function sealed(
  runner: QueryRunner,
  messages: readonly RecordedMessage[],
  keys: IntentKeys,
  query: Query,
): Promise<ToStore> {
  const read = messages.map((message) => ({ message, ...readMessage(message) }));
  const sealables: Sealable[] = read.flatMap(({ message, subject }) =>
    isSealed(message.topic) ? [{ scope: scopeOf(subject, message), subject }] : [],
  );
  const found = sealables.length === 0 ? undefined : await committed(runner, () => keys.forScopes(query, sealables));
  const outlines = new Map<string, Outline>();
  for (const { message, terms } of read) {
    const outline = outlineOfMessage(message, terms);
    if (outline !== undefined) outlines.set(placeKey(message), outline);
  }
  const entries = read.map(({ message, terms, subject }) => {
    const { topic, partition, offset, appendTime, key } = message;
    const headers = headersToText(message.headers);
    const place = { topic, partition, offset, gapUntil: null, appendTime, key };
    if (!isSealed(topic)) return { ...place, keyId: null, headers, value: message.value, ...terms };
    const own = found?.get(scopeOf(subject, message));
    // Erased between two statements: the next attempt makes another key.
    if (own === undefined) throw new Error('a key was destroyed while it was being used');
    const value = sealContent(own.key, { headers, value: message.value }, message);
    return { ...place, keyId: own.id, headers: null, value, ...terms };
  });
  return { entries, outlines };
}

const NO_TERMS = {
  eventType: null,
  eventId: null,
  agentId: null,
  intentId: null,
  chainId: null,
  actionType: null,
  target: null,
  outcome: null,
  traceId: null,
} as const;

/** Stands for offsets that will never hold a message. Its time is that of the message which showed that. */
function gapBefore(entry: Unhashed, from: number): Unhashed {
  const { topic, partition, offset, appendTime } = entry;
  const nothing = { keyId: null, key: null, headers: null, value: null, ...NO_TERMS };
  return { topic, partition, offset: from, gapUntil: offset, appendTime, ...nothing };
}

const hashOf = entryHash(sha256Bytes);

/** What goes on from a head without a hole; what lies before it is stored already. */
function chained(run: PartitionRun, head: Head): { entries: ChainedEntry[]; messages: number } {
  const entries: ChainedEntry[] = [];
  let { next, hash } = head;
  let messages = 0;
  const link = (entry: Unhashed): void => {
    hash = hashOf(hash, entry);
    entries.push({ ...entry, hash });
  };
  for (const entry of run.entries) {
    if (entry.offset < next) continue;
    if (entry.offset > next) link(gapBefore(entry, next));
    link(entry);
    messages += 1;
    next = entry.offset + 1;
  }
  return { entries, messages };
}

function runsOf(entries: readonly Unhashed[]): PartitionRun[] {
  const runs: { topic: string; partition: number; entries: Unhashed[] }[] = [];
  for (const entry of entries) {
    const last = runs.at(-1);
    if (last?.topic === entry.topic && last.partition === entry.partition) last.entries.push(entry);
    else runs.push({ topic: entry.topic, partition: entry.partition, entries: [entry] });
  }
  return runs;
}

/** Locks the chain heads of these partitions, in one order for all replicas, in the transaction that is open. */
async function lockHeads(runner: QueryRunner, runs: readonly PartitionRun[]): Promise<ReadonlyMap<string, Head>> {
  const rows = (await runner.query(LOCK_HEADS, [
    runs.map(({ topic }) => topic),
    runs.map(({ partition }) => partition),
  ])) as { topic: string; partition: number; next: string; hash: Buffer }[];
  return new Map(rows.map((row) => [nameOf(row), { ...row, next: Number(row.next) }]));
}

/**
 * Appends what is not stored yet, in one transaction, and returns how many messages that was. `messages` are in the
 * order of positions. Of replicas that have the same messages, one appends them: the others wait for its chain heads
 * and find everything stored.
 */
export async function appendToChains(
  runner: QueryRunner,
  messages: readonly RecordedMessage[],
  keys: IntentKeys,
  reading?: PartitionReading,
): Promise<number> {
  const query: Query = async (sql, parameters) => (await runner.query(sql, [...parameters])) as never;
  const { entries, outlines } = await sealed(runner, messages, keys, query);
  const runs = runsOf(entries);
  const attempt = (): Promise<number | undefined> =>
    committed(runner, () => storeRuns(runner, query, runs, outlines, reading));
  const stored = await attempt();
  if (stored !== undefined) return stored;
  await query(CREATE_HEADS, [
    runs.map(({ topic }) => topic),
    runs.map(({ partition }) => partition),
    Buffer.from(NOTHING_BEFORE),
  ]);
  return (await attempt()) ?? 0;
}

/** Work in a transaction of its own. */
async function committed<Result>(runner: QueryRunner, work: () => Promise<Result>): Promise<Result> {
  await runner.startTransaction('READ COMMITTED');
  try {
    const result = await work();
    await runner.commitTransaction();
    return result;
  } catch (error) {
    if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
    throw error;
  }
}

/** `undefined`: a partition has no chain head yet. */
async function storeRuns(
  runner: QueryRunner,
  query: Query,
  runs: readonly PartitionRun[],
  outlines: ReadonlyMap<string, Outline>,
  reading: PartitionReading | undefined,
): Promise<number | undefined> {
  const heads = await lockHeads(runner, runs);
  if (heads.size < runs.length) return undefined;
  const done: (Head & { entries: number })[] = [];
  let stored = 0;
  for (const run of runs) {
    const head = heads.get(nameOf(run));
    if (head === undefined) throw new Error(`there is no chain head for ${nameOf(run)}`);
    requireNoHole(run, head.next, reading);
    const { entries, messages } = chained(run, head);
    const last = entries.at(-1);
    if (last === undefined) continue;
    await copyRows(runner, entries);
    await storeOutlines(
      query,
      entries.flatMap((entry) => {
        const outline = entry.gapUntil === null ? outlines.get(placeKey(entry)) : undefined;
        return outline === undefined ? [] : [{ ...entry, outline }];
      }),
    );
    const { topic, partition } = run;
    done.push({ topic, partition, next: last.offset + 1, hash: last.hash, entries: entries.length });
    stored += messages;
  }
  if (done.length > 0) {
    await runner.query(ADVANCE_HEADS, [
      done.map(({ topic }) => topic),
      done.map(({ partition }) => partition),
      done.map(({ next }) => next),
      done.map(({ entries }) => entries),
      done.map(({ hash }) => hash),
    ]);
  }
  return stored;
}
