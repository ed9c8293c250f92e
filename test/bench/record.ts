import { hash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import {
  entryHash,
  NOTHING_BEFORE,
  verifyRecord,
  type ChainedEntry,
  type Checkpoint,
  type RecordSource,
} from '#domain';
import { PostgresHistory, proofCrypto, ProvenRecord, type RecordedMessage } from '#record';
import { ENGINE } from '#service';
import { figure, median, type Figure } from './figure.js';

const ROUNDS = 3;
const MESSAGES_PER_ROUND = 20_000;
/** As audit gets them from the bus: neighbouring messages of one partition. */
const MESSAGES_PER_BATCH = 500;
const PARTITIONS = 4;
const VERIFY_ROUNDS = 9;
const START = 1_764_000_000_000;
/** So many entries lie in the record when each of the growth figures is taken. */
const SIZES = [10_000, 100_000, 1_000_000];
/** The record is filled in steps of so many entries; a growth figure is the rate of the last steps before its size. */
const STEP = 10_000;
const STEPS_MEASURED = 3;
const PROGRESS_EVERY = 100_000;
const LOOK_UPS = 51;
const CHAIN_LENGTH = 6;

interface World {
  readonly client: pg.Client;
  readonly history: PostgresHistory;
  readonly record: ProvenRecord;
  close(): Promise<void>;
}

async function openWorld(databaseUrl: string): Promise<World> {
  const name = `bench_${randomUUID().replaceAll('-', '')}`;
  const server = new pg.Client({ connectionString: databaseUrl });
  await server.connect();
  await server.query(`CREATE DATABASE ${name}`);
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  const keyFolder = mkdtempSync(join(tmpdir(), 'remit-bench-keys-'));
  const options = { databaseUrl: url.href, keyFolder };
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  const history = new PostgresHistory(options);
  await history.ping();
  const record = new ProvenRecord(options);
  return {
    client,
    history,
    record,
    close: async () => {
      await Promise.all([history.close(), record.close(), client.end()]);
      await server.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await server.end();
      rmSync(keyFolder, { recursive: true });
    },
  };
}

/** An intent of about 700 bytes with its trace headers, and a decision of about 1.4 kB: what standalone writes for each. */
function pairOf(index: number, partition: number, offset: number): readonly [RecordedMessage, RecordedMessage] {
  const agentId = `worker-${String(index % 48)}`;
  const intentId = uuidv7();
  const chainId = `chain-${String(Math.floor(index / CHAIN_LENGTH))}`;
  const action = { type: 'update_record', target: 'reporting' };
  const intent = writeEvent<unknown>(
    { ...EVENTS.intent },
    {
      id: intentId,
      source: `/agents/${agentId}`,
      subject: agentId,
      data: {
        intentId,
        agentId,
        action: {
          ...action,
          parameters: {
            record: `customer-${String(index)}`,
            amount: index % 2000,
            note: 'second reminder '.repeat(10),
          },
        },
        onBehalfOf: `person-${String(index % 1000)}@shop.example`,
        chainId,
      },
    },
  );
  const verdict = (layer: string) => ({
    layer,
    findings: [],
    passed: ['data-classification', 'system-access', 'action-restriction', 'time-window'],
    facts: { classification: 'internal', environment: 'production' },
  });
  const decision = writeEvent<unknown>(
    { ...EVENTS.decision },
    {
      id: `${intentId}-1`,
      source: '/remit',
      subject: agentId,
      data: {
        decisionId: hash('sha256', intentId),
        intentId,
        agentId,
        round: 1,
        chainId,
        action: { ...action, digest: hash('sha256', chainId) },
        outcome: index % 10 === 0 ? 'deny' : 'allow',
        wouldBe: 'allow',
        stage: 'enforce',
        verdicts: ['boundary', 'permission', 'verification', 'policy'].map(verdict),
        validUntil: '2026-01-05T10:00:30.000Z',
        engine: ENGINE,
      },
    },
  );
  const headers = {
    'content-type': Buffer.from('application/cloudevents+json'),
    traceparent: Buffer.from(`00-${hash('md5', intentId)}-00f067aa0ba902b7-00`),
  };
  const place = { partition, offset, appendTime: START + index, key: Buffer.from(agentId), headers };
  return [
    { ...place, topic: TOPICS.agentActions.name, value: Buffer.from(intent.value) },
    { ...place, topic: TOPICS.agentDecisions.name, value: Buffer.from(decision.value) },
  ];
}

/** So many messages, behind those that came before, in batches as the bus hands them out. */
function batchesOf(count: number, before: number): RecordedMessage[][] {
  const byPartition = new Map<string, RecordedMessage[]>();
  for (let i = 0; i < count / 2; i += 1) {
    const index = before / 2 + i;
    const partition = index % PARTITIONS;
    for (const message of pairOf(index, partition, Math.floor(index / PARTITIONS))) {
      const name = `${message.topic}/${String(partition)}`;
      byPartition.set(name, [...(byPartition.get(name) ?? []), message]);
    }
  }
  const batches: RecordedMessage[][] = [];
  for (let from = 0; from < count; from += MESSAGES_PER_BATCH) {
    for (const messages of byPartition.values()) {
      const batch = messages.slice(from, from + MESSAGES_PER_BATCH);
      if (batch.length > 0) batches.push(batch);
    }
  }
  return batches;
}

async function ingest(history: PostgresHistory, batches: readonly RecordedMessage[][]): Promise<number> {
  const waiting = [...batches];
  const started = performance.now();
  // Audit handles a batch of each partition at a time; two keep the database and this process busy at once.
  const lane = async (): Promise<void> => {
    for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) await history.append(batch);
  };
  await Promise.all([lane(), lane()]);
  return performance.now() - started;
}

