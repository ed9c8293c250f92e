import { bytesOfHex, DIGEST_BYTES, hexOf, NOTHING_BEFORE, sameBytes } from './bytes.js';
import {
  CheckpointSequence,
  isSameCheckpoint,
  type ChainHead,
  type Checkpoint,
  type CheckpointFault,
  type ProofCrypto,
} from './checkpoint.js';
import { entryHash, type ChainedEntry, type EntryHash } from './entry-hash.js';
import { isProven, type InclusionProof } from './evidence.js';
import { MerkleRoot } from './merkle.js';

/** A partition of a topic in the record. */
export interface PartitionName {
  readonly topic: string;
  readonly partition: number;
}

/** Where a record to be verified comes from: the database, or an export of all of it. */
export interface RecordSource {
  /** By epoch. */
  checkpoints(): AsyncIterable<Checkpoint>;
  /** The hashes of an epoch's entries of one partition, one after the other; empty where they are not kept. */
  leaves(epoch: number, of: PartitionName): Promise<Uint8Array>;
  /** Every partition of which anything is stored. */
  partitions(): Promise<readonly PartitionName[]>;
  /** Every entry of a partition by offset, then append time, in pages of any size. */
  entries(of: PartitionName): AsyncIterable<readonly ChainedEntry[]>;
}

/** What is wrong with an entry, and where it lies, or lay. */
export interface EntryFault extends PartitionName {
  readonly kind: 'entry-altered' | 'entry-missing' | 'entry-inserted' | 'range-rewritten';
  readonly offset: number;
  /** The offset after the last one concerned. */
  readonly until: number;
  /** `null`: after the last checkpoint. */
  readonly epoch: number | null;
  readonly what: string;
}

export type RecordFault = EntryFault | CheckpointFault;

/** Entries of the epochs after `after` and before `epoch` were lost with the database, and read again from the log. */
export interface Restoration {
  readonly epoch: number;
  readonly closedAt: string;
  readonly after: number;
  readonly by: string;
  readonly reason: string;
}

export interface RecordReport {
  readonly faults: readonly RecordFault[];
  /** More faults than are listed. */
  readonly moreFaults: number;
  /** Entries under a checkpoint that are as they were. */
  readonly proven: number;
  /** Entries after the last checkpoint: their chain is checked, but nothing is signed yet. */
  readonly notYetProven: number;
  /** Entries that were dropped when their time had come; their checkpoints remain. */
  readonly dropped: number;
  readonly checkpoints: number;
  /** Restorations from a backup, each acknowledged by a person in the checkpoint that tells of it. */
  readonly restorations: readonly Restoration[];
  readonly last: { readonly epoch: number; readonly closedAt: string } | undefined;
}

const MOST_FAULTS_LISTED = 100;

class Findings {
  readonly faults: RecordFault[] = [];
  more = 0;
  readonly restorations: Restoration[] = [];
  proven = 0;
  notYetProven = 0;
  dropped = 0;

  add(fault: RecordFault): void {
    if (this.faults.length < MOST_FAULTS_LISTED) this.faults.push(fault);
    else this.more += 1;
  }
}

/** What one checkpoint says of one partition, and whether its list of leaves can be relied on. */
interface Span {
  readonly epoch: number;
  readonly head: ChainHead;
  /** Digest of the leaves that gave the signed root; `undefined`: they did not. */
  readonly leavesDigest: string | undefined;
}

function nameOf({ topic, partition }: PartitionName): string {
  return `${topic}/${String(partition)}`;
}

function spell(count: number, one: string, several: string): string {
  return count === 1 ? `1 ${one}` : `${String(count)} ${several}`;
}

/**
 * Verifies a record: signatures and sequence of its checkpoints, the tree under each, and every stored entry against
 * its leaf. Needs only the source, the public key that signed the first checkpoint, and, to catch a history that the
 * key's holder has written anew, checkpoints that were kept elsewhere. Memory grows with the number of epochs and
 * the largest epoch of one partition, not with the record.
 */
