import ConsumerGroup from 'kafkajs/src/consumer/consumerGroup.js';
import errors from 'kafkajs/src/errors.js';
import Decoder from 'kafkajs/src/protocol/decoder.js';
import Encoder from 'kafkajs/src/protocol/encoder.js';
import readHeader from 'kafkajs/src/protocol/recordBatch/header/v0/decoder.js';
import ConnectionPool from 'kafkajs/src/network/connectionPool.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import joinGroup from 'kafkajs/src/protocol/requests/joinGroup/index.js';
import produce from 'kafkajs/src/protocol/requests/produce/index.js';
import { placeIn } from './group-place.js';
import { encodeProduceRequest, isPlainProduce } from './produce-request.js';

/*
 * Seven defects of kafkajs 2.2.4 (its newest release) that an agent could use against us, or that cost every process.
 * Importing this file repairs them for the whole process. The version is pinned; the specs beside this file and the
 * specs on a real broker tell when a repair no longer fits.
 */

const EMPTY = Buffer.alloc(0);

type HeaderObject = Record<string, Buffer | Buffer[]>;

/**
 * kafkajs folds the headers of a record with `headers.reduce((all, one) => ({ ...all, … }), {})`: quadratic, so that
 * one message with 10,000 headers stops a process for many seconds. This array groups them in one pass instead. Its
 * object has no prototype, because a header may be called `__proto__`; a header without value counts as empty.
 */
class HeaderArray extends Array<{ key: string; value: Buffer | null }> {
  override reduce<Folded>(): Folded {
    const headers = Object.create(null) as HeaderObject;
    for (const { key, value } of this) {
      const bytes = value ?? EMPTY;
      const before = headers[key];
      if (before === undefined) headers[key] = bytes;
      else if (Array.isArray(before)) before.push(bytes);
      else headers[key] = [before, bytes];
    }
    return headers as Folded;
  }
}

const readAnyArray = Decoder.prototype.readVarIntArray;

Decoder.prototype.readVarIntArray = function readVarIntArray<Item>(
  this: Decoder,
  reader: (decoder: Decoder) => Item,
): Item[] {
  if ((reader as unknown) !== readHeader) return readAnyArray.call(this, reader) as Item[];
  const headers = new HeaderArray();
  const count = this.readVarInt();
  for (let index = 0; index < count; index++) headers.push(readHeader(this));
  return headers as unknown as Item[];
};

/** How often requests that wait for a place in flight are looked at when no answer comes in, ms. */
const PENDING_CHECK_MS = 10;

/**
 * kafkajs keeps a timer going on every connection that fires each millisecond even when nothing waits, and computes a
 * negative delay for it, which Node reports as TimeoutNegativeWarning. A timer is needed only while requests wait.
 */
RequestQueue.prototype.scheduleCheckPendingRequests = function scheduleCheckPendingRequests(): void {
  if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return;
  const throttledForMs = this.throttledUntil - Date.now();
  this.throttleCheckTimeoutId = setTimeout(
    () => {
      this.throttleCheckTimeoutId = null;
      this.checkPendingRequests();
    },
    throttledForMs > 0 ? throttledForMs : PENDING_CHECK_MS,
  );
};

/** The first version of the request that carries record batches of format 2. */
const FIRST_WITH_RECORD_BATCHES = 3;

const stockProduce = produce.protocol;

/**
 * kafkajs makes a zeroed buffer for each record, for each of its headers and for each number in them, and copies them
 * together again and again: more work than judging an intent. The bytes stay the same.
 */
produce.protocol = (asked) => {
  const prepare = stockProduce(asked);
  if (asked.version < FIRST_WITH_RECORD_BATCHES) return prepare;
  return (wanted) => {
    const { request, ...rest } = prepare(wanted);
    if (!isPlainProduce(wanted)) return { request, ...rest };
    const encode = () => {
      const buffer = encodeProduceRequest(wanted, Date.now());
      return Promise.resolve({ buf: buffer, buffer });
    };
    return { request: { ...request, encode }, ...rest };
  };
};

