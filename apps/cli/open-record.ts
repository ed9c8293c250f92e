import { loadConfig } from '#config';
import {
  PostgresHistory,
  Projections,
  ProvenRecord,
  RecordKeeping,
  type Checkpoints,
  type History,
  type RecordDatabaseOptions,
} from '#record';
import { announceReading, type Reading } from './record-access.js';

// The only place where commands open the record. Whatever can show an event takes a `Reading` and says it on the log
// first; where that cannot be said, nothing is opened.

/** Hands the history to a piece of work. */
export async function withHistory<Result>(
  reading: Reading,
  work: (history: History) => Promise<Result>,
): Promise<Result> {
  const { databaseUrl } = loadConfig();
  await announceReading(reading);
  return closingAfter(await PostgresHistory.open(databaseUrl), work);
}

/** Hands the record with its proofs to a piece of work. */
export async function withProvenRecord<Result>(
  reading: Reading,
  work: (record: ProvenRecord) => Promise<Result>,
): Promise<Result> {
  const options = recordOptions();
  await announceReading(reading);
  return closingAfter(new ProvenRecord(options), work);
}

/** Hands the record with its proofs, and the history to select from, to a piece of work. */
export function withEvidence<Result>(
  reading: Reading,
  work: (record: ProvenRecord, history: History) => Promise<Result>,
): Promise<Result> {
  return withProvenRecord(reading, async (record) =>
    closingAfter(await PostgresHistory.open(loadConfig().databaseUrl), (history) => work(record, history)),
  );
}

/** Hands what is derived from the record to a piece of work. */
export async function withProjections<Result>(
  reading: Reading,
  work: (projections: Projections) => Promise<Result>,
): Promise<Result> {
  const options = recordOptions();
  await announceReading(reading);
  return closingAfter(new Projections(options), work);
}

/** Checkpoints and keys only: they hold hashes, and no event can be read through them. */
export function withCheckpoints<Result>(work: (checkpoints: Checkpoints) => Promise<Result>): Promise<Result> {
  return closingAfter(new ProvenRecord(recordOptions()), ({ checkpoints }) => work(checkpoints));
}

/** Erasure and retention: they show no event, and say themselves what they do, before it counts. */
export function withKeeping<Result>(work: (keeping: RecordKeeping) => Promise<Result>): Promise<Result> {
  return closingAfter(new RecordKeeping(recordOptions()), work);
}

function recordOptions(): RecordDatabaseOptions {
  const { databaseUrl, recordKeys } = loadConfig();
  return { databaseUrl, keyFolder: recordKeys, applicationName: 'remit-cli' };
}

async function closingAfter<Thing extends { close(): Promise<void> }, Result>(
  thing: Thing,
  work: (thing: Thing) => Promise<Result>,
): Promise<Result> {
  try {
    return await work(thing);
  } finally {
    await thing.close();
  }
}
