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
});