/**
 * kafkajs grows its buffers to the next power of two, zeroed, and copies a request into two of them on its way to the
 * socket. Only what has been written is ever read from them.
 */
Encoder.prototype.ensureAvailable = function ensureAvailable(this: Encoder, length: number): void {
  const needed = this.offset + length;
  if (needed <= this.buf.length) return;
  const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.buf.length));
  this.buf.copy(larger, 0, 0, this.offset);
  this.buf = larger;
};

const joinOnce = ConsumerGroup.prototype.joinAndSync;

/**
 * A join that fails for a passing reason, such as a coordinator that still loads its groups, leaves kafkajs fetching
 * with the generation and the partitions it had before, and nobody is told that it has not joined. Here it is tried
 * again as a join; when that does not help in time, the consumer crashes, which is told.
 */
ConsumerGroup.prototype.joinAndSync = async function joinAndSync(this: ConsumerGroup): Promise<void> {
  try {
    await this.retrier(async (bail) => {
      try {
        await joinOnce.call(this);
      } catch (error) {
        if (error instanceof errors.KafkaJSError && error.retriable) throw error;
        bail(error);
      }
    });
  } catch (error) {
    throw new errors.KafkaJSNonRetriableError(error, { cause: error });
  }
};

/** Kafka's code of the error. */
const NOT_COORDINATOR = 16;

const stockJoin = joinGroup.protocol;

/** What a coordinator says of a member: `memberId` where it has given it one, `type` where it refuses. */
interface Refusal {
  readonly type?: string;
  readonly memberId?: string;
}

/**
 * A consumer that is made in the place of another joins as a new member, and nobody in the group reads before the session
 * of the other has ended. Here it comes back as the member that it was. The id counts from the moment at which the
 * coordinator gives it: a member that has never heard of its own join has a session too.
 */
joinGroup.protocol = (asked) => {
  const prepare = stockJoin(asked);
  return (wanted) => {
    const place = placeIn(wanted.groupProtocols);
    if (place === undefined) return prepare(wanted);
    const memberId = wanted.memberId === '' ? (place.memberId ?? '') : wanted.memberId;
    const { response, ...rest } = prepare({ ...wanted, memberId });
    const parse: typeof response.parse = async (decoded) => {
      try {
        const joined = await response.parse(decoded);
        place.memberId = joined.memberId;
        return joined;
      } catch (error) {
        const { type, memberId: given } = error as Refusal;
        if (given !== undefined) place.memberId = given;
        else if (type === 'UNKNOWN_MEMBER_ID') place.memberId = undefined;
        throw error;
      }
    };
    return { ...rest, response: { ...response, parse } };
  };
};

const sendOnce = ConnectionPool.prototype.send;

/**
 * A broker that is frozen keeps its connections open, and kafkajs goes on asking over them after each request that was
 * not answered. Here they are closed: whoever asks next looks for the broker again, which may be another one by then.
 */
ConnectionPool.prototype.send = async function send(this: ConnectionPool, request: unknown): Promise<unknown> {
  try {
    return await sendOnce.call(this, request);
  } catch (error) {
    if (error instanceof errors.KafkaJSRequestTimeoutError) {
      for (const { socket } of this.pool) socket?.destroy(new Error('a request was not answered in time'));
    }
    throw error;
  }
};

const heartbeatOnce = ConsumerGroup.prototype.heartbeat;

/** kafkajs keeps to a coordinator that does not answer, although the group may long have another one. */
ConsumerGroup.prototype.heartbeat = async function heartbeat(this: ConsumerGroup, every: { interval: number }) {
  try {
    await heartbeatOnce.call(this, every);
  } catch (error) {
    throw error instanceof errors.KafkaJSRequestTimeoutError ? coordinatorLost(error) : error;
  }
};

/** An error by which kafkajs looks for the coordinator of its group again, and joins there. */
export function coordinatorLost(cause: Error): Error {
  return new errors.KafkaJSProtocolError({
    type: 'NOT_COORDINATOR_FOR_GROUP',
    code: NOT_COORDINATOR,
    message: `the coordinator of the group does not answer: ${cause.message}`,
    retriable: true,
  });
}
