/**
 * Plays every story on an in-memory log and keeps what came of it, message by message:
 * `node dist/test/histories/record-stories.js`. To be run again when the engine's version changes, and only then.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TOPICS } from '#contracts';
import { ENGINE } from '#service';
import { loadStories, StoryPlayer } from '#stories';
import { AuthorityWorld } from '#testing';
import { playCountedUses } from './counted-uses.js';
import { writeHistory } from './history-file.js';
import { peopleOf } from './people.js';

const ROOT = join(import.meta.dirname, '../../..');
const KEPT_TOPICS = [
  TOPICS.charterEvents,
  TOPICS.permissionEvents,
  TOPICS.agentActions,
  TOPICS.agentDecisions,
  TOPICS.agentOutcomes,
];

const world = new AuthorityWorld();
try {
  await world.open(readFileSync(join(ROOT, 'charters/fintech-production.yaml'), 'utf8'));
  const replica = await world.start({ engine: ENGINE });
  const player = new StoryPlayer(replica.bus, peopleOf(world), ROOT, () => world.now());
  await player.start();
  for (const story of loadStories(join(ROOT, 'test/stories'))) {
    // What each story expects is checked where it is played for real.
    for await (const { step, outcome } of player.play(story)) {
      process.stderr.write(`${story.story}: ${step}: ${outcome}\n`);
    }
  }
  await player.stop();
  await playCountedUses(world);
  const messages = (await Promise.all(KEPT_TOPICS.map((topic) => world.messages(topic)))).flat();
  writeHistory(join(ROOT, 'test/histories/stories.jsonl'), messages);
  process.stderr.write(`${String(messages.length)} messages kept\n`);
} finally {
  await world.close();
}
