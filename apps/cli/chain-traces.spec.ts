import { describe, expect, it } from '@jest/globals';
import { foldChain } from '#domain';
import { MemoryHistory } from '#record';
import { chainScriptSchema, eventsOfScript, messageOfChainEvent } from '#testing';
import { readChainTraces, traceLines } from './chain-traces.js';

const ASKED = '4bf92f3577b34da6a3ce929d0e0e4736';
const APPROVED = '0af7651916cd43dd8448eb211c80319c';
const ELSEWHERE = 'b'.repeat(32);

/** A script's messages, each with the trace that it travelled in. */
function messagesOf(chain: string, traces: readonly (string | undefined)[], idsFrom = 0) {
  const events = eventsOfScript(
    chainScriptSchema.parse({
      chain,
      agents: [`${chain}-agent`],
      events: [
        { intent: `${chain}-ask`, agent: `${chain}-agent`, at: 0, action: 'read', target: 'orders' },
        { decision: `${chain}-ask`, outcome: 'allow', at: 2000 },
        { report: `${chain}-ask`, status: 'executed', at: 3_600_000 },
      ],
    }),
  );
  return events.map((event, index) => {
    const message = messageOfChainEvent(event);
    const traceId = traces[index];
    const traceparent = traceId === undefined ? {} : { traceparent: Buffer.from(`00-${traceId}-00f067aa0ba902b7-01`) };
    return { ...message, offset: message.offset + idsFrom, headers: { ...message.headers, ...traceparent } };
  });
}

async function tracesOf(traces: readonly (string | undefined)[], jaegerUrl?: string) {
  const history = new MemoryHistory();
  await history.append([
    ...messagesOf('incident', traces),
    ...messagesOf('other', [ELSEWHERE, ELSEWHERE, ELSEWHERE], 100),
  ]);
  const tree = foldChain('incident', (await history.chain('incident')).events);
  return readChainTraces(history, tree, jaegerUrl);
}

describe('the traces of a chain', () => {
  it('are all that its messages travelled in, also the report that names no chain, and none of another chain', async () => {
    const traces = await tracesOf([ASKED, ASKED, APPROVED]);
    expect(traces.map(({ traceId }) => traceId)).toEqual([ASKED, APPROVED]);
    const [asked, approved] = traces;
    expect(Date.parse(asked?.to ?? '') - Date.parse(asked?.from ?? '')).toBe(2000);
    expect(Date.parse(approved?.from ?? '') - Date.parse(asked?.from ?? '')).toBe(3_600_000);
  });

  it('come with a link where it is known where Jaeger is, below a path too', async () => {
    const [trace] = await tracesOf([ASKED], 'https://ops.example/jaeger/');
    expect(trace?.url).toBe(`https://ops.example/jaeger/trace/${ASKED}`);
  });

  it('are named without a link where it is not', async () => {
    const traces = await tracesOf([ASKED]);
    expect(traces).toMatchObject([{ traceId: ASKED, url: null }]);
    expect(traceLines(traces)).toMatch(new RegExp(`^trace ${ASKED} {2}\\(.* UTC\\)\n$`));
  });

  it('are none where no message carried one: the chain is there all the same', async () => {
    expect(await tracesOf([])).toEqual([]);
    expect(traceLines([])).toBe('');
  });

  it('say when, and name the last day only where it is another', () => {
    const trace = { traceId: ASKED, url: `http://127.0.0.1:16686/trace/${ASKED}`, from: '2026-11-24T14:03:07.120Z' };
    expect(traceLines([{ ...trace, to: '2026-11-24T14:03:09.990Z' }])).toBe(
      `Jaeger: http://127.0.0.1:16686/trace/${ASKED}  (2026-11-24 14:03:07–14:03:09 UTC)\n`,
    );
    expect(traceLines([{ ...trace, to: '2026-11-25T00:00:01.000Z' }])).toContain('14:03:07–2026-11-25 00:00:01 UTC');
  });

  it('are printed up to twenty, and counted beyond: an agent may open one for each of its actions', () => {
    const trace = { traceId: ASKED, url: null, from: '2026-11-24T14:03:07.120Z', to: '2026-11-24T14:03:07.120Z' };
    const lines = traceLines(Array.from({ length: 23 }, () => trace))
      .trimEnd()
      .split('\n');
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe('… and 3 more traces: --json has them all');
  });
});
