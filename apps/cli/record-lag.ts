import { KafkaBus } from '#bus';
import { loadConfig } from '#config';
import { TOPICS } from '#contracts';
import { TrulyNotStored, type History } from '#record';

/** What an answer is made of: topics, and their messages in a word. */
interface MadeOf {
  readonly topics: readonly (typeof TOPICS)[keyof typeof TOPICS][];
  readonly called: string;
}

const CHAINS: MadeOf = {
  topics: [TOPICS.agentActions, TOPICS.agentDecisions, TOPICS.agentOutcomes],
  called: 'intents, decisions and outcomes',
};

/** What was in force is folded from these. */
export const IN_FORCE: MadeOf = {
  topics: [TOPICS.charterEvents, TOPICS.permissionEvents],
  called: 'charter and permission events',
};

/**
 * How many messages of such an answer, of chains unless told, lie on the log that the record does not hold yet; 0 where
 * that cannot be asked, because it only helps to read what was found.
 */
export async function messagesNotRecorded(
  history: Pick<History, 'positions'>,
  { topics }: MadeOf = CHAINS,
): Promise<number> {
  const { kafkaBrokers, kafkaSecurity, replicationFactor } = loadConfig();
  const bus = new KafkaBus({ brokers: kafkaBrokers, security: kafkaSecurity, topics, replicationFactor });
  try {
    const ends = await bus.ends(topics.map(({ name }) => name));
    const missing = await new TrulyNotStored(bus).count(ends, await history.positions(), { atOnce: true });
    return [...missing.values()].flat().reduce((sum, messages) => sum + messages, 0);
  } catch {
    return 0;
  } finally {
    await bus.close();
  }
}

/** A sentence for whoever misses something in what was read; empty where nothing is missing. */
export function lagNote(missing: number, { called }: MadeOf = CHAINS): string {
  if (missing === 0) return '';
  const messages = missing === 1 ? '1 message' : `${missing.toLocaleString('en')} messages`;
  return `(the record is ${messages} of ${called} behind the log: ask again when audit has caught up)\n`;
}
