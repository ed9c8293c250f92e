import type { BytesHash } from './bytes.js';
import { DIGEST_BYTES } from './bytes.js';

/** What the record can find a message by. `null`: the message says nothing about it, or could not be read. */
export interface EntryTerms {
  /** CloudEvents type. */
  readonly eventType: string | null;
  /** CloudEvents id. */
  readonly eventId: string | null;
  readonly agentId: string | null;
  readonly intentId: string | null;
  readonly chainId: string | null;
  readonly actionType: string | null;
  readonly target: string | null;
  /** `allow`, `deny` or `hold` of a decision; `executed`, `failed` or `rolled-back` of an outcome report. */
  readonly outcome: string | null;
  /** 32 hex digits, from `traceparent`. */
  readonly traceId: string | null;
}

/**
 * One entry of the record exactly as it is stored. A message, or a gap: offsets of the log that will never hold one
 * (expired, compacted, transaction markers). The entries of a partition follow each other without a hole.
 */
export interface StoredEntry extends EntryTerms {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Of a gap: the first offset after it. `null`: a message. */
  readonly gapUntil: number | null;
  /** The broker's, ms since the epoch; of a gap: that of the message after it. */
  readonly appendTime: number;
  /** The key that `value` is sealed with; `null`: stored as it came. */
  readonly keyId: string | null;
  readonly key: Uint8Array | null;
  /** Canonical text of the headers; `null` in a gap, and where they are sealed together with the value. */
  readonly headers: string | null;
  readonly value: Uint8Array | null;
}

/** An entry with the hash that stands beside it. */
export interface ChainedEntry extends StoredEntry {
  readonly hash: Uint8Array;
}

/** The hash of an entry after the entry whose hash is `previous`. */
export type EntryHash = (previous: Uint8Array, entry: StoredEntry) => Uint8Array;

const LEAF = 0x00;
/** UTF-8 bytes of one UTF-16 unit, at most. */
const MOST_BYTES_PER_UNIT = 3;

/** Every stored field but the bytes of key and value, whose lengths it has: JSON as RFC 8785 writes it. */
function fieldsOf(entry: StoredEntry): string {
  return JSON.stringify([
    'remit.entry/1',
    entry.topic,
    entry.partition,
    entry.offset,
    entry.gapUntil,
    entry.appendTime,
    entry.keyId,
    entry.headers,
    entry.eventType,
    entry.eventId,
    entry.agentId,
    entry.intentId,
    entry.chainId,
    entry.actionType,
    entry.target,
    entry.outcome,
    entry.traceId,
    entry.key?.length ?? null,
    entry.value?.length ?? null,
  ]);
}

/**
 * The record's one hash: `SHA-256(0x00 || previous || fields || key || value)`. It links the entry to the one before
 * and is, as it stands, the RFC 6962 hash of the leaf `previous || fields || key || value`: chain and tree share it.
 */
export function entryHash(sha256: BytesHash): EntryHash {
  const encoder = new TextEncoder();
  let scratch = new Uint8Array(8192);
  return (previous, entry) => {
    const fields = fieldsOf(entry);
    const start = 1 + DIGEST_BYTES;
    const most = start + fields.length * MOST_BYTES_PER_UNIT + (entry.key?.length ?? 0) + (entry.value?.length ?? 0);
    if (most > scratch.length) scratch = new Uint8Array(most * 2);
    scratch[0] = LEAF;
    scratch.set(previous, 1);
    let end = start + encoder.encodeInto(fields, scratch.subarray(start)).written;
    for (const bytes of [entry.key, entry.value]) {
      if (bytes === null) continue;
      scratch.set(bytes, end);
      end += bytes.length;
    }
    return sha256(scratch.subarray(0, end));
  };
}
