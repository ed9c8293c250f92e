import { createCipheriv, createDecipheriv, createSecretKey, randomFillSync, type KeyObject } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import { TOPICS } from '#contracts';
import type { Position } from './history.js';
import type { MasterKey } from './record-keys.js';
import { RecordError } from './record-error.js';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const KEY_BYTES = 32;

/** What cannot hold anybody's data but by name: digests instead of parameters, rules, and what Remit says of itself. */
const CLEAR_TOPICS: ReadonlySet<string> = new Set(
  [
    TOPICS.agentDecisions,
    TOPICS.charterEvents,
    TOPICS.auditCheckpoints,
    TOPICS.auditAccess,
    TOPICS.logDiscrepancies,
  ].map(({ name }) => name),
);

/** Everything else is stored sealed, topics that nobody knows included. */
export function isSealed(topic: string): boolean {
  return !CLEAR_TOPICS.has(topic);
}

/** Random bytes are asked for by the thousand: one call each costs as much as the cipher. */
const RANDOM_BYTES = 48 * 1024;
const pool = Buffer.alloc(RANDOM_BYTES);
let poolUsed = RANDOM_BYTES;

/** Fresh random bytes, handed out once. */
export function freshBytes(length: number): Buffer {
  if (poolUsed + length > RANDOM_BYTES) {
    randomFillSync(pool);
    poolUsed = 0;
  }
  const bytes = Buffer.from(pool.subarray(poolUsed, poolUsed + length));
  pool.fill(0, poolUsed, poolUsed + length);
  poolUsed += length;
  return bytes;
}

/** Keys as objects: a cipher that is handed plain bytes takes four times as long. */
export function secretKey(bytes: Buffer): KeyObject {
  return createSecretKey(bytes);
}

function seal(key: KeyObject, plain: Buffer, boundTo: string): Buffer {
  const nonce = freshBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(boundTo));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Throws when the bytes are not what was sealed with this key for this place. */
function unseal(key: KeyObject, sealed: Buffer, boundTo: string): Buffer {
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES))
    .setAAD(Buffer.from(boundTo))
    .setAuthTag(sealed.subarray(-TAG_BYTES));
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
  // It adds nothing and throws when the tag is wrong.
  decipher.final();
  return plain;
}

function placeOf({ topic, partition, offset }: Position): string {
  return `${topic}/${String(partition)}/${String(offset)}`;
}

/** Headers (as canonical text) and value of a message. */
export interface Content {
  readonly headers: string;
  readonly value: Buffer | null;
}

const LENGTH_BYTES = 4;

/** `nonce (12) || AES-256-GCM of (length of headers (4) || headers || 0 or 1 || value) || tag (16)`, bound to its place. */
export function sealContent(key: KeyObject, { headers, value }: Content, at: Position): Buffer {
  const length = Buffer.byteLength(headers);
  const plain = Buffer.allocUnsafe(LENGTH_BYTES + length + 1 + (value?.length ?? 0));
  plain.writeUInt32BE(length);
  plain.write(headers, LENGTH_BYTES);
  plain[LENGTH_BYTES + length] = value === null ? 0 : 1;
  value?.copy(plain, LENGTH_BYTES + length + 1);
  return seal(key, plain, placeOf(at));
}

/** Throws `REMIT_RECORD_ALTERED` when it is not what was sealed for this place. */
export function openContent(key: KeyObject, sealed: Buffer, at: Position): Content {
  try {
    const plain = unseal(key, sealed, placeOf(at));
    const end = LENGTH_BYTES + plain.readUInt32BE();
    const headers = plain.subarray(LENGTH_BYTES, end);
    if (!isUtf8(headers)) throw new Error('headers are no text');
    return { headers: headers.toString('utf8'), value: plain[end] === 0 ? null : plain.subarray(end + 1) };
  } catch {
    throw new RecordError(
      'REMIT_RECORD_ALTERED',
      `what is stored at ${placeOf(at)} is not what was sealed there; run remit audit verify`,
    );
  }
}

/** An intent's key as it is kept. */
export function wrapKey(master: MasterKey, keyId: string, key: Buffer): Buffer {
  return seal(master.wrapping, key, `key/${keyId}`);
}

/** Throws `REMIT_RECORD_OTHER_KEY` when this master key has not wrapped it. */
export function unwrapKey(master: MasterKey, keyId: string, wrapped: Buffer): KeyObject {
  try {
    return secretKey(unseal(master.wrapping, wrapped, `key/${keyId}`));
  } catch {
    throw new RecordError('REMIT_RECORD_OTHER_KEY', `key ${keyId} does not open with the master key of this process`);
  }
}
