import { hash, sign, verify, type KeyObject } from 'node:crypto';
import { mayWrite, STRUCTURED_CONTENT_TYPE, type ServiceName } from '#contracts';
import { DIGEST_BYTES, isIncluded, MerkleTree, type BytesHash } from '#domain';
import type { SigningKey, TrustedKeys } from './keys.js';

/** The header that says who wrote a message. Binary, see {@link signMessages}. */
export const SIGNATURE_HEADER = 'remit-signature';

/** What is signed of a message: where it belongs and what it says. */
export interface SignedContent {
  readonly topic: string;
  readonly key: string | Uint8Array | null;
  readonly value: string | Uint8Array | null;
}

const FORMAT = 1;
const SIGNATURE_BYTES = 64;
const LEAF = Uint8Array.of(0);
/** Keeps these signatures apart from all others that the same key may ever make. */
const DOMAIN = Buffer.from('remit message batch v1\n');
/** A tree of so many leaves has a path of 16: nobody appends more at once. */
const MAX_PATH = 16;

const sha256: BytesHash = (bytes) => hash('sha256', bytes, 'buffer');

function lengthPrefixed(part: string | Uint8Array | null): Buffer[] {
  const length = Buffer.alloc(4);
  if (part === null) {
    length.writeInt32BE(-1);
    return [length];
  }
  const bytes = typeof part === 'string' ? Buffer.from(part, 'utf8') : Buffer.from(part);
  length.writeInt32BE(bytes.length);
  return [length, bytes];
}

function leafOf({ topic, key, value }: SignedContent): Uint8Array {
  return sha256(Buffer.concat([LEAF, ...[topic, key, value].flatMap(lengthPrefixed)]));
}

function signedBytes(root: Uint8Array, size: number): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(size);
  return Buffer.concat([DOMAIN, count, root]);
}

/**
 * The header for each of these messages. They share one Ed25519 signature: of the root of a Merkle tree (RFC 6962)
 * over them, so a batch costs one signature and each message a few hashes. A header is: format 1, length and text of
 * the key's id, index and size of the tree (32 bits each), number of siblings, the siblings and the root (32 bytes
 * each), signature (64 bytes).
 */
export function signMessages(messages: readonly SignedContent[], { id, privateKey }: SigningKey): Buffer[] {
  const leaves = messages.map(leafOf);
  const tree = new MerkleTree(leaves, sha256);
  const { root } = tree;
  if (root === undefined) return [];
  const signature = sign(null, signedBytes(root, leaves.length), privateKey);
  const keyId = Buffer.from(id, 'ascii');
  return leaves.map((_, index) => {
    const path = tree.path(index);
    const place = Buffer.alloc(9);
    place.writeUInt32BE(index);
    place.writeUInt32BE(leaves.length, 4);
    place.writeUInt8(path.length, 8);
    return Buffer.concat([Uint8Array.of(FORMAT, keyId.length), keyId, place, ...path, root, signature]);
  });
}

interface Parsed {
  readonly keyId: string;
  readonly index: number;
  readonly size: number;
  readonly path: readonly Uint8Array[];
  readonly root: Uint8Array;
  readonly signature: Uint8Array;
}

function parse(header: Buffer): Parsed | undefined {
  const idLength = header[1];
  if (header[0] !== FORMAT || idLength === undefined || header.length < 2 + idLength + 9) return undefined;
  const keyId = header.toString('ascii', 2, 2 + idLength);
  let at = 2 + idLength;
  const index = header.readUInt32BE(at);
  const size = header.readUInt32BE(at + 4);
  const siblings = header.readUInt8(at + 8);
  at += 9;
  if (siblings > MAX_PATH || header.length !== at + (siblings + 1) * DIGEST_BYTES + SIGNATURE_BYTES) return undefined;
  const digest = (place: number): Buffer => header.subarray(at + place * DIGEST_BYTES, at + (place + 1) * DIGEST_BYTES);
  const path = Array.from({ length: siblings }, (_, place) => digest(place));
  return { keyId, index, size, path, root: digest(siblings), signature: header.subarray(-SIGNATURE_BYTES) };
}

