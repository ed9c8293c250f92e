import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parse } from 'yaml';
import { type Action, type Intent, actionDigestOf } from '#domain';
import { type EventBytes, readEvent, traceHeadersOf, writeEvent } from './cloud-events.js';
import { sha256 } from './digest.js';
import { EVENTS } from './events.js';

type HeaderCase = string | string[] | { hex: string };

interface ReadingCase {
  case: string;
  action?: string;
  envelope?: Record<string, unknown>;
  headers?: Record<string, HeaderCase>;
  text?: string;
  hex?: string;
  mode?: 'structured' | 'binary';
  read: string;
  because?: string;
}

const cases = parse(
  readFileSync(new URL('../../test/cases/events/reading.yaml', import.meta.url), 'utf8'),
) as ReadingCase[];

const INTENT_ID = '0198a5a0-1111-7abc-8def-0123456789ab';
const READ_COSTS = '{"type":"read_costs","target":"reporting"}';

function bytesOf(header: HeaderCase): Uint8Array | Uint8Array[] {
  if (typeof header === 'string') return Buffer.from(header);
  return Array.isArray(header) ? header.map((value) => Buffer.from(value)) : Buffer.from(header.hex, 'hex');
}

function dataText(action: string): string {
  return `{"intentId":"${INTENT_ID}","agentId":"cost-monitor","action":${action}}`;
}

function structuredText(action: string, changes: Record<string, unknown> = {}): string {
  const envelope: Record<string, unknown> = {
    specversion: '1.0',
    id: INTENT_ID,
    source: '/agents/cost-monitor',
    type: 'io.remit.intent.v1',
    subject: 'cost-monitor',
    time: '2026-11-24T09:30:00.000Z',
    datacontenttype: 'application/json',
    ...changes,
  };
  const members = Object.entries(envelope)
    .filter(([, value]) => value !== '~remove~')
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const data = 'data' in changes ? [] : [`"data":${dataText(action)}`];
  return `{${[...members, ...data].join(',')}}`;
}

const STRUCTURED_HEADERS = { 'content-type': 'application/cloudevents+json' };
const BINARY_HEADERS = {
  'content-type': 'application/json',
  ce_specversion: '1.0',
  ce_id: INTENT_ID,
  ce_source: '/agents/cost-monitor',
  ce_type: 'io.remit.intent.v1',
  ce_subject: 'cost-monitor',
};

function messageOf(given: ReadingCase): EventBytes {
  const binary = given.mode === 'binary';
  const action = given.action ?? READ_COSTS;
  const text = given.text ?? (binary ? dataText(action) : structuredText(action, given.envelope));
  const headers = given.headers ?? (binary ? BINARY_HEADERS : STRUCTURED_HEADERS);
  return {
    value: given.hex === undefined ? Buffer.from(text) : Buffer.from(given.hex, 'hex'),
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, bytesOf(value)])),
  };
}

function structured(text: string): EventBytes {
  return { value: Buffer.from(text), headers: { 'content-type': Buffer.from('application/cloudevents+json') } };
}

