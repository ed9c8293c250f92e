import { loadConfig } from '#config';
import { PostgresHistory, type History } from '#record';

/** Hands the record to a piece of work, and closes it afterwards. */
export async function withRecord<Result>(work: (history: History) => Promise<Result>): Promise<Result> {
  const history = await PostgresHistory.open(loadConfig().databaseUrl);
  try {
    return await work(history);
  } finally {
    await history.close();
  }
}