export async function verifyRecord(source: RecordSource, trust: Trust, crypto: ProofCrypto): Promise<RecordReport> {
  const findings = new Findings();
  const { spans, witnesses, checkpoints, last } = await readCheckpoints(source, trust, crypto, findings);
  const stored = await source.partitions();
  const partitions = new Map(stored.map((one) => [nameOf(one), one]));
  for (const [name, [first]] of spans)
    if (first !== undefined && !partitions.has(name)) partitions.set(name, first.head);
  const hash = entryHash(crypto.sha256);
  for (const [name, partition] of partitions) {
    const known = { spans: spans.get(name) ?? [], witnesses: witnesses.get(name) ?? [] };
    const walk = new PartitionWalk(partition, known, source, hash, crypto, findings);
    for await (const page of source.entries(partition)) {
      for (const entry of page) {
        if (walk.endsBefore(entry)) await walk.openSpanOf(entry);
        walk.take(entry);
      }
    }
    await walk.end();
  }
  const { faults, more, proven, notYetProven, dropped, restorations } = findings;
  return { faults, moreFaults: more, proven, notYetProven, dropped, checkpoints, restorations, last };
}

/** What a verifier relies on. */
export interface Trust {
  /** Ed25519, 32 bytes: the key that signed the first checkpoint. */
  readonly publicKey: Uint8Array;
  /** Checkpoints that were kept elsewhere. */
  readonly kept?: readonly Checkpoint[];
}

/** How far each partition had come, also as of an earlier epoch. */
class LatestHeads {
  readonly #heads = new Map<string, { readonly epoch: number; readonly head: ChainHead }[]>();

  get(name: string): ChainHead | undefined {
    return this.#heads.get(name)?.at(-1)?.head;
  }

  set(epoch: number, head: ChainHead): void {
    const ofPartition = this.#heads.get(nameOf(head)) ?? [];
    ofPartition.push({ epoch, head });
    this.#heads.set(nameOf(head), ofPartition);
  }

  forgetAfter(epoch: number): void {
    for (const ofPartition of this.#heads.values()) {
      while ((ofPartition.at(-1)?.epoch ?? 0) > epoch) ofPartition.pop();
    }
  }

