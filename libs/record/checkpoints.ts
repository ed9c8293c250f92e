import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TOPICS } from '#contracts';
import {
  canonicalJson,
  checkpointDigest,
  checkpointSchema,
  DIGEST_BYTES,
  hexOf,
  MerkleRoot,
  signedBytes,
  type ChainHead,
  type Checkpoint,
  type CheckpointBody,
} from '#domain';
import { CheckpointFile } from './checkpoint-file.js';
import type { Query } from './intent-keys.js';
import { proofCrypto, sha256Bytes } from './proof-crypto.js';
import type { RecordConnection } from './record-connection.js';
import { RecordError } from './record-error.js';
import type { SigningKey } from './record-keys.js';
import { checkpointOf, type CheckpointRow } from './stored-record.js';

/** Any number will do as long as every replica uses the same: one of them closes an epoch. */
const CLOSING_LOCK = 7_236_422;
/** One process at a time adds to the file of checkpoints. */
const KEEPING_LOCK = 7_236_423;
const CHECKPOINTS_AT_ONCE = 100;
const BUSY_RETRY_MS = 100;
/** A minute: an epoch of very many entries takes some seconds. */
const BUSY_ATTEMPTS = 600;
const HASHES_PER_PAGE = 20_000;
const UNIQUE_VIOLATION = '23505';

const HEADS = `
  SELECT head.topic, head."partition", head.next, head.hash,
    coalesce((SELECT leaves.next FROM record.epoch_leaves AS leaves
      WHERE leaves.topic = head.topic AND leaves."partition" = head."partition"
      ORDER BY leaves.next DESC LIMIT 1), 0) AS "from",
    retention.kept_from AS "keptFrom"
  FROM record.chain_head AS head
  LEFT JOIN record.retention ON retention.topic = head.topic AND retention."partition" = head."partition"
  WHERE head.next > 0
  ORDER BY head.topic, head."partition"`;

interface HeadRow {
  readonly topic: string;
  readonly partition: number;
  readonly next: string;
  readonly hash: Buffer;
  readonly from: string;
  readonly keptFrom: string | null;
}

export interface EpochOptions {
  /** ms since the epoch. */
  readonly now: number;
  /** Topics whose entries alone are no reason to close an epoch: the checkpoints themselves. */
  readonly notForItself?: readonly string[];
  /** Name every partition, and close the epoch even if nothing was added: for a checkpoint to keep. */
  readonly complete?: boolean;
  /** From the next checkpoint on, this key signs. */
  readonly nextKey?: SigningKey;
  /** A person has acknowledged that checkpoints after this epoch were lost with the database. */
  readonly restored?: CheckpointBody['restored'];
}

/** Checkpoints that were signed after the last one in the database. */
export interface LostCheckpoints {
  /** The last epoch in the database; 0: none. */
  readonly after: number;
  /** By epoch, without a hole. */
  readonly lost: readonly Checkpoint[];
}

interface Leaves {
  readonly head: ChainHead;
  readonly hashes: Buffer;
}

/** Closes epochs and hands out checkpoints. Every one goes into the file `checkpoints.jsonl` of the key folder. */
export class Checkpoints {
  readonly #file: CheckpointFile;

  constructor(private readonly record: RecordConnection) {
    this.#file = new CheckpointFile(join(record.keys.folder, 'checkpoints.jsonl'));
  }

  /**
   * Signs everything that has been stored since the checkpoint before. `undefined`: there is nothing new, or another
   * replica is doing it.
   */
  async closeEpoch(options: EpochOptions): Promise<Checkpoint | undefined> {
    const signed = await this.sign(options);
    await this.keep(signed);
    return signed;
  }

