import { describe, expect, it } from '@jest/globals';
import { requireJaeger } from '#testing';
import { plant, SERVICE, spanNamesIn, traceIdOf, until } from './planted-span.js';

interface Found {
  readonly data: readonly { readonly traceID: string }[];
}

describe('the Jaeger that the other tests ask', () => {
  const { queryUrl, otlpEndpoint } = requireJaeger();

  it('gives back a trace that it was sent, and finds it by what was decided', async () => {
    await plant(otlpEndpoint, [
      { trace: 'a denied action', name: 'denied', attributes: { 'remit.outcome': 'deny', 'remit.rule': 'no-deletes' } },
      { trace: 'an allowed action', name: 'allowed', attributes: { 'remit.outcome': 'allow' } },
    ]);
    await until(
      () => spanNamesIn(queryUrl, 'a denied action'),
      (names) => names.length > 0,
    );
    await until(
      () => spanNamesIn(queryUrl, 'an allowed action'),
      (names) => names.length > 0,
    );

    const tags = JSON.stringify({ 'remit.outcome': 'deny', 'remit.rule': 'no-deletes' });
    const query = new URLSearchParams({ service: SERVICE, tags, lookback: '1h', limit: '10' });
    const found = await until(
      async () => ((await (await fetch(`${queryUrl}/api/traces?${query.toString()}`)).json()) as Found).data,
      (traces) => traces.length > 0,
    );
    expect(found.map(({ traceID }) => traceID)).toEqual([traceIdOf('a denied action')]);
  });

  it('knows nothing of a trace that nobody sent', async () => {
    expect(await spanNamesIn(queryUrl, 'never sent')).toEqual([]);
  });
});
