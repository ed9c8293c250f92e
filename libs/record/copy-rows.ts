import type { Connection, PoolClient, Submittable } from 'pg';
import type { QueryRunner } from 'typeorm';
import type { ChainedEntry } from '#domain';

const COPY = `
  COPY record.history (topic, "partition", "offset", append_time, gap_until, key_id, key, headers, value, event_type,
    event_id, agent_id, intent_id, chain_id, action_type, target, outcome, trace_id, hash)
  FROM STDIN (FORMAT binary)`;

const COLUMNS = 19;
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const NULL = -1;
const END_OF_ROWS = -1;
/** PostgreSQL counts microseconds from 2000-01-01. */
const POSTGRES_EPOCH_MS = 946_684_800_000;
const BYTES_PER_CHUNK = 1024 * 1024;
/** What a row takes beside its texts and bytes, and then some. */
const FIXED_BYTES = 256;
const MOST_BYTES_PER_UNIT = 3;

function textsOf(entry: ChainedEntry): readonly (string | null)[] {
  const { eventType, eventId, agentId, intentId, chainId, actionType, target, outcome, traceId } = entry;
  return [eventType, eventId, agentId, intentId, chainId, actionType, target, outcome, traceId];
}

function mostBytesOf(entry: ChainedEntry, texts: readonly (string | null)[]): number {
  let units = entry.topic.length + (entry.headers?.length ?? 0);
  for (const text of texts) units += text?.length ?? 0;
  return FIXED_BYTES + units * MOST_BYTES_PER_UNIT + (entry.key?.length ?? 0) + (entry.value?.length ?? 0);
}

/** Rows in PostgreSQL's binary format for COPY. */
class Rows {
  #bytes = Buffer.allocUnsafe(BYTES_PER_CHUNK);
  #end = 0;

  get length(): number {
    return this.#end;
  }

  /** What was added since the last time. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#end);
    this.#bytes = Buffer.allocUnsafe(BYTES_PER_CHUNK);
    this.#end = 0;
    return taken;
  }

  add(entry: ChainedEntry): void {
    const texts = textsOf(entry);
    this.#reserve(mostBytesOf(entry, texts));
    this.#int16(COLUMNS);
    this.#text(entry.topic);
    this.#int32(4);
    this.#int32(entry.partition);
    this.#int64(entry.offset);
    this.#int64((entry.appendTime - POSTGRES_EPOCH_MS) * 1000);
    if (entry.gapUntil === null) this.#int32(NULL);
    else this.#int64(entry.gapUntil);
    this.#uuid(entry.keyId);
    this.#raw(entry.key);
    this.#text(entry.headers);
    this.#raw(entry.value);
    for (const text of texts) this.#text(text);
    this.#raw(entry.hash);
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + bytes));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }

  #int16(value: number): void {
    this.#end = this.#bytes.writeInt16BE(value, this.#end);
  }

  #int32(value: number): void {
    this.#end = this.#bytes.writeInt32BE(value, this.#end);
  }

  #int64(value: number): void {
    this.#int32(8);
    this.#end = this.#bytes.writeBigInt64BE(BigInt(value), this.#end);
  }

  #text(text: string | null): void {
    if (text === null) {
      this.#int32(NULL);
      return;
    }
    const length = this.#bytes.write(text, this.#end + 4);
    this.#int32(length);
    this.#end += length;
  }

  #raw(bytes: Uint8Array | null): void {
    if (bytes === null) {
      this.#int32(NULL);
      return;
    }
    this.#int32(bytes.length);
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  #uuid(id: string | null): void {
    if (id === null) {
      this.#int32(NULL);
      return;
    }
    this.#int32(16);
    this.#end += this.#bytes.write(id.replaceAll('-', ''), this.#end, 'hex');
  }
}

/** What pg's connection offers for COPY; its types do not name it. */
interface CopyConnection extends Connection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/**
 * One COPY of rows that are in memory already, as pg's client drives it: it keeps no connection and waits for no
 * stream, so an answer that comes late, or not at all, finds nothing to break.
 */
class Copy implements Submittable {
  readonly done: Promise<void>;
  #succeed: () => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;

  constructor(private readonly chunks: readonly Buffer[]) {
    this.done = new Promise((resolve, reject) => {
      this.#succeed = resolve;
      this.#fail = reject;
    });
    // awaited by the caller; a failure before that must not go unheard
    this.done.catch(() => undefined);
  }

  submit(connection: Connection): void {
    connection.query(COPY);
  }

  handleCopyInResponse(connection: CopyConnection): void {
    for (const chunk of this.chunks) connection.sendCopyFromChunk(chunk);
    connection.endCopyFrom();
  }

  handleCommandComplete(): void {
    // the server is ready for more only after that
  }

  handleReadyForQuery(): void {
    this.#succeed();
  }

  handleError(error: Error): void {
    this.#fail(error);
  }
}

/** Stores entries with PostgreSQL's COPY, in the transaction that is open: all of them, or it throws. */
export async function copyRows(runner: QueryRunner, entries: readonly ChainedEntry[]): Promise<void> {
  const rows = new Rows();
  const chunks: Buffer[] = [SIGNATURE];
  for (const entry of entries) {
    rows.add(entry);
    if (rows.length >= BYTES_PER_CHUNK / 2) chunks.push(rows.take());
  }
  const end = Buffer.alloc(2);
  end.writeInt16BE(END_OF_ROWS);
  chunks.push(rows.take(), end);
  const client = (await runner.connect()) as PoolClient;
  await client.query(new Copy(chunks)).done;
}
