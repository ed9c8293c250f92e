import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import type { Checkpoint, RecordReport } from '#domain';
import { PostgresHistory, ProvenRecord, type RecordedMessage } from '#record';
import { asIntruder, createOwnDatabase, emptyRecord, type OwnDatabase } from './own-database.js';

const START = 1_764_000_000_000;
const { agentActions, agentDecisions } = TOPICS;

let keyFolder: string;
let database: OwnDatabase;
let history: PostgresHistory;
let record: ProvenRecord;
/** The key an auditor was given. */
let publicKey: Uint8Array;

beforeAll(async () => {
  keyFolder = mkdtempSync(join(tmpdir(), 'remit-keys-'));
  database = await createOwnDatabase();
  history = new PostgresHistory({ databaseUrl: database.url, keyFolder });
  record = new ProvenRecord({ databaseUrl: database.url, keyFolder });
  await history.ping();
  publicKey = await record.checkpoints.firstPublicKey();
});

afterAll(async () => {
  await Promise.all([history.close(), record.close()]);
  await database.drop();
  rmSync(keyFolder, { recursive: true });
});

function message(topic: string, partition: number, offset: number): RecordedMessage {
  const declaration = topic === agentActions.name ? EVENTS.intent : EVENTS.decision;
  const name = `${String(partition)}-${String(offset)}`;
  const data = {
    agentId: 'payer',
    intentId: `intent-${name}`,
    chainId: 'payroll',
    action: { type: 'transfer', target: 'ledger', parameters: { to: `account ${name}` } },
    outcome: 'allow',
  };
  const event = writeEvent<unknown>(
    { ...declaration, data: declaration.data },
    { id: `event-${name}`, source: '/test', subject: 'payer', data },
  );
  return {
    topic,
    partition,
    offset,
    appendTime: START + offset * 1000 + partition,
    key: Buffer.from('payer'),
    value: Buffer.from(event.value),
    headers: {
      'content-type': Buffer.from(event.headers['content-type']),
      traceparent: Buffer.from('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'),
      baggage: Buffer.from('tenant=shop'),
    },
  };
}

function messages(from: number, to: number): RecordedMessage[] {
  return [agentActions.name, agentDecisions.name].flatMap((topic) =>
    [0, 1].flatMap((partition) =>
      // Offset 3 is a transaction marker: no message will ever lie there.
      Array.from({ length: to - from }, (_, i) => message(topic, partition, from + i)).filter(
        ({ offset }) => offset !== 3,
      ),
    ),
  );
}

async function closeEpoch(): Promise<Checkpoint> {
  const checkpoint = await record.checkpoints.closeEpoch({ now: START });
  if (checkpoint === undefined) throw new Error('nothing to sign');
  return checkpoint;
}

function verify(kept: readonly Checkpoint[] = []): Promise<RecordReport> {
  return record.verify(publicKey, kept);
}

function where(report: RecordReport): string[] {
  return report.faults.map((fault) =>
    'topic' in fault
      ? `${fault.kind} ${fault.topic}/${String(fault.partition)}/${String(fault.offset)}`
      : `${fault.kind} epoch ${String(fault.epoch)}`,
  );
}

/** Two epochs under a checkpoint, and some that are not signed yet. */
beforeEach(async () => {
  await emptyRecord(database);
  await history.append(messages(0, 10));
  await closeEpoch();
  await history.append(messages(10, 20));
  await closeEpoch();
  await history.append(messages(20, 22));
});

/** Does something as an intruder, and undoes it by putting all rows back. */
async function tampered<Result>(sql: string, work: () => Promise<Result>): Promise<Result> {
  await database.query('CREATE TEMPORARY TABLE kept AS SELECT * FROM record.history');
  try {
    await asIntruder(database, sql);
    return await work();
  } finally {
    await asIntruder(database, 'DELETE FROM record.history');
    await asIntruder(database, 'INSERT INTO record.history SELECT * FROM kept');
    await database.query('DROP TABLE kept');
  }
}

const TAMPERED_ROW = `topic = 'agent.actions' AND "partition" = 1 AND "offset" = 7`;
const CLEAR_ROW = `topic = 'agent.decisions' AND "partition" = 1 AND "offset" = 7`;

