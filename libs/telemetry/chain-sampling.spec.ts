import { describe, expect, it } from '@jest/globals';
import { spanAt, traceIdOfChain, tracePlaceOf, type SamplingTerms, type TracedIntent } from './chain-sampling.js';

const TRACED = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const UNTRACED = TRACED.replace(/01$/, '00');
const NOTHING_KEPT: SamplingTerms = { ratio: 1, keep: new Set() };
const KEPT: SamplingTerms = { ratio: 0, keep: new Set(['deny', 'hold']) };

function of(chainId: string, intentId = '019b8d5a-0000-7000-8000-000000000001'): TracedIntent {
  return { agentId: 'agent', intentId, chainId };
}
const C = of('c');

function headers(traceparent?: string): Record<string, Buffer> {
  return traceparent === undefined ? {} : { traceparent: Buffer.from(traceparent) };
}

function chains(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `chain-${String(i)}`);
}

describe('which intents are traced', () => {
  it('an agent that traces decides for its chain', () => {
    const parent = { traceId: TRACED.slice(3, 35), spanId: TRACED.slice(36, 52) };
    expect(tracePlaceOf(headers(TRACED), C, 'allow', { ...NOTHING_KEPT, ratio: 0 })).toMatchObject({ parent });
    expect(tracePlaceOf(headers(UNTRACED), C, 'allow', NOTHING_KEPT)).toBeUndefined();
  });

  it.each(['deny', 'hold'] as const)('a %s is kept although the agent does not trace it, in its trace', (outcome) => {
    expect(tracePlaceOf(headers(UNTRACED), C, outcome, KEPT)).toMatchObject({
      parent: { traceId: TRACED.slice(3, 35), spanId: TRACED.slice(36, 52) },
    });
    expect(tracePlaceOf(headers(), C, outcome, KEPT)).toMatchObject({ traceId: traceIdOfChain('c') });
  });

  it('an allow is not kept', () => {
    expect(tracePlaceOf(headers(UNTRACED), C, 'allow', KEPT)).toBeUndefined();
    expect(tracePlaceOf(headers(), C, undefined, KEPT)).toBeUndefined();
  });

  it('without a word of the agent, all of a chain is traced in one trace, or none of it', () => {
    const terms = { ratio: 0.1, keep: new Set<never>() };
    const traced = chains(2000).filter((chain) => tracePlaceOf(headers(), of(chain), 'allow', terms) !== undefined);
    const again = chains(2000).filter((chain) => tracePlaceOf(headers(), of(chain), undefined, terms) !== undefined);
    expect(again).toEqual(traced);
    expect(traced.length).toBeGreaterThan(140);
    expect(traced.length).toBeLessThan(260);
    expect(tracePlaceOf(headers(), of(traced[0] ?? ''), 'allow', terms)).toMatchObject({
      traceId: traceIdOfChain(traced[0] ?? ''),
    });
  });

  it('who is traced at 1 % is traced at 10 %', () => {
    const tracedAt = (ratio: number): Set<string> =>
      new Set(chains(2000).filter((chain) => tracePlaceOf(headers(), of(chain), 'allow', { ratio, keep: new Set() })));
    expect([...tracedAt(0.01)].filter((chain) => !tracedAt(0.1).has(chain))).toEqual([]);
  });

  it.each([
    ['no trace context', '00-xyz'],
    ['all zeroes', '00-00000000000000000000000000000000-0000000000000000-01'],
    ['upper case', TRACED.toUpperCase()],
    ['a version that does not exist', TRACED.replace(/^00/, 'ff')],
    ['more than version 00 may hold', `${TRACED}-more`],
  ])('what an agent sends as trace context and is none (%s) counts as none', (_, traceparent) => {
    expect(tracePlaceOf(headers(traceparent), C, 'allow', NOTHING_KEPT)).toMatchObject({
      traceId: traceIdOfChain('c'),
    });
  });

  it('the span that begins an intent without a trace context is known to everybody, and its own', () => {
    const place = tracePlaceOf(headers(), C, 'allow', NOTHING_KEPT);
    const again = tracePlaceOf(headers(), C, 'hold', NOTHING_KEPT);
    const other = tracePlaceOf(headers(), of('c', '019b8d5a-0000-7000-8000-000000000002'), 'allow', NOTHING_KEPT);
    if (place === undefined || again === undefined || other === undefined) throw new Error('not traced');
    expect(spanAt(again)).toEqual(spanAt(place));
    expect(spanAt(other).traceId).toBe(spanAt(place).traceId);
    expect(spanAt(other).spanId).not.toBe(spanAt(place).spanId);
  });

  it('two trace contexts on one message count as none', () => {
    const both = { traceparent: [Buffer.from(TRACED), Buffer.from(UNTRACED)] };
    expect(tracePlaceOf(both, C, 'allow', NOTHING_KEPT)).toMatchObject({ traceId: traceIdOfChain('c') });
  });
});
