import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ExportResultCode } from '@opentelemetry/core';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import { SpanKind } from '@opentelemetry/api';
import { Tracing } from './tracing.js';

const MOST_SHUTDOWN_MS = 2000;

const servers: Server[] = [];
const tracings: Tracing[] = [];

async function collector(behave: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(behave);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

function tracingTo(endpoint: string, exporter?: SpanExporter): Tracing {
  const tracing = new Tracing({
    service: 'remit-test',
    version: '1',
    endpoint,
    sampling: { ratio: 1, keep: new Set() },
    ...(exporter === undefined ? {} : { exporter }),
  });
  tracings.push(tracing);
  return tracing;
}

function spans(tracing: Tracing, count: number): void {
  for (let i = 0; i < count; i += 1) {
    tracing.begin(undefined, { name: 'test', kind: SpanKind.INTERNAL, attributes: {} }).end();
  }
}

afterEach(async () => {
  await Promise.all(tracings.splice(0).map((tracing) => tracing.shutdown()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

describe('a collector that is away', () => {
  it.each([
    ['refuses connections', () => Promise.resolve('http://127.0.0.1:1')],
    ['takes everything and never answers', () => collector(() => undefined)],
    ['answers with errors', () => collector((_, answer) => answer.writeHead(503).end())],
  ])('hurts nobody and loses no count: it %s', async (_, start) => {
    const tracing = tracingTo(await start());
    spans(tracing, 3000);
    // a promise of the product, and not a measure of speed: a process that stands still delays its own timers and this one
    const late = sleep(MOST_SHUTDOWN_MS, 'late', { ref: false });
    expect(await Promise.race([tracing.shutdown().then(() => 'in time'), late])).toBe('in time');
    const { ended, exported, failed, dropped } = tracing.counts();
    expect({ ended, exported, lost: failed + dropped }).toEqual({ ended: 3000, exported: 0, lost: 3000 });
  });

  it('costs bounded memory: what does not fit is dropped at once, and counted', () => {
    const stuck: SpanExporter = { export: () => undefined, shutdown: () => new Promise(() => undefined) };
    const tracing = tracingTo('http://127.0.0.1:1', stuck);
    spans(tracing, 20_000);
    expect(tracing.counts()).toEqual({ ended: 20_000, exported: 0, failed: 0, dropped: 20_000 - 8192 });
  });

  it('that takes spans of a process that has ended is too late: they are counted once, as lost', async () => {
    const taken: (() => void)[] = [];
    const late: SpanExporter = {
      export: (_, done) => taken.push(() => done({ code: ExportResultCode.SUCCESS })),
      shutdown: () => Promise.resolve(),
    };
    const tracing = tracingTo('http://127.0.0.1:1', late);
    spans(tracing, 10);
    await tracing.shutdown();
    for (const take of taken) take();
    expect(tracing.counts()).toEqual({ ended: 10, exported: 0, failed: 10, dropped: 0 });
  });

  it('that refuses one batch for good is still given time to take the others', async () => {
    const answers: (() => void)[] = [];
    const slow: SpanExporter = {
      export: (_, done) => {
        if (answers.length === 0) done({ code: ExportResultCode.FAILED });
        answers.push(() => done({ code: ExportResultCode.SUCCESS }));
      },
      shutdown: () => Promise.resolve(),
    };
    const tracing = tracingTo('http://127.0.0.1:1', slow);
    spans(tracing, 2000);
    const over = tracing.shutdown();
    setTimeout(() => answers.forEach((answer) => answer()), 50);
    await over;
    expect(tracing.counts()).toEqual({ ended: 2000, exported: 2000 - 1024, failed: 1024, dropped: 0 });
  });

  it('gets everything again once it is back', async () => {
    let away = true;
    let taken = 0;
    const flaky: SpanExporter = {
      export: (batch, done) => {
        if (!away) taken += batch.length;
        done({ code: away ? ExportResultCode.FAILED : ExportResultCode.SUCCESS });
      },
      shutdown: () => Promise.resolve(),
    };
    const tracing = tracingTo('http://127.0.0.1:1', flaky);
    spans(tracing, 10);
    await tracing.flush().catch(() => undefined);
    away = false;
    spans(tracing, 10);
    await tracing.flush();
    expect(taken).toBe(10);
    expect(tracing.counts()).toEqual({ ended: 20, exported: 10, failed: 10, dropped: 0 });
  });
});

describe('a trace', () => {
  it('begins under the ids that were chosen for it, and the next one under its own', () => {
    const tracing = tracingTo('http://127.0.0.1:1', {
      export: (_, done) => done({ code: ExportResultCode.SUCCESS }),
      shutdown: () => Promise.resolve(),
    });
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const beginning = { name: 'test', kind: SpanKind.INTERNAL, attributes: {} };
    const spanId = '00f067aa0ba902b7';
    expect(tracing.begin({ traceId, spanId }, beginning).spanContext()).toMatchObject({
      traceId,
      spanId,
      traceFlags: 1,
    });
    const next = tracing.begin(undefined, beginning).spanContext();
    expect([next.traceId, next.spanId]).not.toEqual([traceId, spanId]);
  });
});
