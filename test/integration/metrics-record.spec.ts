import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { MemoryBus, MemoryLog } from '#bus';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import type { Checkpoint } from '#domain';
import { PostgresHistory, Projections, ProvenRecord, type RecordedMessage } from '#record';
import { Metrics } from '#telemetry';
import { eventually, readExposition } from '#testing';
import { observeAuditLag, observeRecord } from '../../apps/audit/audit-metrics.js';
import { EpochClosing } from '../../apps/audit/epoch-closing.js';
import { whatIsWrongWith } from '../../apps/audit/epoch-verification.js';
import { RecordWatch } from '../../apps/audit/record-watch.js';
import { asIntruder, createOwnDatabase, emptyRecord, openLine, type Line, type OwnDatabase } from './own-database.js';

const START = Date.UTC(2026, 10, 3, 12);
/** Scrapes that take longer are worth nothing to Prometheus, ms. */
const SCRAPE_MS = 10_000;
/** What no answer that is given takes, s. */
const LONG_SILENT_S = 4;

let keyFolder: string;
let database: OwnDatabase;
let history: PostgresHistory;
let record: ProvenRecord;
let projections: Projections;
let bus: MemoryBus;
let metrics: Metrics;
let closing: EpochClosing;
let told: string[];
let now: number;

beforeAll(async () => {
  keyFolder = mkdtempSync(join(tmpdir(), 'remit-keys-'));
  database = await createOwnDatabase();
  history = new PostgresHistory({ databaseUrl: database.url, keyFolder });
  record = new ProvenRecord({ databaseUrl: database.url, keyFolder });
  projections = new Projections({ databaseUrl: database.url, keyFolder });
  await history.ping();
});

afterAll(async () => {
  await Promise.all([history.close(), record.close(), projections.close()]);
  await database.drop();
  rmSync(keyFolder, { recursive: true });
});

beforeEach(async () => {
  await emptyRecord(database);
  // else it would be a record that was set back: nothing is signed for it before a person has acknowledged that
  rmSync(join(keyFolder, 'checkpoints.jsonl'), { force: true });
  told = [];
  now = START;
  bus = new MemoryBus(new MemoryLog(() => now));
  await bus.ensureTopics(Object.values(TOPICS));
  metrics = new Metrics({ service: 'spec', version: '1' });
  const onWrong = ({ code, message }: { code: string; message: string }) => told.push(`${code}: ${message}`);
  const watch = new RecordWatch(record.stored, { now: () => now, random: () => 0.5, onWrong });
  observeRecord(metrics, watch);
  closing = new EpochClosing(record, projections, bus, {
    ...{ epochMs: 60_000, now: () => now, watch },
    discrepancies: { found: () => Promise.resolve(), find: () => undefined },
    onFailure: (error) => told.push(String(error)),
  });
  // the first round of a process asks the brokers for checkpoints that the database may have lost
  await closing.round();
});

function message(partition: number, offset: number): RecordedMessage {
  const data = { agentId: 'payer', intentId: `intent-${String(partition)}-${String(offset)}`, chainId: 'payroll' };
  const event = writeEvent<unknown>(
    { ...EVENTS.decision, data: EVENTS.decision.data },
    { id: `event-${String(partition)}-${String(offset)}`, source: '/test', subject: 'payer', data },
  );
  return {
    ...{ topic: TOPICS.agentDecisions.name, partition, offset, appendTime: START + offset },
    ...{ key: Buffer.from('payer'), value: Buffer.from(event.value), headers: {} },
  };
}

/** Neighbouring messages of two partitions. Offset 3 is a transaction marker: no message will ever lie there. */
async function store(from: number, to: number): Promise<void> {
  const offsets = Array.from({ length: to - from }, (_, i) => from + i).filter((offset) => offset !== 3);
  await history.append([0, 1].flatMap((partition) => offsets.map((offset) => message(partition, offset))));
}

