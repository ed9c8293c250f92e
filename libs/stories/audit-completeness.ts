import type { Bus } from '#bus';
import { TOPICS } from '#contracts';
import { notStored, type History } from '#record';

/**
 * Waits until the history holds every message that lies on the log at the call, and names the partitions where it does
 * not, as `topic/partition: stored N of M`. Empty: nothing is missing.
 */
export async function missingFromHistory(bus: Bus, history: History, withinMs: number): Promise<string[]> {
  const ends = await bus.ends(Object.values(TOPICS).map((topic) => topic.name));
  const deadline = performance.now() + withinMs;
  for (;;) {
    const missing = [...notStored(ends, await history.positions())].flatMap(([topic, counts]) =>
      counts.flatMap((count, partition) => {
        if (count === 0) return [];
        const end = ends.get(topic)?.[partition] ?? 0;
        return [`${topic}/${String(partition)}: stored ${String(end - count)} of ${String(end)}`];
      }),
    );
    if (missing.length === 0 || performance.now() > deadline) return missing;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
