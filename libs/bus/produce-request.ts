import type { Message } from 'kafkajs';
import crc32C from 'kafkajs/src/protocol/recordBatch/crc32C/index.js';
import type { ProduceRequest } from 'kafkajs/src/protocol/requests/produce/index.js';

/** Whether {@link encodeProduceRequest} knows how: no transaction, no compression, no times of the writer's own. */
export function isPlainProduce({ compression, transactionalId, topicData }: ProduceRequest): boolean {
  if ((compression ?? 0) !== 0 || (transactionalId ?? null) !== null) return false;
  return topicData.every(({ partitions }) =>
    partitions.every(({ messages }) => messages.every(({ timestamp }) => (timestamp ?? null) === null)),
  );
}

const REQUEST_HEAD_BYTES = 12;
/** Fixed part of a Kafka record batch (format 2) up to its checksum, and from there to its records. */
const BEFORE_CHECKSUM_BYTES = 17;
const CHECKSUM_BYTES = 4;
const BATCH_HEAD_BYTES = 40;
const BATCH_BYTES = BEFORE_CHECKSUM_BYTES + CHECKSUM_BYTES + BATCH_HEAD_BYTES;
/** First offset and length, which the length does not count. */
const BEFORE_LENGTH_BYTES = 12;
const MAGIC = 2;

/**
 * The body of a Produce request, versions 3 to 7, with one record batch (format 2) per partition, as kafkajs encodes
 * it. In two passes, one for the sizes and one for the bytes, into one buffer.
 *
 * @param now Time of the records, ms since the epoch. Where the broker sets the time itself it counts for nothing.
 */
export function encodeProduceRequest(request: ProduceRequest, now: number): Buffer {
  const bodySizes: number[] = [];
  const batchSizes: number[] = [];
  let size = REQUEST_HEAD_BYTES;
  for (const { topic, partitions } of request.topicData) {
    size += 2 + Buffer.byteLength(topic) + 4;
    for (const { messages } of partitions) {
      let batchSize = BATCH_BYTES;
      for (let index = 0; index < messages.length; index += 1) {
        const bodySize = sizeOfBody(messages[index] as Message, index);
        bodySizes.push(bodySize);
        batchSize += sizeOfVarInt(bodySize) + bodySize;
      }
      batchSizes.push(batchSize);
      size += 4 + 4 + batchSize;
    }
  }

  const out = new Output(size);
  out.int16(-1);
  out.int16(request.acks);
  out.int32(request.timeout);
  out.int32(request.topicData.length);
  let batches = 0;
  let records = 0;
  for (const { topic, partitions } of request.topicData) {
    out.int16(Buffer.byteLength(topic));
    out.text(topic);
    out.int32(partitions.length);
    for (const { partition, firstSequence, messages } of partitions) {
      const batchSize = batchSizes[batches++] as number;
      out.int32(partition);
      out.int32(batchSize);
      out.int64(0n);
      out.int32(batchSize - BEFORE_LENGTH_BYTES);
      out.int32(0);
      out.int8(MAGIC);
      const checksumAt = out.at;
      out.int32(0);
      out.int16(0);
      out.int32(messages.length - 1);
      out.int64(BigInt(now));
      out.int64(BigInt(now));
      out.int64(BigInt(request.producerId));
      out.int16(request.producerEpoch);
      out.int32(firstSequence);
      out.int32(messages.length);
      for (let index = 0; index < messages.length; index += 1) {
        out.varInt(bodySizes[records++] as number);
        writeBody(out, messages[index] as Message, index);
      }
      out.bytes.writeUInt32BE(crc32C(out.bytes.subarray(checksumAt + CHECKSUM_BYTES, out.at)), checksumAt);
    }
  }
  return out.bytes;
}

function sizeOfBody({ key, value, headers }: Message, offsetDelta: number): number {
  // attributes and time delta
  let size = 2 + sizeOfVarInt(offsetDelta) + sizeOfField(key) + sizeOfField(value);
  let count = 0;
  for (const name in headers) {
    const given = headers[name];
    const nameSize = sizeOfField(name);
    if (Array.isArray(given)) {
      for (const one of given) size += nameSize + sizeOfField(one);
      count += given.length;
    } else {
      size += nameSize + sizeOfField(given);
      count += 1;
    }
  }
  return size + sizeOfVarInt(count);
}

function writeBody(out: Output, { key, value, headers }: Message, offsetDelta: number): void {
  out.int8(0);
  out.varInt(0);
  out.varInt(offsetDelta);
  out.field(key);
  out.field(value);
  let count = 0;
  for (const name in headers) {
    const given = headers[name];
    count += Array.isArray(given) ? given.length : 1;
  }
  out.varInt(count);
  for (const name in headers) {
    const given = headers[name];
    for (const one of Array.isArray(given) ? given : [given]) {
      out.field(name);
      out.field(one);
    }
  }
}

type Field = string | Buffer | null | undefined;

function lengthOf(field: string | Buffer): number {
  return typeof field === 'string' ? Buffer.byteLength(field) : field.length;
}

function sizeOfField(field: Field): number {
  if (field === null || field === undefined) return 1;
  const length = lengthOf(field);
  return sizeOfVarInt(length) + length;
}

/** Of a length or a count: never negative. */
function sizeOfVarInt(value: number): number {
  let size = 1;
  for (let rest = value >>> 6; rest > 0; rest >>>= 7) size += 1;
  return size;
}

/** Writes behind one another into a buffer of just the right size. */
class Output {
  readonly bytes: Buffer;
  at = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size);
  }

  int8(value: number): void {
    this.at = this.bytes.writeInt8(value, this.at);
  }

  int16(value: number): void {
    this.at = this.bytes.writeInt16BE(value, this.at);
  }

  int32(value: number): void {
    this.at = this.bytes.writeInt32BE(value, this.at);
  }

  int64(value: bigint): void {
    this.at = this.bytes.writeBigInt64BE(value, this.at);
  }

  /** Zigzag, seven bits at a time. */
  varInt(value: number): void {
    let rest = (value << 1) ^ (value >> 31);
    while ((rest & ~0x7f) !== 0) {
      this.bytes[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.at++] = rest;
  }

  text(value: string): void {
    this.at += this.bytes.write(value, this.at);
  }

  field(field: Field): void {
    if (field === null || field === undefined) {
      this.varInt(-1);
      return;
    }
    this.varInt(lengthOf(field));
    if (typeof field === 'string') this.text(field);
    else this.at += field.copy(this.bytes, this.at);
  }
}