/** How each column of a stored event can be changed into something that looks just as good. */
const CHANGES: readonly (readonly [column: string, change: string])[] = [
  ['topic', `topic = 'agent.outcomes'`],
  ['partition', `"partition" = 5`],
  ['offset', `"offset" = 5000`],
  ['append_time', `append_time = append_time + interval '1 microsecond'`],
  ['gap_until', `gap_until = 8`],
  ['key_id', `key_id = gen_random_uuid()`],
  ['key', `key = '\\x00'`],
  ['headers', `headers = '[]'`],
  ['value', `value = set_byte(value, 20, get_byte(value, 20) # 1)`],
  ['event_type', `event_type = event_type || '.'`],
  ['event_id', `event_id = NULL`],
  ['agent_id', `agent_id = 'somebody else'`],
  ['intent_id', `intent_id = 'another'`],
  ['chain_id', `chain_id = ''`],
  ['action_type', `action_type = 'read'`],
  ['target', `target = 'reporting'`],
  ['outcome', `outcome = 'deny'`],
  ['trace_id', `trace_id = reverse(trace_id)`],
  ['hash', `hash = set_byte(hash, 31, get_byte(hash, 31) # 1)`],
];

describe('promise 8: a record nobody has touched', () => {
  it('is proven up to the last checkpoint, and what lies after it is said to be unproven', async () => {
    expect(await verify()).toMatchObject({
      faults: [],
      // 20 offsets in each of four partitions, one of them a gap.
      proven: 80,
      notYetProven: 8,
      checkpoints: 2,
      last: { epoch: 2 },
    });
  });

  it('can be changed by nobody through the front door, not even by its owner', async () => {
    for (const sql of [
      `UPDATE record.history SET value = NULL`,
      `DELETE FROM record.history`,
      `TRUNCATE record.history`,
      `UPDATE record.history_2025_11 SET value = NULL`,
      `TRUNCATE record.history_2025_11`,
      `UPDATE record.checkpoint SET body = ''`,
      `DELETE FROM record.epoch_leaves`,
      `UPDATE record.chain_head SET hash = ''`,
      `UPDATE record.intent_key SET wrapped = ''`,
    ]) {
      await expect(database.query(sql)).rejects.toThrow('REMIT_RECORD_APPEND_ONLY');
    }
  });
});

describe('promise 8: an edit is found and located', () => {
  it('every column is changed by one of these edits', async () => {
    const columns = await database.query(
      `SELECT column_name AS name FROM information_schema.columns
       WHERE table_schema = 'record' AND table_name = 'history' ORDER BY ordinal_position`,
    );
    expect(CHANGES.map(([column]) => column)).toEqual(columns.map(({ name }) => name));
  });

  it.each(CHANGES)('in column %s of a sealed event', async (_column, change) => {
    const report = await tampered(`UPDATE record.history SET ${change} WHERE ${TAMPERED_ROW}`, () => verify());
    expect(where(report).some((found) => /^entry-(altered|missing) agent\.actions\/1\/7$/.test(found))).toBe(true);
    expect(report.proven).toBe(79);
    expect(where(await verify())).toEqual([]);
  });

  it.each(CHANGES)('in column %s of an event in the clear', async (_, change) => {
    const report = await tampered(`UPDATE record.history SET ${change} WHERE ${CLEAR_ROW}`, () => verify());
    expect(where(report).some((found) => /^entry-(altered|missing) agent\.decisions\/1\/7$/.test(found))).toBe(true);
    expect(report.proven).toBe(79);
  });

  it.each(['content-type', 'traceparent', 'baggage'])('in header %s', async (header) => {
    const change = `headers = replace(headers, '"${header}"', '"x-${header}"')`;
    const report = await tampered(`UPDATE record.history SET ${change} WHERE ${CLEAR_ROW}`, () => verify());
    expect(where(report)).toEqual(['entry-altered agent.decisions/1/7']);
  });

  it('in the entry that stands for a gap', async () => {
    const report = await tampered(
      `UPDATE record.history SET gap_until = NULL WHERE gap_until = 4 AND topic = 'agent.actions' AND "partition" = 0`,
      () => verify(),
    );
    expect(where(report)).toEqual(['entry-altered agent.actions/0/3']);
  });

  it('in several events at once, each by itself', async () => {
    const report = await tampered(
      `UPDATE record.history SET target = 'x' WHERE topic = 'agent.actions' AND "offset" IN (4, 5, 12)`,
      () => verify(),
    );
    expect(where(report)).toEqual(
      [0, 1].flatMap((partition) => [4, 5, 12].map((offset) => `entry-altered agent.actions/${partition}/${offset}`)),
    );
    expect(report.proven).toBe(74);
  });
});

const OTHER_ROW = `topic = 'agent.actions' AND "partition" = 1 AND "offset" = 12`;

