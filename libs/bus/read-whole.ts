import type { Bus, ReceivedMessage } from './bus.js';
import { Signal } from './waiting.js';

/**
 * Reads a topic from its start to where it ends now. Within a partition the messages come in order. Rejects with the
 * bus's coded error when the brokers cannot be asked.
 */
export async function readWhole(
  bus: Bus,
  topic: string,
  onMessages: (messages: readonly ReceivedMessage[]) => void,
): Promise<void> {
  const ends = (await bus.ends([topic])).get(topic) ?? [];
  const positions = ends.map(() => 0);
  const read = new Signal<undefined>();
  const following = await bus.follow({ topics: [topic], from: 'start' }, (messages, { partition, nextOffset }) => {
    onMessages(messages);
    positions[partition] = nextOffset;
    if (ends.every((end, index) => (positions[index] ?? 0) >= end)) read.give(undefined);
  });
  await read.promise;
  await following.stop();
}