/** A message as it lies on the log. */
export interface MessageToVerify {
  readonly topic: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, Uint8Array | readonly Uint8Array[]>>;
  /** Broker append time, ms since the epoch. */
  readonly appendTime: number;
}

export type SignatureCode =
  | 'REMIT_SIGNATURE_MISSING'
  | 'REMIT_SIGNATURE_WRONG'
  | 'REMIT_SIGNATURE_KEY_UNKNOWN'
  | 'REMIT_SIGNATURE_NOT_ITS_TOPIC'
  | 'REMIT_SIGNATURE_NOT_ITS_EVENT';

/** Who wrote a message, or why nobody of Remit did. `unsigned`: from before keys were in use. */
export type Verification =
  | { readonly ok: true; readonly writtenBy: ServiceName | 'unsigned' }
  | { readonly ok: false; readonly code: SignatureCode; readonly reason: string };

/** Roots whose signature has been checked; the messages of a batch come close together. */
const MAX_REMEMBERED = 256;

/** Checks who wrote messages. */
export class MessageVerifier {
  /** What was signed, by key, root and signature. */
  readonly #verified = new Set<string>();

  constructor(private readonly keys: TrustedKeys) {}

  verify(message: MessageToVerify): Verification {
    const header = message.headers[SIGNATURE_HEADER];
    if (header === undefined) {
      if (message.appendTime < this.keys.unsignedUntil) return { ok: true, writtenBy: 'unsigned' };
      return refused('REMIT_SIGNATURE_MISSING', `only Remit writes to ${message.topic}, and this is not signed`);
    }
    const parsed = header instanceof Uint8Array ? parse(Buffer.from(header)) : undefined;
    if (parsed === undefined) {
      return refused('REMIT_SIGNATURE_WRONG', `the header ${SIGNATURE_HEADER} is not one that Remit writes`);
    }
    const { keyId } = parsed;
    const key = this.keys.key(keyId);
    if (key === undefined) {
      return refused(
        'REMIT_SIGNATURE_KEY_UNKNOWN',
        `it is signed with the key ${printable(keyId)}, which nobody trusts`,
      );
    }
    if (message.appendTime >= key.until) {
      return refused(
        'REMIT_SIGNATURE_KEY_UNKNOWN',
        `the key ${printable(keyId)} was taken out of use before it was written`,
      );
    }
    if (!key.topics.has(message.topic)) {
      return refused('REMIT_SIGNATURE_NOT_ITS_TOPIC', `the service ${key.service} does not write to ${message.topic}`);
    }
    // the signature covers one way to read the value; headers must not open another
    if (!isStructured(message.headers['content-type']) || !this.#isSigned(message, parsed, key.publicKey)) {
      return refused('REMIT_SIGNATURE_WRONG', `the signature of ${key.service} is of another message`);
    }
    if (!mayWrite(key.service, message.topic, message)) {
      return refused(
        'REMIT_SIGNATURE_NOT_ITS_EVENT',
        `the service ${key.service} writes to ${message.topic}, but not this event: only the control API does`,
      );
    }
    return { ok: true, writtenBy: key.service };
  }

  #isSigned(message: MessageToVerify, parsed: Parsed, publicKey: KeyObject): boolean {
    const { keyId, size, root, signature } = parsed;
    if (!isIncluded({ ...parsed, leafHash: leafOf(message) }, sha256)) return false;
    const bytes = signedBytes(root, size);
    const remembered = Buffer.concat([Buffer.from(`${keyId}\n`), bytes, signature]).toString('latin1');
    if (this.#verified.has(remembered)) return true;
    if (!verify(null, bytes, publicKey, signature)) return false;
    const [oldest] = this.#verified;
    if (oldest !== undefined && this.#verified.size >= MAX_REMEMBERED) this.#verified.delete(oldest);
    this.#verified.add(remembered);
    return true;
  }
}

function refused(code: SignatureCode, reason: string): Verification {
  return { ok: false, code, reason };
}

/** A key id that anybody may have written, for a reason that people read. */
function printable(keyId: string): string {
  return JSON.stringify(keyId.slice(0, 64));
}

function isStructured(header: Uint8Array | readonly Uint8Array[] | undefined): boolean {
  return header instanceof Uint8Array && Buffer.from(header).toString('latin1') === STRUCTURED_CONTENT_TYPE;
}
