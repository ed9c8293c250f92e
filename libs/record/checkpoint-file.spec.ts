import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Checkpoint } from '#domain';
import { CheckpointFile } from './checkpoint-file.js';

const MINE = '7d444840-9dc0-41d1-b245-5ffdce74fad2';
const OTHER = '0b5a3c1e-2f64-4d0b-8a53-0c8b1f2d3e4f';

let folder: string;
let path: string;
let file: CheckpointFile;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'remit-checkpoints-'));
  path = join(folder, 'checkpoints.jsonl');
  file = new CheckpointFile(path);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** As large as those of a system with many partitions. */
function checkpoint(epoch: number, record = MINE, partitions = 1): Checkpoint {
  return {
    body: {
      format: 'remit.checkpoint/1',
      record,
      epoch,
      closedAt: '2026-11-24T12:00:00.000Z',
      previous: epoch === 1 ? null : 'ab'.repeat(32),
      entries: partitions,
      root: 'cd'.repeat(32),
      heads: Array.from({ length: partitions }, (_, partition) => ({
        ...{ topic: 'agent.decisions', partition, from: epoch, next: epoch + 1, entries: 1, hash: 'ef'.repeat(32) },
      })),
      key: Buffer.alloc(32, 1).toString('base64'),
    },
    signature: Buffer.alloc(64, epoch).toString('base64'),
  };
}

function kept(): unknown[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => JSON.parse(line) as unknown);
}

describe('the file of checkpoints that an auditor keeps', () => {
  it('holds each one as it was signed, in their order, and knows where it goes on', async () => {
    expect(await file.lastEpochOf(MINE)).toBe(0);
    await file.add([checkpoint(1), checkpoint(2, MINE, 1000)]);
    await file.add([checkpoint(3)]);
    expect(kept()).toEqual([checkpoint(1), checkpoint(2, MINE, 1000), checkpoint(3)]);
    expect(await file.lastEpochOf(MINE)).toBe(3);
    expect(await file.holds(checkpoint(2, MINE, 1000))).toBe(true);
    expect(await file.holds({ ...checkpoint(3), signature: Buffer.alloc(64, 9).toString('base64') })).toBe(false);
  });

  it('keeps apart the records that share a key folder', async () => {
    await file.add([checkpoint(1), checkpoint(2)]);
    await file.add(Array.from({ length: 40 }, (_, i) => checkpoint(i + 1, OTHER, 100)));
    expect([await file.lastEpochOf(MINE), await file.lastEpochOf(OTHER)]).toEqual([2, 40]);
  });

  it('stays readable when a process died in the middle of a line', async () => {
    await file.add([checkpoint(1), checkpoint(2)]);
    truncateSync(path, readFileSync(path).length - 30);
    expect(await file.lastEpochOf(MINE)).toBe(1);
    await file.add([checkpoint(2)]);
    expect(kept()).toEqual([checkpoint(1), checkpoint(2)]);
  });

  it('stays readable when somebody has taken the last newline away', async () => {
    writeFileSync(path, JSON.stringify(checkpoint(1)));
    await file.add([checkpoint(2)]);
    expect(kept()).toEqual([checkpoint(1), checkpoint(2)]);
  });

  it('says with a code that it cannot be written', async () => {
    appendFileSync(path, '');
    const inNoFolder = new CheckpointFile(join(path, 'checkpoints.jsonl'));
    await expect(inNoFolder.add([checkpoint(1)])).rejects.toMatchObject({ code: 'REMIT_RECORD_CHECKPOINT_NOT_KEPT' });
    await expect(inNoFolder.lastEpochOf(MINE)).rejects.toMatchObject({ code: 'REMIT_RECORD_CHECKPOINT_NOT_KEPT' });
  });
});