describe('promise 8: a deletion, an insertion or a reordering is found and located', () => {
  it('a deleted event', async () => {
    const report = await tampered(`DELETE FROM record.history WHERE ${TAMPERED_ROW}`, () => verify());
    expect(where(report)).toEqual(['entry-missing agent.actions/1/7']);
    expect(report.proven).toBe(79);
  });

  it('several deleted events, over the end of an epoch', async () => {
    const report = await tampered(
      `DELETE FROM record.history WHERE topic = 'agent.actions' AND "partition" = 1 AND "offset" BETWEEN 2 AND 11`,
      () => verify(),
    );
    expect(report.faults).toMatchObject([
      { kind: 'entry-missing', topic: 'agent.actions', partition: 1, offset: 2, until: 10, epoch: 1 },
      { kind: 'entry-missing', topic: 'agent.actions', partition: 1, offset: 10, until: 12, epoch: 2 },
    ]);
  });

  it('a deleted event beside an altered one', async () => {
    const report = await tampered(
      `WITH gone AS (DELETE FROM record.history WHERE ${TAMPERED_ROW})
       UPDATE record.history SET target = 'x'
       WHERE topic = 'agent.actions' AND "partition" = 1 AND "offset" = 8`,
      () => verify(),
    );
    expect(where(report)).toEqual(['entry-missing agent.actions/1/7', 'entry-altered agent.actions/1/8']);
    expect(report.proven).toBe(78);
  });

  it('a cut-off end', async () => {
    const report = await tampered(
      `DELETE FROM record.history WHERE topic = 'agent.decisions' AND "partition" = 0 AND "offset" >= 17`,
      () => verify(),
    );
    expect(report.faults).toMatchObject([
      { kind: 'entry-missing', topic: 'agent.decisions', partition: 0, offset: 17, until: 20, epoch: 2 },
    ]);
  });

  it('a whole partition that is gone', async () => {
    const report = await tampered(
      `DELETE FROM record.history WHERE topic = 'agent.decisions' AND "partition" = 0`,
      () => verify(),
    );
    expect(report.faults).toMatchObject([
      { kind: 'entry-missing', offset: 0, until: 10 },
      { kind: 'entry-missing', offset: 10, until: 20 },
    ]);
  });

  it('two events that have changed places', async () => {
    const report = await tampered(
      `UPDATE record.history SET "offset" = CASE "offset" WHEN 7 THEN 12 ELSE 7 END
       WHERE ${TAMPERED_ROW} OR ${OTHER_ROW}`,
      () => verify(),
    );
    expect(where(report)).toEqual(['entry-altered agent.actions/1/7', 'entry-altered agent.actions/1/12']);
  });

  it('an event that was put in', async () => {
    const copy = (offset: string): string => `
      INSERT INTO record.history SELECT topic, "partition", ${offset}, append_time + interval '1 minute', gap_until,
        key_id, key, headers, value, event_type, event_id, agent_id, intent_id, chain_id, action_type, target, outcome,
        trace_id, hash FROM record.history WHERE ${TAMPERED_ROW}`;
    for (const offset of [3, 7, 9, -1]) {
      const report = await tampered(copy(String(offset)), () => verify());
      expect(where(report)).toEqual([`entry-inserted agent.actions/1/${String(offset)}`]);
      expect(report.proven).toBe(80);
    }
  });

  it('a change, and the hashes after it made to fit', async () => {
    // The hashes of the two following events are taken from somewhere else, so they are wrong like any others.
    const report = await tampered(
      `UPDATE record.history SET target = 'x', hash = sha256(hash)
       WHERE topic = 'agent.actions' AND "partition" = 1 AND "offset" IN (7, 8, 9)`,
      () => verify(),
    );
    expect(where(report)).toEqual([7, 8, 9].map((offset) => `entry-altered agent.actions/1/${String(offset)}`));
  });
});

