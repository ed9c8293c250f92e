import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MemoryBus, MemoryLog, type Bus } from '#bus';
import { partitionOfAgent, TOPICS } from '#contracts';
import { busWith } from '#testing';
import { createViews, type Views } from './views.js';

const AGENT = 'calm';
const OTHER = 'busy';
const SOON_MS = 20;

describe('what people ask about one agent', () => {
  const ahead = new Set<string>();
  let bus: Bus;
  let views: Views;

  /** A log on which there is more than has been read: of these agents, or of the charter. */
  const logThatGoesOn = (own: Bus): Bus =>
    busWith(own, {
      ends: async (topics: readonly string[]) => {
        const ends = new Map([...(await own.ends(topics))].map(([topic, offsets]) => [topic, [...offsets]]));
        const permissions = ends.get(TOPICS.permissionEvents.name);
        const charter = ends.get(TOPICS.charterEvents.name);
        if (ahead.has('charter') && charter !== undefined) charter[0] = 1000;
        for (const agentId of [AGENT, OTHER]) {
          if (ahead.has(agentId) && permissions !== undefined) permissions[partitionOfAgent(agentId)] = 1000;
        }
        return ends;
      },
    });

  beforeEach(async () => {
    ahead.clear();
    const own = new MemoryBus(new MemoryLog(Date.now));
    await own.ensureTopics(Object.values(TOPICS));
    bus = logThatGoesOn(own);
    views = createViews(bus);
    await views.start();
  });

  afterEach(async () => {
    await views.stop();
    await bus.close();
  });

  it('is told without waiting until what others have caused has been read', async () => {
    ahead.add(OTHER);
    expect(await views.catchUp(SOON_MS)).toBe(false);
    expect(await views.catchUpOn([AGENT], SOON_MS)).toBe(true);
  });

  it('is not told before all that is on the log about it has been read', async () => {
    ahead.add(AGENT);
    expect(await views.catchUpOn([AGENT], SOON_MS)).toBe(false);
    expect(await views.catchUpOn([], SOON_MS)).toBe(true);
  });

  it('is not told before the charter has been read', async () => {
    ahead.add('charter');
    expect(await views.catchUpOn([AGENT], SOON_MS)).toBe(false);
    expect(await views.catchUpOn([], SOON_MS)).toBe(false);
  });
});