/** The table beside the record, with the same columns and indexes, that COPY fills. */
const MAKE_COPIED = 'CREATE TABLE IF NOT EXISTS copied (LIKE record.history INCLUDING ALL)';

/** Rows in the order they were stored: each intent has its own millisecond, which its decision shares. */
function rowsOf(skip: number, rows: number): string {
  const [from, to] = [skip, skip + rows].map((row) => new Date(START + row / 2).toISOString());
  return `SELECT * FROM record.history WHERE append_time >= '${String(from)}' AND append_time < '${String(to)}'
    ORDER BY append_time, topic`;
}

/** PostgreSQL's own COPY, from a file on the server, of the rows that were stored last, into a table with the same indexes. */
async function copy({ client }: World, rows: number, skip: number): Promise<number> {
  const [place] = (
    await client.query<{ path: string }>(`SELECT current_setting('data_directory') || '/remit-bench' AS path`)
  ).rows;
  const file = (place?.path ?? '').replaceAll("'", "''");
  await client.query(`COPY (${rowsOf(skip, rows)}) TO '${file}'`);
  await client.query(MAKE_COPIED);
  const started = performance.now();
  await client.query(`COPY copied FROM '${file}'`);
  const took = performance.now() - started;
  await client.query(`COPY (SELECT) TO '${file}'`);
  return took;
}

/** What was read once, to be verified again and again: so the database's time does not count. */
async function loaded({ record }: World): Promise<{ source: RecordSource; entries: ChainedEntry[] }> {
  const checkpoints: Checkpoint[] = [];
  const leaves = new Map<string, Uint8Array>();
  const pages = new Map<string, ChainedEntry[][]>();
  for await (const checkpoint of record.stored.checkpoints()) {
    checkpoints.push(checkpoint);
    for (const head of checkpoint.body.heads) {
      const name = `${String(checkpoint.body.epoch)}/${head.topic}/${String(head.partition)}`;
      leaves.set(name, await record.stored.leaves(checkpoint.body.epoch, head));
    }
  }
  const partitions = await record.stored.partitions();
  for (const of of partitions) {
    const ofPartition: ChainedEntry[][] = [];
    for await (const page of record.stored.entries(of)) ofPartition.push([...page]);
    pages.set(`${of.topic}/${String(of.partition)}`, ofPartition);
  }
  const each = async function* <Value>(values: readonly Value[]): AsyncGenerator<Value> {
    for (const value of values) yield await Promise.resolve(value);
  };
  return {
    entries: [...pages.values()].flat(2),
    source: {
      checkpoints: () => each(checkpoints),
      leaves: (epoch, { topic, partition }) =>
        Promise.resolve(leaves.get(`${String(epoch)}/${topic}/${String(partition)}`) ?? new Uint8Array()),
      partitions: () => Promise.resolve(partitions),
      entries: ({ topic, partition }) => each(pages.get(`${topic}/${String(partition)}`) ?? []),
    },
  };
}