  all(): ReadonlyMap<string, ChainHead> {
    return new Map([...this.#heads].flatMap(([name, all]) => all.slice(-1).map(({ head }) => [name, head] as const)));
  }
}

/** Checkpoint after checkpoint for as long as each can be trusted; what cannot goes to `add`. */
async function* trustedCheckpoints(
  checkpoints: AsyncIterable<Checkpoint>,
  trust: Trust,
  crypto: ProofCrypto,
  add: (fault: RecordFault) => void,
): AsyncGenerator<Checkpoint> {
  const sequence = new CheckpointSequence(trust.publicKey, crypto);
  const kept = new Map((trust.kept ?? []).map((checkpoint) => [checkpoint.body.epoch, checkpoint]));
  const heads = new LatestHeads();
  for await (const checkpoint of checkpoints) {
    const { body } = checkpoint;
    const fault = sequence.accept(checkpoint);
    if (fault !== undefined) {
      add(fault);
      return;
    }
    if (body.restored !== undefined) {
      if (body.restored.after >= body.epoch) {
        const what = `it says it goes on after epoch ${String(body.restored.after)}, which is not before it`;
        add({ kind: 'checkpoint-altered', epoch: body.epoch, what });
        return;
      }
      heads.forgetAfter(body.restored.after);
    }
    const torn = body.heads.find((head) => head.from !== (heads.get(nameOf(head))?.next ?? 0) || head.next < head.from);
    if (torn !== undefined) {
      const what = `it does not begin where the one before ended: ${nameOf(torn)}, offset ${String(torn.from)}`;
      add({ kind: 'checkpoint-altered', epoch: body.epoch, what });
      return;
    }
    for (const head of body.heads) heads.set(body.epoch, head);
    const anchor = kept.get(body.epoch);
    kept.delete(body.epoch);
    if (anchor !== undefined && !isSameCheckpoint(anchor.body, body)) {
      for (const found of differencesFrom(anchor, heads.all())) add(found);
      return;
    }
    yield checkpoint;
  }
  if (kept.size === 0) return;
  const epoch = Math.min(...kept.keys());
  const what = `a checkpoint kept elsewhere is for epoch ${String(epoch)}: the record has been cut off before it`;
  add({ kind: 'checkpoint-missing', epoch, what });
}

async function readCheckpoints(
  source: RecordSource,
  trust: Trust,
  crypto: ProofCrypto,
  findings: Findings,
): Promise<{
  spans: Map<string, Span[]>;
  witnesses: Map<string, Span[]>;
  checkpoints: number;
  last: RecordReport['last'];
}> {
  const spans = new Map<string, Span[]>();
  const witnesses = new Map<string, Span[]>();
  /** Of epochs whose leaves do not give the signed root: whether that matters, a later checkpoint may say. */
  let unlisted: CheckpointFault[] = [];
  let checkpoints = 0;
  let last: RecordReport['last'];
  const add = (fault: RecordFault): void => findings.add(fault);
  for await (const checkpoint of trustedCheckpoints(source.checkpoints(), trust, crypto, add)) {
    const { body } = checkpoint;
    const { restored } = body;
    if (restored !== undefined) {
      findings.restorations.push({ epoch: body.epoch, closedAt: body.closedAt, ...restored });
      unlisted = unlisted.filter(({ epoch }) => epoch <= restored.after);
      for (const [name, ofPartition] of spans) {
        // whatever of them is stored as it came must have been read again as it was
        const lost = ofPartition.filter(({ epoch }) => epoch > restored.after);
        witnesses.set(name, [...(witnesses.get(name) ?? []), ...lost]);
        spans.set(
          name,
          ofPartition.filter(({ epoch }) => epoch <= restored.after),
        );
      }
    }
    const digests = await authenticLeaves(source, checkpoint, crypto);
    if (digests === undefined) {
      const what = 'the list of hashes under it was altered; its entries are checked by their chain alone';
      unlisted.push({ kind: 'leaves-altered', epoch: body.epoch, what });
    }
    body.heads.forEach((head, i) => {
      const ofPartition = spans.get(nameOf(head)) ?? [];
      ofPartition.push({ epoch: body.epoch, head, leavesDigest: digests?.[i] });
      spans.set(nameOf(head), ofPartition);
    });
    checkpoints += 1;
    last = { epoch: body.epoch, closedAt: body.closedAt };
  }
  for (const fault of unlisted) findings.add(fault);
  return { spans, witnesses, checkpoints, last };
}

/**
 * Verifies single entries by their proofs. It says that each was in the record, not that nothing was left out: that
 * only all of the record can show.
 */
export async function verifyProofs(
  source: { checkpoints(): AsyncIterable<Checkpoint>; proofs(): AsyncIterable<InclusionProof> },
  trust: Trust,
  crypto: ProofCrypto,
): Promise<RecordReport> {
  const findings = new Findings();
  const byEpoch = new Map<number, Checkpoint>();
  let last: RecordReport['last'];
  const add = (fault: RecordFault): void => findings.add(fault);
  for await (const checkpoint of trustedCheckpoints(source.checkpoints(), trust, crypto, add)) {
    const { epoch, closedAt, restored } = checkpoint.body;
    if (restored !== undefined) findings.restorations.push({ epoch, closedAt, ...restored });
    byEpoch.set(epoch, checkpoint);
    last = { epoch, closedAt };
  }
  for await (const proof of source.proofs()) {
    const checkpoint = byEpoch.get(proof.epoch);
    if (checkpoint !== undefined && isProven(proof, checkpoint, crypto.sha256, crypto)) {
      findings.proven += 1;
      continue;
    }
    const { topic, partition, offset, gapUntil } = proof.entry;
    const what =
      checkpoint === undefined
        ? 'its checkpoint is not there, or cannot be trusted'
        : 'the entry and its proof do not lead to the root of the checkpoint';
    const until = gapUntil ?? offset + 1;
    findings.add({ kind: 'entry-altered', topic, partition, offset, until, epoch: proof.epoch, what });
  }
  const { faults, more, proven, notYetProven, dropped, restorations } = findings;
  return {
    ...{ faults, moreFaults: more, proven, notYetProven, dropped },
    ...{ checkpoints: byEpoch.size, restorations, last },
  };
}

/** Says in which partitions history is not the one that a checkpoint kept elsewhere was made of. */
function differencesFrom(anchor: Checkpoint, heads: ReadonlyMap<string, ChainHead>): RecordFault[] {
  const { epoch } = anchor.body;
  const faults: RecordFault[] = [
    {
      kind: 'checkpoint-differs',
      epoch,
      what: 'the checkpoint kept elsewhere says otherwise: history was written anew, in this epoch or before it',
    },
  ];
  for (const kept of anchor.body.heads) {
    const now = heads.get(nameOf(kept));
    if (now?.hash === kept.hash && now.next === kept.next) continue;
    faults.push({
      kind: 'range-rewritten',
      topic: kept.topic,
      partition: kept.partition,
      offset: 0,
      until: kept.next,
      epoch,
      what: 'the chain up to here is not the one that the kept checkpoint was made of',
    });
  }
  return faults;
}

/** Digests of the leaves of each head, in order, when together they give the signed root. */
async function authenticLeaves(
  source: RecordSource,
  { body }: Checkpoint,
  crypto: ProofCrypto,
): Promise<readonly string[] | undefined> {
  const tree = new MerkleRoot(crypto.sha256);
  const digests: string[] = [];
  for (const head of body.heads) {
    const leaves = head.entries === 0 ? new Uint8Array() : await source.leaves(body.epoch, head);
    if (leaves.length !== head.entries * DIGEST_BYTES) return undefined;
    for (let i = 0; i < leaves.length; i += DIGEST_BYTES) tree.add(leaves.subarray(i, i + DIGEST_BYTES));
    digests.push(hexOf(crypto.sha256(leaves)));
  }
  return tree.size === body.entries && hexOf(tree.root()) === body.root ? digests : undefined;
}

/** Goes along one partition, entry by entry, through its epochs. */
class PartitionWalk {
  readonly #of: PartitionName;
  readonly #spans: readonly Span[];
  readonly #source: RecordSource;
  readonly #hash: EntryHash;
  readonly #crypto: ProofCrypto;
  readonly #findings: Findings;
  readonly #keptFrom: number;
  /** What lost checkpoints said of this partition, by the offset after it. */
  readonly #witnesses: ReadonlyMap<number, Span>;
  #isSealed = false;
  #span = -1;
  /** Leaves of the span in hand, when they can be relied on. */
  #leaves: Uint8Array | undefined;
  #nextLeaf = 0;
  /** Entries of the span in hand, as found. */
  #met = 0;
  #faultsInSpan = 0;
  /** Offsets of entries that are missing and for which no leaf has been passed over yet. */
  #slack = 0;
  /** The hash of the entry before, as far as it is known. */
  #previous: Uint8Array | undefined = NOTHING_BEFORE;
  #expected = 0;
  /** An entry that did not fit its leaf and waits for the next one to tell whether it was altered or put in. */
  #doubtful: ChainedEntry | undefined;

  constructor(
    of: PartitionName,
    { spans, witnesses }: { readonly spans: readonly Span[]; readonly witnesses: readonly Span[] },
    source: RecordSource,
    hash: EntryHash,
    crypto: ProofCrypto,
    findings: Findings,
  ) {
    this.#of = of;
    this.#spans = spans.filter(({ head }) => head.entries > 0);
    this.#witnesses = new Map(
      witnesses.filter(({ head }) => head.entries > 0).map((witness) => [witness.head.next, witness]),
    );
    this.#source = source;
    this.#hash = hash;
    this.#crypto = crypto;
    this.#findings = findings;
    this.#keptFrom = Math.max(0, ...spans.map(({ head }) => head.keptFrom ?? 0));
  }

  /** Whether the entry belongs to a later span than the one in hand. */
  endsBefore(entry: ChainedEntry): boolean {
    const span = this.#spans[this.#span];
    return span === undefined ? this.#span < this.#spans.length : entry.offset >= span.head.next;
  }

  async openSpanOf(entry: ChainedEntry): Promise<void> {
    while (this.endsBefore(entry)) await this.#openNextSpan();
  }

  /** The next entry of the span that is open. */
  take(entry: ChainedEntry): void {
    this.#askWitness(entry);
    const span = this.#spans[this.#span];
    if (span === undefined) this.#takeUnproven(entry);
    else if (this.#leaves !== undefined) this.#takeUnderLeaves(entry, span, this.#leaves);
    else this.#takeUnderHead(entry, span);
  }

  /** What is sealed was sealed anew when it was read again; everything else must be what was signed before. */
  #askWitness(entry: ChainedEntry): void {
    if (entry.keyId !== null) this.#isSealed = true;
    const witness = this.#witnesses.get(endOf(entry));
    if (witness === undefined || this.#isSealed || hexOf(entry.hash) === witness.head.hash) return;
    const what = `what was read again after the restoration is not what the lost checkpoint ${String(witness.epoch)} was made of`;
    this.#fault('range-rewritten', witness, witness.head.from, witness.head.next, what);
  }

  async end(): Promise<void> {
    while (this.#span < this.#spans.length) await this.#openNextSpan();
  }

  async #openNextSpan(): Promise<void> {
    const ended = this.#spans[this.#span];
    if (ended !== undefined) this.#closeSpan(ended);
    this.#span += 1;
    const span = this.#spans[this.#span];
    this.#nextLeaf = 0;
    this.#met = 0;
    this.#faultsInSpan = 0;
    this.#slack = 0;
    this.#leaves = undefined;
    if (span === undefined) return;
    this.#expected = span.head.from;
    if (span.leavesDigest !== undefined) {
      const leaves = await this.#source.leaves(span.epoch, this.#of);
      // Read a second time, so it could be another answer.
      if (hexOf(this.#crypto.sha256(leaves)) === span.leavesDigest) this.#leaves = leaves;
    }
  }

  #closeSpan(span: Span): void {
    const { head, epoch } = span;
    if (this.#leaves !== undefined) {
      this.#settleDoubt(span);
      this.#missing(span, head.entries, head.next);
    } else if (head.next <= this.#keptFrom) {
      this.#findings.dropped += head.entries;
    } else if (this.#faultsInSpan === 0) {
      const isWhole = this.#met === head.entries || head.from < this.#keptFrom;
      if (isWhole && this.#previous !== undefined && hexOf(this.#previous) === head.hash) {
        this.#findings.proven += this.#met;
        this.#findings.dropped += head.entries - this.#met;
      } else {
        const what = `what is stored here is not what checkpoint ${String(epoch)} was made of`;
        this.#fault('range-rewritten', span, head.from, head.next, what);
      }
    }
    this.#previous = bytesOfHex(head.hash);
  }

  #takeUnderLeaves(entry: ChainedEntry, span: Span, leaves: Uint8Array): void {
    if (this.#matches(entry, this.#nextLeaf, leaves)) {
      // The entry after a doubtful one fits its leaf: so the doubtful one was put in.
      if (this.#doubtful !== undefined) this.#inserted(this.#doubtful, span);
      this.#doubtful = undefined;
      this.#advance(entry, this.#nextLeaf, leaves);
      return;
    }
    if (this.#doubtful !== undefined) {
      this.#settleDoubt(span);
      this.#takeUnderLeaves(entry, span, leaves);
      return;
    }
    if (entry.offset < this.#expected) {
      this.#inserted(entry, span);
      return;
    }
    const leaf = this.#leafAfterHole(entry, span, leaves);
    if (leaf === undefined) {
      this.#doubtful = entry;
      return;
    }
    this.#missing(span, leaf, entry.offset);
    this.#advance(entry, leaf, leaves);
  }

  /** The leaf of an entry before which others are missing. Each of those had at least one offset of its own. */
  #leafAfterHole(entry: ChainedEntry, { head }: Span, leaves: Uint8Array): number | undefined {
    const most = Math.min(this.#nextLeaf + entry.offset - this.#expected + this.#slack, head.entries - 1);
    for (let leaf = this.#nextLeaf + 1; leaf <= most; leaf += 1) if (this.#matches(entry, leaf, leaves)) return leaf;
    return undefined;
  }

  #matches(entry: ChainedEntry, leaf: number, leaves: Uint8Array): boolean {
    if (leaf * DIGEST_BYTES >= leaves.length) return false;
    const previous = leaf === 0 ? this.#previous : leafAt(leaves, leaf - 1);
    const hash = leafAt(leaves, leaf);
    return previous !== undefined && sameBytes(entry.hash, hash) && sameBytes(this.#hash(previous, entry), hash);
  }

  #advance(entry: ChainedEntry, leaf: number, leaves: Uint8Array): void {
    this.#nextLeaf = leaf + 1;
    this.#met += 1;
    this.#slack = 0;
    this.#findings.proven += 1;
    this.#previous = leafAt(leaves, leaf);
    this.#expected = endOf(entry);
  }

  /** The doubtful entry stands where another one should: it was altered, and a leaf is used up. */
  #settleDoubt(span: Span): void {
    const entry = this.#doubtful;
    if (entry === undefined) return;
    this.#doubtful = undefined;
    if (entry.offset > this.#expected) {
      // How many entries lay between, only the next that fits its leaf can tell.
      this.#slack += entry.offset - this.#expected;
      const from = Math.max(this.#expected, this.#keptFrom);
      if (entry.offset > from) {
        this.#fault('entry-missing', span, from, entry.offset, 'what lay here is not in the record any more');
      }
    }
    this.#fault('entry-altered', span, entry.offset, endOf(entry), 'it is not what the checkpoint was made of');
    this.#met += 1;
    this.#nextLeaf = Math.min(this.#nextLeaf + 1, span.head.entries);
    this.#expected = endOf(entry);
  }

  #inserted(entry: ChainedEntry, span: Span): void {
    this.#fault('entry-inserted', span, entry.offset, entry.offset + 1, 'no checkpoint knows this entry');
  }

  /** No entry has been found for the leaves before this one. */
  #missing(span: Span, beforeLeaf: number, until: number): void {
    const leaves = beforeLeaf - this.#nextLeaf;
    if (until <= this.#keptFrom) {
      this.#findings.dropped += leaves;
    } else if (leaves > 0 && until > this.#expected) {
      const what = `${spell(leaves, 'entry is', 'entries are')} not in the record any more`;
      this.#fault('entry-missing', span, Math.max(this.#expected, this.#keptFrom), until, what);
    }
    this.#nextLeaf = beforeLeaf;
  }

  /** Without a list of leaves that can be relied on, the chain alone leads from one checkpoint to the next. */
  #takeUnderHead(entry: ChainedEntry, span: Span): void {
    this.#met += 1;
    this.#checkLink(entry, span);
  }