describe('promise 3: what cannot be read exactly is never judged', () => {
  it.each(cases.map((given) => [given.case, given] as const))('%s', (_, given) => {
    const reading = readEvent(EVENTS.intent, messageOf(given));
    expect(reading.ok ? 'ok' : reading.code).toBe(given.read);
    if (!reading.ok) expect(reading.reason).toContain(given.because ?? '');
    if (reading.ok && given.action !== undefined) {
      expect(actionDigestOf(reading.event.data.action, sha256)).toBe(
        actionDigestOf(JSON.parse(given.action) as Action, sha256),
      );
    }
  });

  it('the digest covers a parameter called __proto__', () => {
    const parameters = '"parameters":{"__proto__":{"amount":9}}';
    const reading = readEvent(EVENTS.intent, structured(structuredText(`{"type":"t","target":"l",${parameters}}`)));
    const digest = reading.ok ? actionDigestOf(reading.event.data.action, sha256) : undefined;
    expect(digest).toBe(sha256(`{${parameters},"target":"l","type":"t"}`));
  });

  it.each([
    ['lists', '[', ']'],
    ['objects', '{"a":', '}'],
  ])('%s nested 10,000 deep are refused wherever they stand', (_, open, close) => {
    const deep = `${open.repeat(10_000)}1${close.repeat(10_000)}`;
    const places = [
      deep,
      structuredText(deep),
      structuredText(`{"type":"t","target":"l","parameters":{"a":${deep}}}`),
      structuredText(READ_COSTS).replace('{', `{"acme":${deep},`),
    ];
    for (const text of places) expect(readEvent(EVENTS.intent, structured(text)).ok).toBe(false);
  });

  it('a number of sixty thousand digits is refused', () => {
    const number = `1${'0'.repeat(60_000)}1`;
    const action = `{"type":"t","target":"l","parameters":{"a":${number}}}`;
    const reading = readEvent(EVENTS.intent, structured(structuredText(action)));
    expect(reading).toMatchObject({ ok: false, code: 'REMIT_EVENT_NOT_EXACT' });
  });

  describe('one message has a limit of its own, whatever batch it came in', () => {
    const limit = 64 * 1024;
    const key = Buffer.from('cost-monitor');
    const header = { 'content-type': Buffer.from('application/cloudevents+json') };
    const around = (path: string): string => structuredText(`{"type":"t","target":"l","parameters":{"a":"${path}"}}`);
    const room = limit - key.length - 'content-type'.length - header['content-type'].length - around('').length;

    it('the largest is read, and one byte more, wherever it is, is a dead letter that says both sizes', () => {
      const largest = { key, headers: header, value: Buffer.from(around('x'.repeat(room))) };
      expect(readEvent(EVENTS.intent, largest).ok).toBe(true);
      const longer = [
        { ...largest, value: Buffer.from(around('x'.repeat(room + 1))) },
        { ...largest, key: Buffer.from('cost-monitor2') },
        { ...largest, headers: { ...header, b: Buffer.alloc(0) } },
        { ...largest, headers: { ...header, b: [Buffer.alloc(0)] } },
      ];
      for (const message of longer) {
        expect(readEvent(EVENTS.intent, message)).toEqual({
          ok: false,
          code: 'REMIT_EVENT_TOO_LARGE',
          reason: 'the message takes 65537 bytes with its key and headers, and may take 65536: send less at once',
        });
      }
    });

    it('every message of agents has it, and none that Remit writes', () => {
      const limits = Object.fromEntries(Object.entries(EVENTS).map(([name, { maxBytes }]) => [name, maxBytes]));
      expect(limits).toEqual({
        ...Object.fromEntries(Object.keys(EVENTS).map((name) => [name, undefined])),
        ...{ intent: limit, outcome: limit, permissionRequest: limit },
      });
    });
  });

  it('the reason of a dead letter stays short and is whole text, whatever the message says', () => {
    const names = `"${'😀'.repeat(10_000)}":1`;
    const reading = readEvent(EVENTS.intent, structured(structuredText(`{"type":"t","target":"l",${names}}`)));
    const reason = reading.ok ? '' : reading.reason;
    expect(reason.length).toBeLessThanOrEqual(1000);
    expect(reason).not.toMatch(/\p{Cs}/u);
  });

  it('no bytes and no headers make a reader throw', () => {
    const header = fc.oneof(fc.uint8Array(), fc.array(fc.uint8Array(), { maxLength: 3 }));
    const headers = fc.dictionary(
      fc.oneof(fc.constantFrom('content-type', 'ce_id', 'ce_type', 'ce_specversion'), fc.string()),
      header,
    );
    const value = fc.oneof(
      fc.uint8Array(),
      fc.json().map((text) => Buffer.from(text)),
      fc.json().map((text) => Buffer.from(structuredText(text))),
    );
    const declared = fc.constantFrom(...Object.values(EVENTS));
    const marked = fc.oneof(headers, fc.constant(structured('').headers));
    fc.assert(
      fc.property(declared, fc.option(value), marked, (declaration, bytes, given) => {
        const reading = readEvent<unknown>(declaration, { value: bytes, headers: given });
        expect(typeof reading.ok).toBe('boolean');
      }),
      { numRuns: 500 },
    );
  });
});

describe('promise 1: what is written is what is read', () => {
  const action = fc.record(
    {
      type: fc.stringMatching(/^[A-Za-z][A-Za-z0-9_.:-]{0,20}$/),
      target: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,20}$/),
      parameters: fc
        .dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' }))
        .map(
          (parameters) => JSON.parse(JSON.stringify(parameters).replaceAll('\\u0000', ' ')) as Record<string, never>,
        ),
    },
    { requiredKeys: ['type', 'target'] },
  );

  it('any action comes back as it was, with the same digest', () => {
    fc.assert(
      fc.property(action, (proposed: Action) => {
        const data: Intent = { intentId: INTENT_ID, agentId: 'a', action: proposed };
        const written = writeEvent(EVENTS.intent, { id: INTENT_ID, source: '/agents/a', subject: 'a', data });
        const reading = readEvent(EVENTS.intent, structured(written.value));
        expect(reading).toEqual({
          ok: true,
          event: { id: INTENT_ID, source: '/agents/a', subject: 'a', type: 'io.remit.intent.v1', data },
        });
        if (!reading.ok) return;
        expect(actionDigestOf(reading.event.data.action, sha256)).toBe(actionDigestOf(proposed, sha256));
      }),
    );
  });

  it('trace headers are carried byte for byte, and nothing else', () => {
    const traceparent = Buffer.from('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
    expect(traceHeadersOf({ traceparent, 'content-type': Buffer.from('x'), baggage: [Buffer.from('a=1')] })).toEqual({
      traceparent,
      baggage: [Buffer.from('a=1')],
    });
  });
});
