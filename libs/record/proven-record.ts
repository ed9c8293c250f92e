import type { KeyObject } from 'node:crypto';
import {
  DIGEST_BYTES,
  documentOfEntry,
  MerkleTree,
  NOTHING_BEFORE,
  hexOf,
  placeName,
  verifyRecord,
  type ChainedEntry,
  type Checkpoint,
  type InclusionProof,
  type RecordReport,
} from '#domain';
import { Checkpoints } from './checkpoints.js';
import { proofCrypto, sha256Bytes } from './proof-crypto.js';
import { RecordConnection } from './record-connection.js';
import type { RecordDatabaseOptions } from './record-database.js';
import { RecordError } from './record-error.js';
import { checkpointOf, StoredRecord, type CheckpointRow } from './stored-record.js';

interface EpochTree {
  readonly checkpoint: Checkpoint;
  readonly leaves: readonly Uint8Array[];
  readonly tree: MerkleTree;
}

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

const EPOCH_OF = `
  SELECT epoch FROM record.epoch_leaves WHERE topic = $1 AND "partition" = $2 AND next > $3 ORDER BY next LIMIT 1`;

const PREVIOUS = `
  SELECT hash FROM record.history
  WHERE topic = $1 AND "partition" = $2 AND "offset" < $3 ORDER BY "offset" DESC LIMIT 1`;

/** The record as something that can be proven: its checkpoints, its verification, and proofs of single entries. */
export class ProvenRecord {
  readonly #record: RecordConnection;
  readonly checkpoints: Checkpoints;
  readonly stored: StoredRecord;
  #epoch: EpochTree | undefined;

  constructor(options: RecordDatabaseOptions) {
    this.#record = new RecordConnection(options, 'writer');
    this.checkpoints = new Checkpoints(this.#record);
    this.stored = new StoredRecord(this.#record.query);
  }

  /** Creates the partitions of now and of the week to come, so that no append has to wait for one. */
  async prepareMonths(now: number): Promise<void> {
    for (const moment of [now, now + WEEK_MS]) {
      await this.#record.query('SELECT record.ensure_month($1)', [new Date(moment)]);
    }
  }

  /** Checks everything that is stored. `publicKey`: the one that signed the first checkpoint. */
  verify(publicKey: Uint8Array, kept: readonly Checkpoint[] = []): Promise<RecordReport> {
    return verifyRecord(this.stored, { publicKey, kept }, proofCrypto);
  }

  /**
   * Signs first where no checkpoint covers the entry yet. `now`: ms since the epoch. Throws `REMIT_RECORD_ALTERED` when
   * the entry is not what its checkpoint was made of.
   */
  async prove(entry: ChainedEntry, now: number): Promise<InclusionProof> {
    let epoch = await this.#epochOf(entry);
    if (epoch === undefined) {
      await this.checkpoints.signNow({ now });
      epoch = await this.#epochOf(entry);
    }
    const proof = epoch === undefined ? undefined : await this.#proofIn(epoch, entry);
    if (proof !== undefined) return proof;
    throw new RecordError(
      'REMIT_RECORD_ALTERED',
      `no checkpoint bears ${placeName(entry)} out; run remit audit verify`,
    );
  }

  async #epochOf({ topic, partition, offset }: ChainedEntry): Promise<number | undefined> {
    const [found] = await this.#record.query<{ epoch: string }>(EPOCH_OF, [topic, partition, offset]);
    return found === undefined ? undefined : Number(found.epoch);
  }

  /** `undefined`: the epoch was made of something else. */
  async #proofIn(epochOfEntry: number, entry: ChainedEntry): Promise<InclusionProof | undefined> {
    const { topic, partition } = entry;
    const { checkpoint, leaves, tree } = await this.#treeOf(epochOfEntry);
    const { heads, epoch } = checkpoint.body;
    const at = heads.findIndex((head) => head.topic === topic && head.partition === partition);
    const head = heads[at];
    if (head === undefined) return undefined;
    const first = heads.slice(0, at).reduce((sum, { entries }) => sum + entries, 0);
    const wanted = Buffer.from(entry.hash);
    const index = leaves.findIndex((leaf, i) => i >= first && i < first + head.entries && wanted.equals(leaf));
    if (index === -1) return undefined;
    const before = index > first ? leaves[index - 1] : await this.#hashBefore(entry);
    return {
      format: 'remit.inclusion-proof/1',
      entry: documentOfEntry(entry, proofCrypto),
      previous: hexOf(before ?? NOTHING_BEFORE),
      epoch,
      index,
      path: tree.path(index).map(hexOf),
    };
  }

  /** The keys that entries are sealed with; destroyed ones are left out. */
  keysWithIds(ids: readonly string[]): Promise<ReadonlyMap<string, KeyObject>> {
    return ids.length === 0 ? Promise.resolve(new Map()) : this.#record.intentKeys.withIds(this.#record.query, ids);
  }

  async close(): Promise<void> {
    await this.#record.close();
  }

  async #hashBefore({ topic, partition, offset }: ChainedEntry): Promise<Buffer | undefined> {
    return (await this.#record.query<{ hash: Buffer }>(PREVIOUS, [topic, partition, offset]))[0]?.hash;
  }

  async #treeOf(epoch: number): Promise<EpochTree> {
    if (this.#epoch?.checkpoint.body.epoch === epoch) return this.#epoch;
    const rows = await this.#record.query<CheckpointRow>(
      'SELECT epoch, body, signature FROM record.checkpoint WHERE epoch = $1',
      [epoch],
    );
    const [checkpoint] = rows.map(checkpointOf);
    if (checkpoint === undefined) throw new Error(`there are leaves but no checkpoint of epoch ${String(epoch)}`);
    const leaves: Uint8Array[] = [];
    for (const head of checkpoint.body.heads) {
      if (head.entries === 0) continue;
      const hashes = await this.stored.leaves(epoch, head);
      for (let i = 0; i < hashes.length; i += DIGEST_BYTES) leaves.push(hashes.subarray(i, i + DIGEST_BYTES));
    }
    this.#epoch = { checkpoint, leaves, tree: new MerkleTree(leaves, sha256Bytes) };
    return this.#epoch;
  }
}
