import type { TopicDeclaration } from '#contracts';
import { BusError } from './errors.js';
import type { OutgoingHeaders, OutgoingMessage } from './bus.js';
import { partitionOf } from './partition-of.js';

/** Fixed part of a Kafka record batch (format 2), bytes. */
const BATCH_BYTES = 61;
/** Most that length, attributes, time and offset deltas, key length, value length and header count take, bytes. */
const RECORD_BYTES = 36;
/** Most that the two lengths of a header take, bytes. */
const HEADER_BYTES = 10;

/** What the bus must know of a topic to write to it. */
export interface TopicLimits {
  readonly partitions: number;
  /** Largest record batch, bytes: `max.message.bytes`. */
  readonly maxBatchBytes: number;
}

export function limitsOf(declaration: TopicDeclaration): TopicLimits {
  return { partitions: declaration.partitions, maxBatchBytes: declaration.maxBatchBytes };
}

/** A message with its partition and the most it can take on the log. */
export interface PreparedMessage {
  readonly topic: string;
  readonly partition: number;
  readonly bytes: number;
  readonly message: OutgoingMessage;
}

/** The most that records of one batch may take, bytes. */
export function recordSpaceOf(limits: TopicLimits): number {
  return limits.maxBatchBytes - BATCH_BYTES;
}

/** An upper bound of what a message takes in a record batch, bytes. */
export function recordBytes(message: OutgoingMessage): number {
  return RECORD_BYTES + bytesOf(message.key) + bytesOf(message.value) + headerBytes(message.headers);
}

function bytesOf(part: string | Buffer | null): number {
  if (part === null) return 0;
  return typeof part === 'string' ? Buffer.byteLength(part) : part.length;
}

function headerBytes(headers: OutgoingHeaders | undefined): number {
  let bytes = 0;
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined) continue;
    const nameBytes = Buffer.byteLength(name) + HEADER_BYTES;
    if (typeof value === 'string' || Buffer.isBuffer(value)) bytes += nameBytes + bytesOf(value);
    else for (const one of value) bytes += nameBytes + one.length;
  }
  return bytes;
}

/** Chooses partitions: the stated one, else murmur2 of the key, else one after the other. */
export class Partitioner {
  #next = 0;

  choose(message: OutgoingMessage, partitions: number): number {
    if (message.partition !== undefined) return message.partition;
    if (message.key !== null) return partitionOf(message.key, partitions);
    this.#next = (this.#next + 1) % partitions;
    return this.#next;
  }
}

export function tooLarge(topic: string, bytes: number, limits: TopicLimits): BusError {
  return new BusError(
    'REMIT_BUS_MESSAGE_TOO_LARGE',
    `a message for ${topic} takes up to ${bytes} bytes and the topic allows ${recordSpaceOf(limits)}: send less at once`,
  );
}
