import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  DIGEST_BYTES,
  entryHash,
  hexOf,
  MerkleRoot,
  NOTHING_BEFORE,
  sameBytes,
  signedBytes,
  type ChainedEntry,
  type ChainHead,
  type Checkpoint,
} from '#domain';
import { proofCrypto, type ProvenRecord } from '#record';

/** What is stored, as far as one epoch's verification needs it. */
export type StoredEpoch = Pick<ProvenRecord['stored'], 'leaves' | 'at'>;

export interface EpochVerificationOptions {
  /** Of a larger epoch only so many entries are read again, in runs chosen at random. */
  readonly mostEntries: number;
  /** 0 to below 1. */
  readonly random: () => number;
}

/** Neighbouring offsets of one partition. */
interface Run {
  readonly head: ChainHead;
  readonly from: number;
  readonly to: number;
}

const ENTRIES_PER_RUN = 1000;
const LEAVES_PER_TURN = 10_000;

const hash = entryHash(proofCrypto.sha256);

/**
 * What is wrong with the entries of one epoch, by its checkpoint: the signature, the tree and each entry against its
 * leaf. `undefined`: nothing. It only says that something is; `remit audit verify` finds all of it and where it lies.
 */
export async function whatIsWrongWith(
  { body, signature }: Checkpoint,
  stored: StoredEpoch,
  { mostEntries, random }: EpochVerificationOptions,
): Promise<string | undefined> {
  const { isSigned, fromBase64, sha256 } = proofCrypto;
  if (!isSigned(fromBase64(body.key), signedBytes(body), fromBase64(signature))) return 'its signature does not fit it';
  const tree = new MerkleRoot(sha256);
  const leavesOf = new Map<ChainHead, Uint8Array>();
  for (const head of body.heads.filter(({ entries }) => entries > 0)) {
    const leaves = await stored.leaves(body.epoch, head);
    leavesOf.set(head, leaves);
    for (let leaf = 0; leaf * DIGEST_BYTES < leaves.length; leaf += 1) {
      tree.add(leafAt(leaves, leaf));
      if (leaf % LEAVES_PER_TURN === 0) await nextTurn();
    }
  }
  if (tree.size !== body.entries || hexOf(tree.root()) !== body.root) return 'the leaves kept with it are not its own';
  const runs = [...leavesOf.keys()].flatMap(runsOf);
  const isWhole = body.entries <= mostEntries;
  for (const run of isWhole ? runs : someOf(runs, Math.ceil(mostEntries / ENTRIES_PER_RUN), random)) {
    const wrong = await whatIsWrongIn(run, leavesOf.get(run.head) ?? new Uint8Array(), stored);
    if (wrong !== undefined) return `${run.head.topic}/${String(run.head.partition)}: ${wrong}`;
  }
  return undefined;
}

async function whatIsWrongIn(
  { head, from, to }: Run,
  leaves: Uint8Array,
  stored: StoredEpoch,
): Promise<string | undefined> {
  const { topic, partition } = head;
  const entries = await stored.at(
    Array.from({ length: to - from }, (_, i) => ({ topic, partition, offset: from + i })),
  );
  const inOrder = [...entries].sort((one, other) => one.offset - other.offset);
  const [first] = inOrder;
  // a gap that began before this run has no entry in it
  if (first === undefined) return from === head.from ? `nothing is stored at offset ${String(from)}` : undefined;
  let leaf = leafOf(first, leaves);
  let previous = leaf > 0 ? leafAt(leaves, leaf - 1) : await hashBefore(head, stored);
  let expected = from === head.from ? from : first.offset;
  for (const entry of inOrder) {
    if (entry.offset !== expected) return `offset ${String(expected)} is missing, or another entry has its place`;
    const wanted = leafAt(leaves, leaf);
    const follows = previous === undefined || sameBytes(hash(previous, entry), wanted);
    if (!follows || !sameBytes(entry.hash, wanted))
      return `the entry at offset ${String(entry.offset)} is not what was signed`;
    previous = wanted;
    leaf += 1;
    expected = entry.gapUntil ?? entry.offset + 1;
  }
  if (expected < to) return `offset ${String(expected)} is missing`;
  return undefined;
}

/** The hash of the entry before the epoch's first. `undefined`: a gap lies there, so it cannot be looked up. */
async function hashBefore({ topic, partition, from }: ChainHead, stored: StoredEpoch): Promise<Uint8Array | undefined> {
  if (from === 0) return NOTHING_BEFORE;
  return (await stored.at([{ topic, partition, offset: from - 1 }]))[0]?.hash;
}

/** Where among the leaves an entry's own hash stands; after the last one when it does not. */
function leafOf({ hash: wanted }: ChainedEntry, leaves: Uint8Array): number {
  const count = leaves.length / DIGEST_BYTES;
  for (let leaf = 0; leaf < count; leaf += 1) if (sameBytes(leafAt(leaves, leaf), wanted)) return leaf;
  return count;
}

function leafAt(leaves: Uint8Array, leaf: number): Uint8Array {
  return leaves.subarray(leaf * DIGEST_BYTES, (leaf + 1) * DIGEST_BYTES);
}

function runsOf(head: ChainHead): Run[] {
  const runs: Run[] = [];
  for (let from = head.from; from < head.next; from += ENTRIES_PER_RUN) {
    runs.push({ head, from, to: Math.min(from + ENTRIES_PER_RUN, head.next) });
  }
  return runs;
}

function someOf(runs: readonly Run[], count: number, random: () => number): readonly Run[] {
  const left = [...runs];
  return Array.from({ length: Math.min(count, runs.length) }, () => {
    return left.splice(Math.floor(random() * left.length), 1)[0] as Run;
  });
}
