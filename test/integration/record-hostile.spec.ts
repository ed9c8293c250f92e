import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MemoryBus, MemoryLog, type BatchReport } from '#bus';
import { TOPICS } from '#contracts';
import { PostgresHistory, type RecordedMessage } from '#record';
import { eventually, readDeadLetters } from '#testing';
import { ingest } from '../../apps/audit/ingestion.js';
import { createOwnDatabase, type OwnDatabase } from './own-database.js';

const AT = Date.UTC(2026, 10, 24, 9, 30);

/** What PostgreSQL takes in no text, or in no index. */
const hostile = fc.oneof(
  fc.constantFrom(
    '\0',
    'a\0b',
    '\ud83d',
    '\ude00x',
    '',
    ' ',
    '\u2028',
    '\ufffe',
    '\u{10ffff}',
    "';--",
    '\\',
    '\\N',
    '\\.',
  ),
  fc
    .constantFrom(256, 257, 2704, 2705, 8192, 60_000)
    .chain((length) => fc.constantFrom('x', 'é', '\ufdfa', '\0').map((unit) => unit.repeat(length))),
  fc.constantFrom(127, 128, 20_000).map((length) => `x${'😀'.repeat(length)}`),
  fc.string({ unit: 'binary', maxLength: 40 }),
);

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 64 }).map((some) => Buffer.from(some)),
  hostile.map((some) => Buffer.from(some)),
  fc.constantFrom(2704, 2705, 65_536).map((length) => Buffer.alloc(length, 0xff)),
);

/** A message as any client may send it: bytes, or an event with any text wherever a text is searched by. */
const sent = fc.record({
  topic: fc.constantFrom(...Object.values(TOPICS).map(({ name }) => name)),
  key: fc.oneof(fc.constant(null), bytes),
  value: fc.oneof(
    fc.constant(null),
    bytes,
    fc.record({ type: hostile, id: hostile, text: hostile, deep: fc.integer({ min: 0, max: 5000 }) }).map((said) => {
      const { type, id, text, deep } = said;
      const action = { type: text, target: text, parameters: {} };
      const held = { intentId: text };
      const names = { agentId: text, intentId: text, chainId: text, outcome: text, status: text, onBehalfOf: text };
      const data = { ...names, action, held, intent: { ...names, action }, key: text };
      const event = { specversion: '1.0', id, source: '/s', type, subject: text, time: text, data };
      return Buffer.from(JSON.stringify(event).replace('{}', `${'['.repeat(deep)}${']'.repeat(deep)}`));
    }),
  ),
  headers: fc.dictionary(fc.oneof(hostile, fc.constantFrom('traceparent', 'content-type', '__proto__')), bytes, {
    maxKeys: 4,
  }),
  structured: fc.boolean(),
});

describe('promise 9: what PostgreSQL cannot take', () => {
  let keyFolder: string;
  let database: OwnDatabase;
  let history: PostgresHistory;

  beforeAll(async () => {
    keyFolder = mkdtempSync(join(tmpdir(), 'remit-hostile-'));
    database = await createOwnDatabase();
    history = new PostgresHistory({ databaseUrl: database.url, keyFolder });
    await history.ping();
  });

  afterAll(async () => {
    await history.close();
    await database.drop();
    rmSync(keyFolder, { recursive: true });
  });

  it('is in no message that a client can send: all of them are stored, byte for byte', async () => {
    const next = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(sent, { minLength: 1, maxLength: 20 }), async (all) => {
        const messages = all.map(({ topic, key, value, headers, structured }): RecordedMessage => {
          const offset = next.get(topic) ?? 0;
          next.set(topic, offset + 1);
          const contentType = structured ? { 'content-type': Buffer.from('application/cloudevents+json') } : {};
          return { topic, partition: 0, offset, appendTime: AT, key, value, headers: { ...headers, ...contentType } };
        });
        expect(await history.append(messages)).toBe(messages.length);
        const stored = await history.at(messages);
        const contents = (from: readonly Pick<RecordedMessage, 'topic' | 'offset' | 'key' | 'value'>[]): string[] =>
          from.map(({ topic, offset, key, value }) => {
            return [topic, offset, key?.toString('base64'), value?.toString('base64')].join(' ');
          });
        expect(contents(stored).sort()).toEqual(contents(messages).sort());
      }),
      { numRuns: 60 },
    );
  });

  it('becomes a dead letter all the same, if there is such a thing, and everything else of its batch is stored', async () => {
    // a database that refuses one content, as a new version of it might
    await database.query(
      `ALTER TABLE record.history ADD CHECK (1 / length(replace(agent_id, 'nobody', '')) >= 0) NOT VALID`,
    );
    const reports: BatchReport[] = [];
    const bus = new MemoryBus(new MemoryLog(() => AT), {
      watch: { joined: () => undefined, worked: (report) => reports.push(report), renewed: () => undefined },
    });
    await bus.ensureTopics(Object.values(TOPICS));
    const { name: topic } = TOPICS.agentOutcomes;
    const before = (await history.positions()).get(topic)?.[7] ?? 0;
    const event = (agentId: string): string =>
      JSON.stringify({ specversion: '1.0', id: 'a', source: '/s', type: 'io.remit.outcome.v1', data: { agentId } });
    const headers = { 'content-type': 'application/cloudevents+json' };
    const agents = ['one', 'two', 'nobody', 'three'];
    await bus.publish(agents.map((agent) => ({ topic, partition: 7, key: agent, value: event(agent), headers })));
    const consumption = await bus.consume({ group: 'audit', topics: [topic] }, (batch) => ingest(history, batch));
    await eventually(() => reports.some(({ parked }) => parked.length > 0));
    await consumption.stop();
    expect(before).toBe(0);
    expect((await history.positions()).get(topic)?.[7]).toBe(4);
    const stored = await history.at(agents.map((_, offset) => ({ topic, partition: 7, offset })));
    expect(stored.map(({ agentId }) => agentId)).toEqual(['one', 'two', 'three']);
    const letters = await readDeadLetters(bus, TOPICS.deadLetters.name);
    expect(letters.map(({ code, offset }) => [code, offset])).toEqual([['REMIT_RECORD_NOT_STORABLE', 2]]);
    await bus.close();
  });
});
