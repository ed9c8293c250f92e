import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import Decoder from 'kafkajs/src/protocol/decoder.js';
import Encoder from 'kafkajs/src/protocol/encoder.js';
import readHeader from 'kafkajs/src/protocol/recordBatch/header/v0/decoder.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import './kafkajs-repairs.js';

type Pair = readonly [name: string, value: string | null];

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = (value << 1) ^ (value >> 31);
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return [...bytes, rest];
}

function encoded(pairs: readonly Pair[]): Buffer {
  const bytes = varint(pairs.length);
  for (const [name, value] of pairs) {
    const nameBytes = Buffer.from(name);
    bytes.push(...varint(nameBytes.length), ...nameBytes);
    if (value === null) bytes.push(...varint(-1));
    else bytes.push(...varint(Buffer.byteLength(value)), ...Buffer.from(value));
  }
  return Buffer.from(bytes);
}

/** What kafkajs does with the headers of a record. */
function decodedByKafkajs(pairs: readonly Pair[]): Record<string, Buffer | Buffer[]> {
  const decoder = new Decoder(encoded(pairs));
  return decoder.readVarIntArray(readHeader).reduce<Record<string, Buffer | Buffer[]>>((all, { key, value }) => {
    const bytes = value ?? Buffer.alloc(0);
    const before = all[key];
    const now = before === undefined ? bytes : Array.isArray(before) ? before.concat([bytes]) : [before, bytes];
    return { ...all, [key]: now };
  }, {});
}

describe('promise 9: headers of a hostile message', () => {
  it('are grouped as kafkajs groups them', () => {
    const headers = decodedByKafkajs([
      ['traceparent', '00-1'],
      ['twice', 'a'],
      ['é', ''],
      ['twice', 'b'],
      ['twice', 'c'],
    ]);
    expect({ ...headers }).toEqual({
      traceparent: Buffer.from('00-1'),
      twice: [Buffer.from('a'), Buffer.from('b'), Buffer.from('c')],
      é: Buffer.alloc(0),
    });
    expect(Object.keys(headers)).toEqual(['traceparent', 'twice', 'é']);
  });

  it('cannot reach a prototype', () => {
    const headers = decodedByKafkajs([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    expect(Object.getPrototypeOf(headers)).toBeNull();
    expect(Object.entries(headers)).toEqual([
      ['__proto__', Buffer.from('x')],
      ['constructor', Buffer.from('y')],
    ]);
  });

  it('a header without a value counts as empty, a record without headers has none', () => {
    expect({ ...decodedByKafkajs([['gone', null]]) }).toEqual({ gone: Buffer.alloc(0) });
    expect(Object.keys(decodedByKafkajs([]))).toEqual([]);
  });

  it('10,000 of them are folded in one pass, without a copy per header', () => {
    const pairs = Array.from({ length: 10_000 }, (_, index): Pair => [`h${index}`, `${index}`]);
    let folds = 0;
    const decoder = new Decoder(encoded(pairs));
    const headers = decoder.readVarIntArray(readHeader).reduce<Record<string, Buffer>>((all) => {
      folds += 1;
      return all;
    }, {});
    expect(Object.keys(headers)).toHaveLength(10_000);
    expect(headers['h9999']).toEqual(Buffer.from('9999'));
    expect(folds).toBe(0);
  });

  it('other arrays of the protocol are read as before', () => {
    const decoder = new Decoder(Buffer.from([...varint(2), ...varint(7), ...varint(-7)]));
    expect(decoder.readVarIntArray((from) => from.readVarInt())).toEqual([7, -7]);
  });
});

describe('the request queue of an idle connection', () => {
  function queue(pending: unknown[]): RequestQueue {
    const made = Object.create(RequestQueue.prototype) as RequestQueue;
    return Object.assign(made, { pending, throttledUntil: -1, throttleCheckTimeoutId: null });
  }

  it('keeps no timer while nothing waits', () => {
    const idle = queue([]);
    idle.scheduleCheckPendingRequests();
    expect(idle.throttleCheckTimeoutId).toBeNull();
  });

  it('looks again while something waits', () => {
    const busy = queue(['request']);
    busy.scheduleCheckPendingRequests();
    expect(busy.throttleCheckTimeoutId).not.toBeNull();
    clearTimeout(busy.throttleCheckTimeoutId ?? undefined);
  });
});

describe('what goes to the broker', () => {
  it('holds what was written and nothing else, however a buffer has grown', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 2000 }), { maxLength: 20 }), (pieces) => {
        const encoder = new Encoder();
        for (const piece of pieces) {
          const buffer = Buffer.from(piece);
          encoder.writeInt8(7).writeEncoder({ buf: buffer, buffer });
        }
        const written = pieces.flatMap((piece) => [Buffer.from([7]), Buffer.from(piece)]);
        expect(encoder.buffer.equals(Buffer.concat(written))).toBe(true);
      }),
    );
  });
});
