import { z } from 'zod';
import { bytesOfHex, hexOf, type BytesHash } from './bytes.js';
import { checkpointSchema, type Checkpoint } from './checkpoint.js';
import { entryHash, type ChainedEntry } from './entry-hash.js';
import { isIncluded } from './merkle.js';

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const text = z.string().nullable();
const bytes = z.base64().nullable();

/** A stored entry as JSON: every stored field, bytes in base64, the hash in hex. */
export const entryDocumentSchema = z.strictObject({
  topic: z.string(),
  partition: z.number(),
  offset: z.number(),
  gapUntil: z.number().nullable(),
  appendTime: z.number().describe('ms since the epoch.'),
  keyId: text,
  key: bytes,
  headers: text,
  value: bytes,
  eventType: text,
  eventId: text,
  agentId: text,
  intentId: text,
  chainId: text,
  actionType: text,
  target: text,
  outcome: text,
  traceId: text,
  hash: digest,
});
export type EntryDocument = z.infer<typeof entryDocumentSchema>;

/** Base64 as the edge supplies it. */
export interface Base64 {
  readonly toBase64: (bytes: Uint8Array) => string;
  readonly fromBase64: (text: string) => Uint8Array;
}

export function documentOfEntry(entry: ChainedEntry, { toBase64 }: Pick<Base64, 'toBase64'>): EntryDocument {
  const { topic, partition, offset, gapUntil, appendTime, keyId, key, headers, value } = entry;
  const { eventType, eventId, agentId, intentId, chainId, actionType, target, outcome, traceId } = entry;
  return {
    ...{ topic, partition, offset, gapUntil, appendTime, keyId },
    key: key && toBase64(key),
    headers,
    value: value && toBase64(value),
    ...{ eventType, eventId, agentId, intentId, chainId, actionType, target, outcome, traceId },
    hash: hexOf(entry.hash),
  };
}

export function entryOfDocument(document: EntryDocument, { fromBase64 }: Pick<Base64, 'fromBase64'>): ChainedEntry {
  return {
    ...document,
    key: document.key === null ? null : fromBase64(document.key),
    value: document.value === null ? null : fromBase64(document.value),
    hash: bytesOfHex(document.hash),
  };
}

/** Shows that an entry is under a checkpoint, to someone who has the checkpoint and nothing else. */
export const inclusionProofSchema = z.strictObject({
  format: z.literal('remit.inclusion-proof/1'),
  entry: entryDocumentSchema,
  previous: digest.describe('The hash of the entry before.'),
  epoch: z.int().min(1),
  index: z.int().min(0).describe('Which leaf of the tree it is.'),
  path: z.array(digest).describe('RFC 6962, section 2.1.1.'),
});
export type InclusionProof = z.infer<typeof inclusionProofSchema>;

/** A proof with every checkpoint from the first one on: all that a verifier with the first public key needs. */
export const proofDocumentSchema = z.strictObject({
  format: z.literal('remit.proof/1'),
  proof: inclusionProofSchema,
  checkpoints: z.array(checkpointSchema),
});

/** Whether the entry, as the proof shows it, is under this checkpoint. The checkpoint itself must be trusted already. */
export function isProven(
  proof: InclusionProof,
  { body }: Checkpoint,
  sha256: BytesHash,
  base64: Pick<Base64, 'fromBase64'>,
): boolean {
  if (proof.epoch !== body.epoch) return false;
  const entry = entryOfDocument(proof.entry, base64);
  const leafHash = entryHash(sha256)(bytesOfHex(proof.previous), entry);
  if (hexOf(leafHash) !== proof.entry.hash) return false;
  return isIncluded(
    {
      leafHash,
      index: proof.index,
      size: body.entries,
      path: proof.path.map(bytesOfHex),
      root: bytesOfHex(body.root),
    },
    sha256,
  );
}
