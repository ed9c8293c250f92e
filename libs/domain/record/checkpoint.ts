import { z } from 'zod';
import { MAX_REASON_LENGTH } from './plain-text.js';
import type { BytesHash, SignatureCheck } from './bytes.js';
import { hexOf, sameBytes } from './bytes.js';
import { canonicalJson } from './canonical-json.js';

const digest = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 digest in lower-case hex');
const publicKey = z.base64().length(44).describe('An Ed25519 public key: 32 bytes.');

/** How far one partition had come when an epoch was closed. */
export const chainHeadSchema = z.strictObject({
  topic: z.string(),
  partition: z.int().min(0),
  from: z.int().min(0).describe('The first offset of this epoch.'),
  next: z.int().min(0).describe('The offset after the last of this epoch; equal to `from`: nothing was added.'),
  entries: z.int().min(0).describe('Messages and gaps of this epoch.'),
  hash: digest.describe('The hash of the last entry before `next`.'),
  keptFrom: z.int().min(1).optional().describe('Everything before this offset was dropped when its time had come.'),
});
export type ChainHead = z.infer<typeof chainHeadSchema>;

/**
 * What was added to the record since the checkpoint before. The tree's leaves are the hashes of this epoch's entries,
 * by topic (code point), partition and offset.
 */
export const checkpointBodySchema = z.strictObject({
  format: z.literal('remit.checkpoint/1'),
  record: z.uuid().describe('Which record this is about.'),
  epoch: z.int().min(1).describe('Counts from 1.'),
  closedAt: z.iso.datetime({ precision: 3 }),
  previous: digest.nullable().describe('SHA-256 over the RFC 8785 form of the body before; null: this is the first.'),
  entries: z.int().min(0).describe('Leaves of the tree.'),
  root: digest.describe('Root of the RFC 6962 tree.'),
  heads: z.array(chainHeadSchema).describe('By topic (code point) and partition; partitions left out have not moved.'),
  key: publicKey.describe('It verifies the signature, once it is trusted.'),
  nextKey: publicKey.optional().describe('From the next checkpoint on, this key signs.'),
  restored: z
    .strictObject({
      after: z.int().min(0).describe('The last epoch that the restored database held; 0: none.'),
      by: z.string().min(1).max(256).describe('Who acknowledged it.'),
      reason: z.string().min(1).max(MAX_REASON_LENGTH),
    })
    .optional()
    .describe(
      'The database was restored from a backup. The entries of the epochs between were lost with it and read again from ' +
        'the log: sealed anew, so their hashes are others. `heads` go on where epoch `after` ended.',
    ),
});
export type CheckpointBody = z.infer<typeof checkpointBodySchema>;

export const checkpointSchema = z.strictObject({
  body: checkpointBodySchema,
  signature: z.base64().describe('Ed25519, over the UTF-8 bytes of the RFC 8785 form of `body`.'),
});
export type Checkpoint = z.infer<typeof checkpointSchema>;

/** The bytes that are signed. */
export function signedBytes(body: CheckpointBody): Uint8Array {
  return new TextEncoder().encode(canonicalJson(body));
}

/** What the next checkpoint names as `previous`. */
export function checkpointDigest(body: CheckpointBody, sha256: BytesHash): string {
  return hexOf(sha256(signedBytes(body)));
}

/** Hash and signature as the edge supplies them, and base64. */
export interface ProofCrypto {
  readonly sha256: BytesHash;
  readonly isSigned: SignatureCheck;
  readonly fromBase64: (text: string) => Uint8Array;
}

/** What is wrong with a row of checkpoints, and with which epoch. */
export interface CheckpointFault {
  readonly kind:
    'checkpoint-forged' | 'checkpoint-altered' | 'checkpoint-missing' | 'checkpoint-differs' | 'leaves-altered';
  readonly epoch: number;
  readonly what: string;
}

/**
 * Checks checkpoints one after the other, from the first one on: each signed by the key that was trusted or announced
 * then, each naming the one before. Stops trusting at the first fault.
 */
export class CheckpointSequence {
  readonly #crypto: ProofCrypto;
  #key: Uint8Array;
  #previous: { readonly epoch: number; readonly digest: string; readonly record: string } | undefined;

  /** `publicKey`: the one that signed the first checkpoint. */
  constructor(publicKey: Uint8Array, crypto: ProofCrypto) {
    this.#crypto = crypto;
    this.#key = publicKey;
  }

  /** The key that must sign the next checkpoint. */
  get key(): Uint8Array {
    return this.#key;
  }

  /** `undefined`: it follows and is trusted. */
  accept(checkpoint: Checkpoint): CheckpointFault | undefined {
    const { body, signature } = checkpoint;
    const { sha256, isSigned, fromBase64 } = this.#crypto;
    const expected = (this.#previous?.epoch ?? 0) + 1;
    if (body.epoch !== expected) {
      const what = `epoch ${String(expected)} is missing: after it comes ${String(body.epoch)}`;
      return { kind: 'checkpoint-missing', epoch: expected, what };
    }
    if (!sameBytes(fromBase64(body.key), this.#key)) {
      const what = `it is signed with key ${body.key}, which is not the trusted one and was never announced by it`;
      return { kind: 'checkpoint-forged', epoch: body.epoch, what };
    }
    if (!isSigned(this.#key, signedBytes(body), fromBase64(signature))) {
      return { kind: 'checkpoint-forged', epoch: body.epoch, what: 'its signature does not fit what it says' };
    }
    if (body.previous !== (this.#previous?.digest ?? null) || body.record !== (this.#previous?.record ?? body.record)) {
      return { kind: 'checkpoint-altered', epoch: body.epoch, what: 'it does not follow the checkpoint before' };
    }
    this.#previous = { epoch: body.epoch, digest: checkpointDigest(body, sha256), record: body.record };
    if (body.nextKey !== undefined) this.#key = fromBase64(body.nextKey);
    return undefined;
  }
}

/** Whether two checkpoints say the same; their signatures may differ. */
export function isSameCheckpoint(a: CheckpointBody, b: CheckpointBody): boolean {
  return sameBytes(signedBytes(a), signedBytes(b));
}
