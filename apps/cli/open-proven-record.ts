import { loadConfig } from '#config';
import { Projections, ProvenRecord, RecordKeeping, type RecordDatabaseOptions } from '#record';

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

export function withProvenRecord<Result>(work: (record: ProvenRecord) => Promise<Result>): Promise<Result> {
  return closingAfter(new ProvenRecord(recordOptions()), work);
}

export function withProjections<Result>(work: (projections: Projections) => Promise<Result>): Promise<Result> {
  return closingAfter(new Projections(recordOptions()), work);
}

export function withKeeping<Result>(work: (keeping: RecordKeeping) => Promise<Result>): Promise<Result> {
  return closingAfter(new RecordKeeping(recordOptions()), work);
}
