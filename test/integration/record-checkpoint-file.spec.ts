import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Checkpoint } from '#domain';
import { ProvenRecord, RecordKeeping } from '#record';
import { createOwnDatabase, emptyRecord, type OwnDatabase } from './own-database.js';

const NOW = 1_764_000_000_000;

let keyFolder: string;
let database: OwnDatabase;
let record: ProvenRecord;
let keeping: RecordKeeping;

beforeAll(async () => {
  keyFolder = mkdtempSync(join(tmpdir(), 'remit-kept-checkpoints-'));
  database = await createOwnDatabase();
  record = new ProvenRecord({ databaseUrl: database.url, keyFolder });
  keeping = new RecordKeeping({ databaseUrl: database.url, keyFolder });
});

afterAll(async () => {
  await Promise.all([record.close(), keeping.close()]);
  await database.drop();
  rmSync(keyFolder, { recursive: true });
});

function kept(): Checkpoint[] {
  const lines = readFileSync(join(keyFolder, 'checkpoints.jsonl'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Checkpoint);
}

const complete = { now: NOW, complete: true };

describe('the file of checkpoints that an auditor keeps', () => {
  it('gets every one, whoever signs: for an auditor, for another key, or when months are dropped', async () => {
    const asked = await record.checkpoints.closeEpoch(complete);
    const rotated = await record.checkpoints.rotateKey(NOW);
    const { checkpoint: dropped } = await keeping.dropBefore('2025-11', NOW, () => Promise.resolve());
    expect(kept()).toEqual([asked, rotated, dropped]);
  });

  it('gets what a process signed that died before it could write, and each one once from all that sign at once', async () => {
    await record.checkpoints.sign(complete);
    await Promise.all(Array.from({ length: 4 }, () => record.checkpoints.closeEpoch(complete)));
    const epochs = kept().map(({ body }) => body.epoch);
    expect(epochs.length).toBeGreaterThan(4);
    expect(epochs).toEqual(epochs.map((_, i) => i + 1));
  });

  it('shows that the database was set back: both histories stand in it', async () => {
    const before = kept();
    await emptyRecord(database);
    const anew = await record.checkpoints.closeEpoch({ ...complete, now: NOW + 1 });
    expect(anew?.body.epoch).toBe(1);
    expect(kept()).toEqual([...before, anew]);
  });
});
