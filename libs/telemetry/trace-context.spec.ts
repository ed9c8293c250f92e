import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { headersUnder, spanContextOf, traceparentOf } from './trace-context.js';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const SPAN = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: '00f067aa0ba902b7', traceFlags: 1 };
const carried = {
  traceparent: Buffer.from(TRACEPARENT),
  tracestate: Buffer.from('vendor=opaque'),
  baggage: Buffer.from('tenant=acme,secret=x'),
  'content-type': Buffer.from('application/cloudevents+json'),
};

describe('a trace context on its way', () => {
  it('is read back as it was written (W3C Trace Context, version 00)', () => {
    expect(spanContextOf({ traceparent: Buffer.from(traceparentOf(SPAN)) })).toEqual({ ...SPAN, isRemote: true });
  });

  it('goes on from the new span, with tracestate and baggage byte for byte, and no other header', () => {
    expect(headersUnder(SPAN, carried)).toEqual({
      traceparent: traceparentOf(SPAN),
      tracestate: carried.tracestate,
      baggage: carried.baggage,
    });
  });

  it('leaves tracestate behind when it moves to another trace', () => {
    const other = { ...SPAN, traceId: '4bf92f3577b34da6a3ce929d0e0e4736' };
    expect(headersUnder(other, carried)).toEqual({ traceparent: traceparentOf(other), baggage: carried.baggage });
  });

  it('holds no memory but its ids, however long a header an agent writes', () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const tail = Buffer.alloc(60_000, 'x');
    const traceIdOf = (n: number): string => n.toString(16).padStart(32, '0');
    const readFrom = (n: number) => {
      // a later version of the standard may say more, so that this one is valid
      const head = Buffer.from(`01-${traceIdOf(n)}-b7ad6b7169203331-01-`);
      return spanContextOf({ traceparent: Buffer.concat([head, tail]) });
    };
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    const kept = Array.from({ length: 2000 }, (_, n) => readFrom(n + 1));
    collectGarbage();
    // the headers take 120 MB
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(20_000_000);
    expect(kept.map((one) => one?.traceId)).toEqual(kept.map((_, n) => traceIdOf(n + 1)));
  });
});
