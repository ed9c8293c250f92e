import { beforeEach, describe, expect, it } from '@jest/globals';
import { MemoryBus, MemoryLog } from '#bus';
import { TOPICS } from '#contracts';
import { ENTRIES_PER_PAGE, MemoryHistory, MemoryWatchState, type WatchState } from '#record';
import {
  chainScriptSchema,
  countingReads,
  eventsOfScript,
  messageOfChainEvent,
  readTopic,
  SCRIPT_START,
} from '#testing';
import { GapWatch } from './gap-watch.js';

const MINUTE_MS = 60_000;
const RECONCILED = [TOPICS.agentActions, TOPICS.agentDecisions, TOPICS.agentOutcomes];

/** A log, the record of it, and their one clock. */
class World {
  now = SCRIPT_START;
  readonly bus = new MemoryBus(new MemoryLog(() => this.now));
  readonly history = new MemoryHistory();

  watch(options: { windowMs?: number; catchUpMs?: number; maxPages?: number; state?: WatchState } = {}): GapWatch {
    return new GapWatch(this.bus, this.history, { now: () => this.now, catchUpMs: 0, ...options });
  }

  /** Appends the events, at their times, to the log; the record does not have them yet. */
  async happen(events: readonly object[]): Promise<void> {
    const script = chainScriptSchema.parse({ agents: ['clerk'], events });
    for (const event of eventsOfScript(script)) {
      this.now = event.appendTime;
      const { topic, key, value, headers } = messageOfChainEvent(event);
      await this.bus.publish([{ topic, key, value, headers }]);
    }
  }

  async record(): Promise<void> {
    for (const { name } of RECONCILED) await this.history.append(await readTopic(this.bus, name));
  }
}

const INTENT = { intent: 'read', agent: 'clerk', at: 0 };
const ALLOW = { decision: 'read', outcome: 'allow', at: 10 };
const REPORT = { report: 'read', status: 'executed', at: 20 };
const FORBIDDEN = [
  { intent: 'drop', agent: 'clerk', at: 30 },
  { decision: 'drop', outcome: 'deny', at: 40 },
  { report: 'drop', status: 'executed', at: 50 },
];