  #takeUnproven(entry: ChainedEntry): void {
    this.#findings.notYetProven += 1;
    this.#checkLink(entry, undefined);
  }

  #checkLink(entry: ChainedEntry, span: Span | undefined): void {
    if (entry.offset < this.#expected) {
      this.#faultsInSpan += 1;
      this.#fault('entry-inserted', span, entry.offset, entry.offset + 1, 'another entry has this place');
      return;
    }
    if (entry.offset > this.#expected) {
      if (entry.offset > this.#keptFrom) {
        this.#faultsInSpan += 1;
        const from = Math.max(this.#expected, this.#keptFrom);
        this.#fault('entry-missing', span, from, entry.offset, 'what lay here is not in the record');
      }
      // The hash it follows is gone with it: the next signed head vouches for the rest.
      this.#previous = undefined;
    }
    if (this.#previous !== undefined && !sameBytes(this.#hash(this.#previous, entry), entry.hash)) {
      this.#faultsInSpan += 1;
      const what = 'its hash does not follow from what is stored: it was altered, or the entry before it was';
      this.#fault('entry-altered', span, entry.offset, endOf(entry), what);
    }
    this.#previous = entry.hash;
    this.#expected = endOf(entry);
  }

  #fault(kind: EntryFault['kind'], span: Span | undefined, offset: number, until: number, what: string): void {
    const { topic, partition } = this.#of;
    this.#findings.add({ kind, topic, partition, offset, until, epoch: span?.epoch ?? null, what });
  }
}

function endOf(entry: ChainedEntry): number {
  return entry.gapUntil ?? entry.offset + 1;
}

function leafAt(leaves: Uint8Array, index: number): Uint8Array {
  return leaves.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
}
