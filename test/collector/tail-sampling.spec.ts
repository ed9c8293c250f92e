import { beforeAll, describe, expect, it } from '@jest/globals';
import { requireJaeger } from '#testing';
import { plant, spanNamesIn, until, type PlantedSpan } from '../jaeger/planted-span.js';

declare const collectorEndpoint: string;

const ALLOWED = 1000;

/** A chain of three: the agent, the layer that judged, and the decision. */
function chain(trace: string, outcome: string, isError = false): PlantedSpan[] {
  return [
    { trace, name: 'invoke_agent' },
    { trace, name: 'process agent.actions' },
    { trace, name: 'send agent.decisions', attributes: { 'remit.outcome': outcome }, isError },
  ];
}

describe('tail sampling, in a real collector in front of a real Jaeger', () => {
  const { queryUrl } = requireJaeger();
  const allowed = Array.from({ length: ALLOWED }, (_, index) => `allowed ${String(index)}`);
  const kept = { denied: 'deny', held: 'hold' };

  beforeAll(async () => {
    await plant(
      collectorEndpoint,
      allowed.flatMap((trace) => chain(trace, 'allow')),
    );
    // spans of one trace come from several processes, at several times
    for (const [trace, outcome] of Object.entries(kept)) {
      for (const span of chain(trace, outcome)) await plant(collectorEndpoint, [span]);
    }
    await plant(collectorEndpoint, chain('failed', 'allow', true));
  });

  const isWhole = (names: readonly string[]): boolean => names.length === 3;

  /** The spans of each allowed trace that Jaeger has; asked one after the other, which any machine can answer. */
  async function keptOfAllowed(): Promise<string[][]> {
    const traces: string[][] = [];
    for (const trace of allowed) {
      const names = await spanNamesIn(queryUrl, trace);
      if (names.length > 0) traces.push(names);
    }
    return traces;
  }

  it.each([...Object.keys(kept), 'failed'])('keeps the whole trace of a chain that was %s', async (trace) => {
    const names = await until(
      () => spanNamesIn(queryUrl, trace),
      (found) => found.length >= 3,
    );
    expect(names).toEqual(['invoke_agent', 'process agent.actions', 'send agent.decisions']);
  });

  it('keeps about one in a hundred of the others, whole', async () => {
    await until(
      () => spanNamesIn(queryUrl, 'failed'),
      (found) => found.length > 0,
    );
    // they came before it, but what is decided at once may arrive in any order
    const sampled = await until(keptOfAllowed, (traces) => traces.length > 0 && traces.every(isWhole));
    expect(sampled.length).toBeLessThan(ALLOWED / 25);
  });
});