describe('promise 8: what is behind a checkpoint cannot be rewritten', () => {
  const altered = (from: number, to: number): RecordedMessage[] =>
    messages(from, to).map((one) =>
      one.topic === agentActions.name && one.partition === 1 && one.offset === 7
        ? { ...one, value: Buffer.from('nothing happened') }
        : one,
    );

  it('a checkpoint that was changed', async () => {
    await asIntruder(
      database,
      `UPDATE record.checkpoint SET body = replace(body, '"entries":10', '"entries":11') WHERE epoch = 2`,
    );
    expect(where(await verify())).toEqual(['checkpoint-forged epoch 2']);
    await asIntruder(database, `UPDATE record.checkpoint SET body = body || ' ' WHERE epoch = 1`);
    expect(where(await record.verify(publicKey))).toEqual(['checkpoint-forged epoch 1']);
  });

  it('a checkpoint that was deleted', async () => {
    await asIntruder(database, 'DELETE FROM record.checkpoint WHERE epoch = 1');
    expect(where(await verify())).toEqual(['checkpoint-missing epoch 1']);
  });

  it('a list of hashes that was changed: the chain still shows that the events are as they were', async () => {
    await asIntruder(database, `UPDATE record.epoch_leaves SET hashes = set_byte(hashes, 3, 1) WHERE epoch = 1`);
    const report = await verify();
    expect(where(report)).toEqual(['leaves-altered epoch 1']);
    expect(report.proven).toBe(80);
  });

  it('a list of hashes that was changed along with an event: the chain locates the event', async () => {
    await asIntruder(database, `UPDATE record.epoch_leaves SET hashes = set_byte(hashes, 3, 1) WHERE epoch = 1`);
    const report = await tampered(`UPDATE record.history SET target = 'x' WHERE ${TAMPERED_ROW}`, () => verify());
    expect(where(report)).toEqual(['leaves-altered epoch 1', 'entry-altered agent.actions/1/7']);
  });

  it('a forgery, signed with another key', async () => {
    const forger = mkdtempSync(join(tmpdir(), 'remit-forger-'));
    copyFileSync(join(keyFolder, 'master.key'), join(forger, 'master.key'));
    const trusted = publicKey;
    await emptyRecord(database);
    const forged = new ProvenRecord({ databaseUrl: database.url, keyFolder: forger });
    try {
      await history.append(altered(0, 10));
      await forged.checkpoints.closeEpoch({ now: START });
      expect(where(await record.verify(trusted))).toEqual(['checkpoint-forged epoch 1']);
    } finally {
      await forged.close();
      rmSync(forger, { recursive: true });
    }
  });

  it('a history that the key’s holder has written anew, against a checkpoint kept before', async () => {
    const kept = await record.checkpoints.closeEpoch({ now: START, complete: true });
    if (kept === undefined) throw new Error('nothing to keep');
    expect(where(await verify([kept]))).toEqual([]);
    await emptyRecord(database);
    await history.append(altered(0, 10));
    await closeEpoch();
    await history.append(altered(10, 20));
    await closeEpoch();
    await history.append(altered(20, 22));
    await record.checkpoints.closeEpoch({ now: START, complete: true });
    expect(where(await verify())).toEqual([]);
    const found = where(await verify([kept]));
    expect(found).toContain('checkpoint-differs epoch 3');
    expect(found).toContain('range-rewritten agent.actions/1/0');
    expect(found.filter((one) => one.includes('agent.decisions'))).toEqual([]);
  });

  it('a record that was cut off before a checkpoint kept elsewhere', async () => {
    const kept = await closeEpoch();
    await emptyRecord(database);
    await history.append(messages(0, 10));
    await closeEpoch();
    expect(where(await verify([kept]))).toEqual(['checkpoint-missing epoch 3']);
  });

  it('the last checkpoint was removed: nothing more is signed, and that is said, not taken for nothing to sign', async () => {
    await asIntruder(database, 'DELETE FROM record.checkpoint WHERE epoch = 2');
    await expect(record.checkpoints.closeEpoch({ now: START })).rejects.toMatchObject({ code: 'REMIT_RECORD_ALTERED' });
  });

  it('what lies after the last checkpoint is never called proven, though its chain is checked', async () => {
    const report = await tampered(
      `UPDATE record.history SET target = 'x' WHERE topic = 'agent.actions' AND "partition" = 1 AND "offset" = 20`,
      () => verify(),
    );
    expect(report).toMatchObject({ proven: 80, notYetProven: 8, faults: [{ offset: 20, epoch: null }] });
  });
});

describe('the signing key', () => {
  it('is changed by an event that the old key signs, and whoever trusts the old one follows', async () => {
    const trusted = publicKey;
    const rotation = await record.checkpoints.rotateKey(START);
    await history.append(messages(22, 24));
    const next = await closeEpoch();
    expect(next.body.key).toBe(rotation?.body.nextKey);
    expect(next.body.key).not.toBe(rotation?.body.key);
    const report = await record.verify(trusted);
    expect(report).toMatchObject({ faults: [], checkpoints: 4, notYetProven: 0 });
  });
});