  /**
   * Signs everything that is stored by now, also where nothing is new. Waits while other processes close epochs; throws
   * `REMIT_RECORD_BUSY` when that takes a minute.
   */
  async signNow(options: Pick<EpochOptions, 'now' | 'nextKey'>): Promise<Checkpoint> {
    for (let attempt = 1; attempt <= BUSY_ATTEMPTS; attempt += 1) {
      const signed = await this.closeEpoch({ ...options, complete: true });
      if (signed !== undefined) return signed;
      await sleep(BUSY_RETRY_MS);
    }
    throw new RecordError(
      'REMIT_RECORD_BUSY',
      'another process has been closing an epoch for a minute, so nothing is signed; see whether an audit process hangs, ' +
        'and try again',
    );
  }

  /** Adds to the file what has been signed, by this process or another, since the last one that it holds. */
  async keep(signed: Checkpoint | undefined): Promise<void> {
    const recordId = await this.record.intentKeys.recordId(this.record.query);
    await this.record.transaction(async (query) => {
      await query('SELECT pg_advisory_xact_lock($1)', [KEEPING_LOCK]);
      let last = await this.#file.lastEpochOf(recordId);
      for (;;) {
        const rows = await query<CheckpointRow>(
          `SELECT epoch, body, signature FROM record.checkpoint WHERE epoch > $1
           ORDER BY epoch LIMIT ${String(CHECKPOINTS_AT_ONCE)}`,
          [last],
        );
        if (rows.length === 0) break;
        await this.#file.add(rows.map(checkpointOf));
        last = Number(rows.at(-1)?.epoch);
      }
      // of a database that was set back, the file holds later ones already
      if (signed !== undefined && !(await this.#file.holds(signed))) await this.#file.add([signed]);
    });
  }

  /**
   * Checkpoints of this record on the log, as far as it is stored, or in the file, that the database does not hold: it
   * was restored from an older backup. `undefined`: there are none.
   */
  async lost(): Promise<LostCheckpoints | undefined> {
    const recordId = await this.record.intentKeys.recordId(this.record.query);
    const after = (await this.latest())?.body.epoch ?? 0;
    const inFile = new Map((await this.#file.after(recordId, after)).map((one) => [one.body.epoch, one]));
    const lost: Checkpoint[] = [];
    for (let epoch = after + 1; ; epoch += 1) {
      const found = (await this.#published(recordId, epoch)) ?? inFile.get(epoch);
      if (found === undefined) break;
      lost.push(found);
    }
    return lost.length === 0 ? undefined : { after, lost };
  }

  async #published(recordId: string, epoch: number): Promise<Checkpoint | undefined> {
    const rows = await this.record.query<{ value: Buffer }>(
      `SELECT value FROM record.history WHERE event_id = $1 AND topic = $2 AND value IS NOT NULL
       ORDER BY "offset" LIMIT 1`,
      [`${recordId}/${String(epoch)}`, TOPICS.auditCheckpoints.name],
    );
    const [row] = rows;
    if (row === undefined) return undefined;
    const { data } = JSON.parse(row.value.toString('utf8')) as { data: unknown };
    return checkpointSchema.parse(data);
  }

  /**
   * Takes the lost checkpoints back, and signs the next one, which says that the database was restored. Throws
   * `REMIT_RECORD_ALTERED` when they do not follow the ones in the database. `undefined`: another replica is doing it.
   */
  async signRestored({ after, lost }: LostCheckpoints, options: EpochOptions): Promise<Checkpoint | undefined> {
    const recordId = await this.record.intentKeys.recordId(this.record.query);
    const signed = await this.record.snapshot(async (query) => {
      const last = await latestOf(query);
      if ((last?.body.epoch ?? 0) !== after) return undefined;
      requireSequence(last, lost);
      for (const { body, signature } of lost) {
        await query('INSERT INTO record.checkpoint (epoch, body, signature) VALUES ($1, $2, $3)', [
          body.epoch,
          canonicalJson(body),
          Buffer.from(signature, 'base64'),
        ]);
        await query('INSERT INTO record.published_checkpoint (epoch) VALUES ($1) ON CONFLICT DO NOTHING', [body.epoch]);
      }
      const closed = await this.#close(query, recordId, { ...options, complete: true });
      // all of it or nothing
      if (closed === undefined) throw new RecordError('REMIT_RECORD_BUSY', 'another process is closing an epoch');
      return closed;
    });
    await this.keep(signed);
    return signed;
  }

  /** {@link closeEpoch}, for those who call {@link keep} themselves. */
  async sign(options: EpochOptions): Promise<Checkpoint | undefined> {
    const recordId = await this.record.intentKeys.recordId(this.record.query);
    try {
      return await this.record.snapshot((query) => this.#close(query, recordId, options));
    } catch (error) {
      if (causeOf(error)['code'] !== UNIQUE_VIOLATION) throw error;
      // Another replica has closed this epoch between our look at the record and our signature.
      if (causeOf(error)['table'] === 'checkpoint') return undefined;
      throw new RecordError(
        'REMIT_RECORD_ALTERED',
        'leaves are kept of an epoch that has no checkpoint: checkpoints were removed, so nothing is signed; ' +
          'run remit audit verify with checkpoints that were kept elsewhere',
        { cause: error },
      );
    }
  }

  /** Makes another signing key, and signs the checkpoint that announces it with the one before. */
  async rotateKey(now: number): Promise<Checkpoint> {
    return this.signNow({ now, nextKey: await this.record.keys.makeSigningKey() });
  }

  async latest(): Promise<Checkpoint | undefined> {
    return latestOf(this.record.query);
  }

  /** The key that an auditor has to know: it has signed, or will sign, the first checkpoint. */
  async firstPublicKey(): Promise<Buffer> {
    const rows = await this.record.query<CheckpointRow>(
      'SELECT epoch, body, signature FROM record.checkpoint ORDER BY epoch LIMIT 1',
      [],
    );
    const [first] = rows.map(checkpointOf);
    return first === undefined ? (await this.record.keys.signing()).publicKey : Buffer.from(first.body.key, 'base64');
  }

  /** Checkpoints that are not on the log yet, by epoch. */
  async unpublished(): Promise<readonly Checkpoint[]> {
    const rows = await this.record.query<CheckpointRow>(
      `SELECT epoch, body, signature FROM record.checkpoint
       WHERE epoch > (SELECT coalesce(max(epoch), 0) FROM record.published_checkpoint) ORDER BY epoch LIMIT 100`,
      [],
    );
    return rows.map(checkpointOf);
  }

  async markPublished({ body }: Checkpoint): Promise<void> {
    await this.record.query('INSERT INTO record.published_checkpoint (epoch) VALUES ($1) ON CONFLICT DO NOTHING', [
      body.epoch,
    ]);
  }

  async #close(query: Query, recordId: string, options: EpochOptions): Promise<Checkpoint | undefined> {
    const [lock] = await query<{ got: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS got', [CLOSING_LOCK]);
    if (lock?.got !== true) return undefined;
    const last = await latestOf(query);
    const heads = await query<HeadRow>(HEADS, []);
    const isNew = ({ topic, from, next }: HeadRow): boolean =>
      from !== next && options.notForItself?.includes(topic) !== true;
    if (options.complete !== true && !heads.some(isNew)) return undefined;
    const wanted = heads.filter(({ from, next }) => options.complete === true || from !== next);
    const key = await this.record.keys.signing(signerAfter(last));
    const leaves: Leaves[] = [];
    for (const head of wanted) leaves.push(await leavesOf(query, head));
    const tree = new MerkleRoot(sha256Bytes);
    for (const { hashes } of leaves) {
      for (let i = 0; i < hashes.length; i += DIGEST_BYTES) tree.add(hashes.subarray(i, i + DIGEST_BYTES));
    }
    const body: CheckpointBody = {
      format: 'remit.checkpoint/1',
      record: recordId,
      epoch: (last?.body.epoch ?? 0) + 1,
      closedAt: new Date(options.now).toISOString(),
      previous: last === undefined ? null : checkpointDigest(last.body, sha256Bytes),
      entries: tree.size,
      root: hexOf(tree.root()),
      heads: leaves.map(({ head }) => head),
      key: key.publicKey.toString('base64'),
      ...(options.nextKey === undefined ? {} : { nextKey: options.nextKey.publicKey.toString('base64') }),
      ...(options.restored === undefined ? {} : { restored: options.restored }),
    };
    const signature = key.sign(signedBytes(body));
    await query('INSERT INTO record.checkpoint (epoch, body, signature) VALUES ($1, $2, $3)', [
      body.epoch,
      canonicalJson(body),
      signature,
    ]);
    for (const { head, hashes } of leaves) {
      if (head.entries === 0) continue;
      await query(
        'INSERT INTO record.epoch_leaves (epoch, topic, "partition", next, hashes) VALUES ($1, $2, $3, $4, $5)',
        [body.epoch, head.topic, head.partition, head.next, hashes],
      );
    }
    return { body, signature: signature.toString('base64') };
  }
}

/** Throws when these checkpoints do not go on from the last one, each signed and naming the one before. */
function requireSequence(last: Checkpoint | undefined, lost: readonly Checkpoint[]): void {
  let before = last;
  for (const checkpoint of lost) {
    const { body, signature } = checkpoint;
    const signer = signerAfter(before);
    const follows =
      body.previous === (before === undefined ? null : checkpointDigest(before.body, sha256Bytes)) &&
      (signer === undefined || body.key === signer.toString('base64')) &&
      proofCrypto.isSigned(Buffer.from(body.key, 'base64'), signedBytes(body), Buffer.from(signature, 'base64'));
    if (!follows) {
      throw new RecordError(
        'REMIT_RECORD_ALTERED',
        `the published checkpoint ${String(body.epoch)} does not follow what the database holds: the backup is not of this ` +
          'audit log, or it was altered; nothing is signed',
      );
    }
    before = checkpoint;
  }
}

async function latestOf(query: Query): Promise<Checkpoint | undefined> {
  const rows = await query<CheckpointRow>(
    'SELECT epoch, body, signature FROM record.checkpoint ORDER BY epoch DESC LIMIT 1',
    [],
  );
  return rows.map(checkpointOf)[0];
}

function signerAfter(last: Checkpoint | undefined): Buffer | undefined {
  return last === undefined ? undefined : Buffer.from(last.body.nextKey ?? last.body.key, 'base64');
}

/** The hashes of what was added to a partition. Throws `REMIT_RECORD_ALTERED` when they do not lead to its head. */
async function leavesOf(query: Query, head: HeadRow): Promise<Leaves> {
  const { topic, partition, hash } = head;
  const hashes: Buffer[] = [];
  let from = head.from;
  while (from !== head.next) {
    const rows = await query<{ hash: Buffer; next: string }>(
      `SELECT hash, coalesce(gap_until, "offset" + 1) AS next FROM record.history
       WHERE topic = $1 AND "partition" = $2 AND "offset" >= $3 AND "offset" < $4
       ORDER BY "offset" LIMIT ${String(HASHES_PER_PAGE)}`,
      [topic, partition, from, head.next],
    );
    hashes.push(...rows.map((row) => row.hash));
    const last = rows.at(-1);
    if (last === undefined) throw brokenChain(head);
    from = last.next;
  }
  if (hashes.length > 0 && hashes.at(-1)?.equals(hash) !== true) throw brokenChain(head);
  return {
    head: {
      topic,
      partition,
      from: Number(head.from),
      next: Number(head.next),
      entries: hashes.length,
      hash: hash.toString('hex'),
      ...(head.keptFrom === null ? {} : { keptFrom: Number(head.keptFrom) }),
    },
    hashes: Buffer.concat(hashes),
  };
}

function brokenChain({ topic, partition }: HeadRow): RecordError {
  return new RecordError(
    'REMIT_RECORD_ALTERED',
    `${topic}/${String(partition)} does not lead to its chain head, so nothing is signed; run remit audit verify`,
  );
}

/** What the database said when it refused; empty where it is not that. */
function causeOf(error: unknown): Readonly<Record<string, unknown>> {
  const cause = error instanceof Error ? error.cause : undefined;
  return typeof cause === 'object' && cause !== null ? (cause as Record<string, unknown>) : {};
}