/** The very bytes that verification hashes, one buffer for each entry. */
function hashedBytes(entries: readonly ChainedEntry[]): Uint8Array[] {
  const bytes: Uint8Array[] = [];
  const collect = entryHash((input) => {
    bytes.push(Uint8Array.from(input));
    return NOTHING_BEFORE;
  });
  for (const entry of entries) collect(NOTHING_BEFORE, entry);
  return bytes;
}

async function measureVerification(world: World): Promise<Figure> {
  const publicKey = await world.record.checkpoints.firstPublicKey();
  const { source, entries } = await loaded(world);
  const bytes = hashedBytes(entries);
  const total = bytes.reduce((sum, { length }) => sum + length, 0) / 1_000_000;
  const ours: number[] = [];
  const plain: number[] = [];
  for (let round = 0; round < VERIFY_ROUNDS; round += 1) {
    let started = performance.now();
    const report = await verifyRecord(source, { publicKey }, proofCrypto);
    ours.push(total / ((performance.now() - started) / 1000));
    if (report.faults.length > 0 || report.proven !== entries.length) throw new Error('the record does not verify');
    started = performance.now();
    for (const one of bytes) hash('sha256', one, 'buffer');
    plain.push(total / ((performance.now() - started) / 1000));
  }
  return figure('verification', median(ours), 'MB/s', 'SHA-256 over the same bytes', median(plain));
}

/** Ingestion beside COPY, verification beside plain SHA-256, and how both and the look-up of a chain grow. */
export async function measureRecord(databaseUrl: string, progress: (line: string) => void): Promise<Figure[]> {
  const world = await openWorld(databaseUrl);
  const { history, record } = world;
  const figures: Figure[] = [];
  try {
    let stored = 0;
    const store = async (count: number): Promise<number> => {
      const batches = batchesOf(count, stored);
      const took = await ingest(history, batches);
      stored += count;
      return took;
    };
    await store(4_000);
    const ours: number[] = [];
    const copies: number[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const before = stored;
      ours.push(MESSAGES_PER_ROUND / ((await store(MESSAGES_PER_ROUND)) / 1000));
      copies.push(MESSAGES_PER_ROUND / ((await copy(world, MESSAGES_PER_ROUND, before)) / 1000));
      progress(`round ${String(round)} of ${String(ROUNDS)}: ${rate(ours.at(-1))}, COPY ${rate(copies.at(-1))}`);
    }
    figures.push(
      figure('ingestion, sealed and chained', median(ours), 'rows/s', 'COPY, same rows and indexes', median(copies)),
    );
    await record.checkpoints.closeEpoch({ now: START, complete: true });
    figures.push(await measureVerification(world));
    return figures;
  } finally {
    await world.close();
  }
}

function rate(perSecond = 0): string {
  return `${Math.round(perSecond).toLocaleString('en')} rows/s`;
}

interface Grown {
  readonly size: number;
  readonly ingestion: number;
  /** PostgreSQL's own COPY into a table that has as many rows. */
  readonly copy: number;
  readonly chain: number;
  readonly verification: number;
}