describe('gaps are watched while audit runs', () => {
  let world: World;

  beforeEach(async () => {
    world = new World();
    await world.bus.ensureTopics(Object.values(TOPICS));
  });

  it('and what must never be counts at the first look', async () => {
    await world.happen([INTENT, ALLOW, REPORT, ...FORBIDDEN]);
    await world.record();
    const watch = world.watch();
    expect(await watch.look()).toBe('whole');
    expect(watch.counts()).toEqual({
      'intent-without-decision': 0,
      'allow-without-outcome': 0,
      'outcome-without-allow': 1,
      'outcome-differs': 0,
      'executed-too-late': 0,
    });
  });

  it('and an agent that sends one id again and again does not keep audit busy with all of them for each', async () => {
    const sent = 20_000;
    await world.happen([INTENT]);
    const [intent] = await readTopic(world.bus, TOPICS.agentActions.name);
    if (intent === undefined) throw new Error('no intent');
    await world.history.append(Array.from({ length: sent }, (_, offset) => ({ ...intent, partition: 0, offset })));
    const counted = countingReads(world.history);
    const log = {
      ends: () => Promise.resolve(new Map([[intent.topic, [sent]]])),
      firstBetween: () => Promise.resolve(undefined),
    };
    const watch = new GapWatch(log, world.history, {
      now: () => world.now + 2 * MINUTE_MS,
    });
    expect(await watch.look()).toBe('whole');
    expect(watch.counts()['intent-without-decision']).toBe(1);
    expect(counted).toEqual({ entries: sent, atOnce: ENTRIES_PER_PAGE });
  });

  it('a look that fails half-way keeps what it has found by then, and the next one goes on there', async () => {
    const state = new MemoryWatchState();
    await world.happen(FORBIDDEN);
    await world.record();
    const outlinesAbout = world.history.outlinesAbout.bind(world.history);
    const lookedAt: string[][] = [];
    world.history.outlinesAbout = (ids, read) => {
      lookedAt.push([...ids]);
      return outlinesAbout(ids, read);
    };
    const failing = world.watch({ state });
    const places = world.history.places.bind(world.history);
    world.now += 10 * MINUTE_MS;
    world.history.places = (run) => {
      if (run.topic === TOPICS.agentOutcomes.name) throw new Error('the database went away');
      return places(run);
    };
    await expect(failing.look()).rejects.toThrow('went away');
    expect(lookedAt).toHaveLength(2);
    world.history.places = places;
    const restarted = world.watch({ state });
    expect(await restarted.look()).toBe('whole');
    expect(lookedAt).toHaveLength(3);
    expect(restarted.counts()['outcome-without-allow']).toBe(1);
  });

  it('one look takes so many pages and says how much it has left, and the next ones go on', async () => {
    const watch = world.watch({ maxPages: 2 });
    await world.happen([INTENT, ALLOW, REPORT, ...FORBIDDEN]);
    await world.record();
    world.now += 10 * MINUTE_MS;
    expect(await watch.look()).toBe('part');
    expect(watch.left).toBe(2);
    expect(watch.counts()['outcome-without-allow']).toBe(0);
    expect(await watch.look()).toBe('whole');
    expect(watch.left).toBe(0);
    expect(watch.counts()['outcome-without-allow']).toBe(1);
  });

  it('says since when it has not got through what is due, and how much that is by now', async () => {
    const watch = world.watch({ maxPages: 1, catchUpMs: 0 });
    expect(watch.left).toBeUndefined();
    await world.happen([INTENT, ALLOW]);
    await world.record();
    world.now += 10 * MINUTE_MS;
    expect(watch.wholeAgeMs).toBeGreaterThanOrEqual(10 * MINUTE_MS);
    expect(await watch.look()).toBe('part');
    expect(watch.left).toBe(1);
    expect(watch.wholeAgeMs).toBeGreaterThanOrEqual(10 * MINUTE_MS);
    expect(await watch.look()).toBe('whole');
    expect([watch.left, watch.wholeAgeMs]).toEqual([0, 0]);
    // not in the audit log yet
    await world.happen([REPORT]);
    world.now += 20 * MINUTE_MS;
    expect(await watch.look()).toBe('behind');
    expect(watch.left).toBe(1);
    expect(watch.wholeAgeMs).toBeGreaterThan(MINUTE_MS);
  });

  it('and what may yet close counts only once it is old', async () => {
    const watch = world.watch();
    await world.happen([INTENT]);
    await world.record();
    await watch.look();
    expect(watch.counts()['intent-without-decision']).toBe(0);
    world.now += 2 * MINUTE_MS;
    await watch.look();
    expect(watch.counts()['intent-without-decision']).toBe(1);
    await watch.look();
    expect(watch.counts()['intent-without-decision']).toBe(1);
  });

  it('and what has closed in time never counts', async () => {
    const watch = world.watch();
    await world.happen([INTENT]);
    await world.record();
    await watch.look();
    await world.happen([INTENT, ALLOW, REPORT]);
    await world.record();
    world.now += 10 * MINUTE_MS;
    await watch.look();
    expect(Object.values(watch.counts())).toEqual([0, 0, 0, 0, 0]);
  });

  it('and each counts once, whatever else happens to its intent', async () => {
    const watch = world.watch();
    await world.happen([INTENT, ALLOW]);
    await world.record();
    await watch.look();
    await world.happen([INTENT, ALLOW, { ...ALLOW, at: 6 * MINUTE_MS }]);
    await world.record();
    await watch.look();
    await watch.look();
    expect(watch.counts()['allow-without-outcome']).toBe(1);
  });

  it('and a restart, or another replica, finds the same', async () => {
    const watch = world.watch();
    await world.happen([INTENT, ALLOW]);
    await world.record();
    await watch.look();
    await world.happen([INTENT, ALLOW, ...FORBIDDEN]);
    await world.record();
    world.now += 10 * MINUTE_MS;
    await watch.look();
    const restarted = world.watch();
    await restarted.look();
    expect(restarted.counts()).toEqual(watch.counts());
    expect(restarted.counts()).toMatchObject({ 'allow-without-outcome': 1, 'outcome-without-allow': 1 });
  });

  it('a restarted watch reads nothing again, and still counts what was found before', async () => {
    const state = new MemoryWatchState();
    await world.happen([INTENT, ALLOW, REPORT, ...FORBIDDEN]);
    await world.record();
    const watch = world.watch({ state });
    await watch.look();
    expect(watch.counts()['outcome-without-allow']).toBe(1);
    const counted = countingReads(world.history);
    const restarted = world.watch({ state });
    expect(await restarted.look()).toBe('whole');
    expect(counted.entries).toBe(0);
    expect(restarted.counts()).toEqual(watch.counts());
  });

  it('of replicas that look at the same time, each discrepancy counts once', async () => {
    const state = new MemoryWatchState();
    const [one, other] = [world.watch({ state }), world.watch({ state })];
    await Promise.all([one.look(), other.look()]);
    await world.happen(FORBIDDEN);
    await world.record();
    await Promise.all([one.look(), other.look()]);
    await other.look();
    expect(one.counts()['outcome-without-allow']).toBe(1);
    expect(other.counts()['outcome-without-allow']).toBe(1);
  });

  it('what was young at a restart counts once it is old', async () => {
    const state = new MemoryWatchState();
    await world.happen([INTENT]);
    await world.record();
    await world.watch({ state }).look();
    world.now += 2 * MINUTE_MS;
    const restarted = world.watch({ state });
    await restarted.look();
    expect(restarted.counts()['intent-without-decision']).toBe(1);
  });

  it('and a record that lags behind the log raises no alarm', async () => {
    const watch = world.watch();
    await world.happen([INTENT]);
    await world.record();
    await watch.look();
    await world.happen([INTENT, ALLOW, REPORT]);
    world.now += 10 * MINUTE_MS;
    expect(await watch.look()).toBe('behind');
    expect(watch.counts()['intent-without-decision']).toBe(0);
    await world.record();
    expect(await watch.look()).toBe('whole');
    expect(Object.values(watch.counts())).toEqual([0, 0, 0, 0, 0]);
  });

  it('and a look is given up at once when the process ends, however far the record lags behind', async () => {
    const watch = world.watch({ catchUpMs: 60_000 });
    await world.happen([INTENT]);
    const ending = new AbortController();
    const look = watch.look(ending.signal);
    ending.abort();
    await expect(look).rejects.toThrow('aborted');
  });

  it('and what lies longer ago than the window is not counted any more', async () => {
    const watch = world.watch({ windowMs: 30 * MINUTE_MS });
    await world.happen(FORBIDDEN);
    await world.record();
    await watch.look();
    expect(watch.counts()['outcome-without-allow']).toBe(1);
    world.now += 40 * MINUTE_MS;
    await watch.look();
    expect(watch.counts()['outcome-without-allow']).toBe(0);
  });
});
