import { KafkaBus } from '#bus';
import { loadConfig } from '#config';
import { TOPICS } from '#contracts';
import { notStored, type History } from '#record';

/** What chains are made of. */
const CHAIN_TOPICS = [TOPICS.agentActions, TOPICS.agentDecisions, TOPICS.agentOutcomes];

/**
 * How many messages of chains lie on the log that the record does not hold yet; 0 where that cannot be asked, because it
 * only helps to read what was found.
 */
export async function messagesNotRecorded(history: Pick<History, 'positions'>): Promise<number> {
  const { kafkaBrokers, replicationFactor } = loadConfig();
  const bus = new KafkaBus({ brokers: kafkaBrokers, topics: CHAIN_TOPICS, replicationFactor });
  try {
    const ends = await bus.ends(CHAIN_TOPICS.map(({ name }) => name));
    return [...notStored(ends, await history.positions()).values()].flat().reduce((sum, missing) => sum + missing, 0);
  } catch {
    return 0;
  } finally {
    await bus.close();
  }
}

/** A sentence for whoever misses something in what was read; empty where nothing is missing. */
export function lagNote(missing: number): string {
  if (missing === 0) return '';
  const messages = missing === 1 ? '1 message' : `${missing.toLocaleString('en')} messages`;
  return `(the record is ${messages} of intents, decisions and outcomes behind the log: ask again when audit has caught up)\n`;
}