/** The time of one chain look-up, ms: the middle of many, all over the record. */
async function lookUpChains({ history }: World, stored: number): Promise<number> {
  const took: number[] = [];
  for (let i = 0; i < LOOK_UPS; i += 1) {
    const chain = Math.floor(((i + 0.5) / LOOK_UPS) * (stored / 2 / CHAIN_LENGTH));
    const started = performance.now();
    const { events } = await history.chain(`chain-${String(chain)}`);
    took.push(performance.now() - started);
    if (events.length === 0) throw new Error('a chain is not found');
  }
  return median(took);
}

/** COPY of the last steps into a table that has been filled up to them, as the record was. */
async function copyAtSize(world: World, size: number, copied: number): Promise<number> {
  const { client } = world;
  await client.query(MAKE_COPIED);
  const measured = Math.min(STEPS_MEASURED * STEP, size);
  if (size - measured > copied) {
    await client.query(`INSERT INTO copied ${rowsOf(copied, size - measured - copied)}`);
  }
  const steps: number[] = [];
  for (let before = size - measured; before < size; before += STEP) steps.push(await copy(world, STEP, before));
  return STEP / (median(steps) / 1000);
}

/** In a record of its own, so that the smallest one is not also the one that met cold code. */
async function warmUp(databaseUrl: string): Promise<void> {
  const world = await openWorld(databaseUrl);
  try {
    await ingest(world.history, batchesOf(STEP, 0));
  } finally {
    await world.close();
  }
}

/**
 * Ingestion, chain look-up and verification in records of different sizes, each beside the smallest; and COPY beside
 * itself, because an index that outgrows the server's buffers costs COPY the same.
 */
export async function measureRecordGrowth(databaseUrl: string, progress: (line: string) => void): Promise<Figure[]> {
  await warmUp(databaseUrl);
  const world = await openWorld(databaseUrl);
  const { history, record } = world;
  const grown: Grown[] = [];
  try {
    let stored = 0;
    let copied = 0;
    for (const size of SIZES) {
      const steps: number[] = [];
      while (stored < size) {
        steps.push(await ingest(history, batchesOf(STEP, stored)));
        stored += STEP;
        await record.checkpoints.closeEpoch({ now: START + stored });
        if (stored % PROGRESS_EVERY === 0) {
          progress(`${stored.toLocaleString('en')} entries: ${rate(STEP / ((steps.at(-1) ?? 0) / 1000))}`);
        }
      }
      const ingestion = STEP / (median(steps.slice(-STEPS_MEASURED)) / 1000);
      const chain = await lookUpChains(world, stored);
      const started = performance.now();
      const report = await record.verify(await record.checkpoints.firstPublicKey());
      const seconds = (performance.now() - started) / 1000;
      if (report.proven !== stored) throw new Error('the record does not verify');
      const copyRate = await copyAtSize(world, size, copied);
      copied = size;
      grown.push({ size, ingestion, copy: copyRate, chain, verification: stored / seconds });
      progress(`at ${size.toLocaleString('en')} entries: ${rate(ingestion)}, COPY ${rate(copyRate)}`);
    }
  } finally {
    await world.close();
  }
  const [smallest] = grown;
  if (smallest === undefined) return [];
  return grown.slice(1).flatMap((one) => besideSmallest(one, smallest));
}

function besideSmallest(one: Grown, smallest: Grown): Figure[] {
  const named = ({ size }: Grown): string => `${size.toLocaleString('en')} entries`;
  const beside = (name: string, of: 'ingestion' | 'copy' | 'chain' | 'verification', unit: string): Figure =>
    figure(`${name}, ${named(one)}`, one[of], unit, named(smallest), smallest[of]);
  return [
    beside('ingestion', 'ingestion', 'rows/s'),
    beside('COPY, same rows and indexes', 'copy', 'rows/s'),
    figure(`ingestion, ${named(one)}`, one.ingestion, 'rows/s', 'COPY at that size', one.copy),
    beside('chain look-up', 'chain', 'ms'),
    beside('verify from the database', 'verification', 'rows/s'),
  ];
}