async function value(family: string): Promise<number | undefined> {
  const families = readExposition(await metrics.scrape('openmetrics'), 'openmetrics');
  return families.find(({ name }) => name === family)?.samples[0]?.value;
}

describe('promise 8: what the metrics say of the record', () => {
  it('is that it verifies, epoch after epoch, and how old the newest checkpoint is', async () => {
    await store(0, 6);
    await closing.round();
    await store(6, 9);
    await closing.round();
    now += 90_000;
    expect(await value('remit_record_verified')).toBe(1);
    expect(await value('remit_record_verification_failures')).toBe(0);
    expect(await value('remit_record_checkpoint_age_seconds')).toBe(90);
    // nothing new is nothing unproven
    await closing.round();
    expect(await value('remit_record_checkpoint_age_seconds')).toBe(0);
    expect(told).toEqual([]);
  });

  it('is 0 from the first epoch that was tampered with before it was signed, until it is mended, with what to do', async () => {
    await store(0, 6);
    await closing.round();
    await store(6, 9);
    const place = `WHERE "partition" = 1 AND "offset" = 7`;
    const change = `UPDATE record.history SET agent_id = $1 ${place}`;
    const [before] = await database.query(`SELECT agent_id FROM record.history ${place}`);
    await asIntruder(database, change, ['somebody else']);
    await closing.round();
    expect(await value('remit_record_verified')).toBe(0);
    expect(await value('remit_record_verification_failures')).toBe(1);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/^REMIT_RECORD_NOT_VERIFIED: epoch 2 .*agent\.decisions\/1: the entry at offset 7 is not/);
    expect(told[0]).toContain('remit audit verify');
    await store(9, 10);
    await closing.round();
    expect(await value('remit_record_verified')).toBe(0);
    await asIntruder(database, change, [before?.['agent_id']]);
    await closing.round();
    expect(await value('remit_record_verified')).toBe(1);
    expect(await value('remit_record_verification_failures')).toBe(2);
  });

  it('is 0 for a tampered epoch, also where its checkpoint could not be published when it was signed', async () => {
    await store(0, 6);
    await asIntruder(
      database,
      `UPDATE record.history SET agent_id = 'somebody else' WHERE "partition" = 1 AND "offset" = 4`,
    );
    await bus.close();
    await expect(closing.round()).rejects.toThrow();
    expect(await value('remit_record_verified')).toBe(0);
    expect(told[0]).toContain('epoch 1 is not');
  });

  it('is 0 for a tampered epoch that could not be read right after it was signed, once it can be', async () => {
    await store(0, 6);
    const line = await openLine(database.url);
    const remote = new ProvenRecord({ databaseUrl: line.url, keyFolder });
    const watch = new RecordWatch(remote.stored, {
      now: () => now,
      random: () => 0.5,
      onWrong: ({ message: what }) => told.push(what),
    });
    watch.closed(await remote.checkpoints.closeEpoch({ now }));
    await asIntruder(
      database,
      `UPDATE record.history SET agent_id = 'somebody else' WHERE "partition" = 1 AND "offset" = 4`,
    );
    await line.cut();
    await expect(watch.verify()).rejects.toThrow();
    expect([watch.verified, told]).toEqual([true, []]);
    await line.mend();
    await watch.verify();
    expect([watch.verified, told.length]).toEqual([false, 1]);
    await remote.close();
    await line.cut();
  });

  it('is 0 when the record does not even lead to where it ended, so that nothing can be signed', async () => {
    await store(0, 6);
    await asIntruder(database, 'DELETE FROM record.history WHERE "partition" = 0 AND "offset" = 5');
    await expect(closing.round()).rejects.toMatchObject({ code: 'REMIT_RECORD_ALTERED' });
    expect(await value('remit_record_verified')).toBe(0);
    expect(await value('remit_record_verification_failures')).toBe(1);
    expect(told[0]).toContain('nothing more is signed');
  });

  it.each([
    ['a deleted entry', 'DELETE FROM record.history WHERE "partition" = 0 AND "offset" = 4', 'offset 4 is missing'],
    [
      'a deleted first entry',
      'DELETE FROM record.history WHERE "partition" = 0 AND "offset" = 0',
      'offset 0 is missing',
    ],
    ['another value', `UPDATE record.history SET value = '\\x00' WHERE "offset" = 2`, 'offset 2 is not'],
    [
      'another time',
      `UPDATE record.history SET append_time = append_time + interval '1 ms' WHERE "offset" = 0`,
      'offset 0',
    ],
    ['another hash', `UPDATE record.history SET hash = '\\x00' WHERE "offset" = 1`, 'offset 1 is not'],
    ['other leaves', `UPDATE record.epoch_leaves SET hashes = hashes || '\\x00'`, 'leaves'],
  ])('finds %s in an epoch', async (_, tampering, what) => {
    await store(0, 6);
    const checkpoint = await record.checkpoints.closeEpoch({ now });
    const check = (one: Checkpoint | undefined, mostEntries: number) =>
      one && whatIsWrongWith(one, record.stored, { mostEntries, random: () => 0 });
    expect([checkpoint?.body.entries, await check(checkpoint, 100), await check(checkpoint, 1)]).toEqual([
      12,
      undefined,
      undefined,
    ]);
    await asIntruder(database, tampering);
    expect(await check(checkpoint, 100)).toContain(what);
  });

  describe('is how many messages are not in the record yet', () => {
    let line: Line;
    let remote: PostgresHistory;

    beforeEach(async () => {
      line = await openLine(database.url);
      remote = new PostgresHistory({ databaseUrl: line.url, keyFolder });
      observeAuditLag(metrics, bus, remote);
    });

    afterEach(async () => {
      line.goOn();
      await remote.close();
      await line.cut();
    });

    async function publish(...offsets: readonly number[]): Promise<void> {
      const topic = TOPICS.agentDecisions.name;
      await bus.publish(offsets.map((offset) => ({ topic, key: null, value: String(offset), partition: 0 })));
    }

    /** By topic, where it is told. */
    async function lag(): Promise<number | undefined> {
      const families = readExposition(await metrics.scrape('openmetrics'), 'openmetrics');
      const samples = families.find(({ name }) => name === 'remit_audit_lag')?.samples ?? [];
      return samples.find(({ labels }) => labels['messaging_destination_name'] === TOPICS.agentDecisions.name)?.value;
    }

    const silence = () => value('remit_record_answer_age_seconds');

    /** The database has said what the record holds; to be asked the first time it has to be connected to. */
    async function untilAnswered(expected: number): Promise<void> {
      await eventually(async () => (await lag()) === expected);
      await eventually(async () => ((await silence()) ?? Infinity) < LONG_SILENT_S);
    }

    it('also while the database is away, and since when it is', async () => {
      await publish(0, 1, 2);
      await untilAnswered(3);
      await line.cut();
      await publish(3);
      // an answer is used for a second
      await eventually(async () => (await lag()) === 4);
      await eventually(async () => ((await silence()) ?? 0) > LONG_SILENT_S);
      await line.mend();
      await untilAnswered(4);
    });

    it('also while the database takes connections and never answers, in no more time than Prometheus has', async () => {
      await publish(0, 1, 2);
      await untilAnswered(3);
      line.hang();
      await publish(3);
      await eventually(async () => {
        // a promise of the product, and not a measure of speed: whatever delays this timer delays those of the scrape
        const scrape = await Promise.race([lag(), sleep(SCRAPE_MS, 'too late', { ref: false })]);
        expect(scrape).not.toBe('too late');
        return scrape === 4 && ((await silence()) ?? 0) > LONG_SILENT_S;
      });
      line.goOn();
      await untilAnswered(4);
    });

    it('and unknown, which is told, where the database has not answered since the process began', async () => {
      line.hang();
      await publish(0, 1, 2);
      await eventually(async () => ((await silence()) ?? 0) > LONG_SILENT_S);
      expect(await lag()).toBeUndefined();
      line.goOn();
      await untilAnswered(3);
    });
  });
});
