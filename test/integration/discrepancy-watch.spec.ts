import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  MemoryHistory,
  MemoryWatchState,
  PostgresHistory,
  PostgresWatchState,
  Projections,
  RECONCILED_TOPICS,
  type History,
  type RecordedMessage,
  type WatchState,
} from '#record';
import { chainScriptSchema, countingReads, eventsOfScript, messageOfChainEvent, SCRIPT_START } from '#testing';
import { GapWatch } from '../../apps/audit/gap-watch.js';
import { asIntruder, createOwnDatabase, emptyRecord, type OwnDatabase } from './own-database.js';

const MINUTE_MS = 60_000;
const COMPLETE = 1500;

let keyFolder: string;
let database: OwnDatabase;

beforeAll(async () => {
  keyFolder = mkdtempSync(join(tmpdir(), 'remit-discrepancies-'));
  database = await createOwnDatabase();
});

afterAll(async () => {
  await database.drop();
  rmSync(keyFolder, { recursive: true });
});

function messagesOf(events: readonly object[]): RecordedMessage[] {
  return eventsOfScript(chainScriptSchema.parse({ agents: ['clerk'], events })).map(messageOfChainEvent);
}

/** Allowed and reported, denied, and held and then allowed and reported: nothing is missing. */
const complete = Array.from({ length: COMPLETE }, (_, i) => {
  const [intent, at] = [`n${String(i)}`, i * 10];
  const report = { report: intent, status: 'executed', at: at + 3 };
  const first = { intent, agent: 'clerk', at };
  if (i % 3 === 0) return [first, { decision: intent, outcome: 'deny', at: at + 1 }];
  if (i % 3 === 1) return [first, { decision: intent, outcome: 'allow', at: at + 1 }, report];
  const allow = { decision: intent, outcome: 'allow', at: at + 2 };
  return [first, { decision: intent, outcome: 'hold', at: at + 1 }, allow, report];
}).flat();

const ROLLED_AT = COMPLETE * 10;
const WRONG = [
  { intent: 'unanswered', agent: 'clerk', at: ROLLED_AT },
  { intent: 'silent', agent: 'clerk', at: ROLLED_AT + 1 },
  { decision: 'silent', outcome: 'allow', at: ROLLED_AT + 2 },
  { intent: 'drop', agent: 'clerk', at: ROLLED_AT + 3 },
  { decision: 'drop', outcome: 'deny', at: ROLLED_AT + 4 },
  { report: 'drop', status: 'executed', at: ROLLED_AT + 5 },
];

function logOf(messages: readonly RecordedMessage[]) {
  const ends = new Map<string, number[]>(RECONCILED_TOPICS.map((topic) => [topic, []]));
  for (const { topic, partition, offset } of messages) {
    const offsets = ends.get(topic) ?? [];
    for (let i = 0; i <= partition; i += 1) offsets[i] ??= 0;
    offsets[partition] = Math.max(offsets[partition] ?? 0, offset + 1);
  }
  return { ends: () => Promise.resolve(ends), firstBetween: () => Promise.resolve(undefined) };
}

interface Place {
  readonly history: History;
  readonly state: WatchState;
  close(): Promise<void>;
}

describe.each<{ where: string; open: () => Place }>([
  {
    where: 'memory',
    open: () => ({ history: new MemoryHistory(), state: new MemoryWatchState(), close: () => Promise.resolve() }),
  },
  {
    where: 'PostgreSQL',
    open: () => {
      const options = { databaseUrl: database.url, keyFolder };
      const [history, state] = [new PostgresHistory(options), new PostgresWatchState('spec', options)];
      return { history, state, close: async () => void (await Promise.all([history.close(), state.close()])) };
    },
  },
])('the watch for discrepancies over an audit log in $where', ({ where, open }) => {
  let place: Place;
  const now = (): number => SCRIPT_START + 60 * MINUTE_MS;

  beforeEach(async () => {
    place = open();
    await place.history.ping();
    if (where === 'PostgreSQL') await emptyRecord(database);
  });
  afterEach(() => place.close());

  it('opens no entry of intents that are complete, not even at its first look', async () => {
    const messages = messagesOf(complete);
    await place.history.append(messages);
    // whatever is opened is not what it was sealed as
    if (where === 'PostgreSQL') {
      await asIntruder(database, `UPDATE record.history SET value = '\\x00' WHERE key_id IS NOT NULL`);
    }
    const counted = countingReads(place.history);
    const watch = new GapWatch(logOf(messages), place.history, { now, state: place.state });
    expect(await watch.look()).toBe('whole');
    expect(Object.values(watch.counts())).toEqual([0, 0, 0, 0, 0]);
    expect(counted.entries).toBe(0);
  });

  it('finds and counts what does not add up, opens that alone, and a restart goes on behind it', async () => {
    const messages = messagesOf([...complete, ...WRONG]);
    await place.history.append(messages);
    const counted = countingReads(place.history);
    const watch = new GapWatch(logOf(messages), place.history, { now, state: place.state });
    expect(await watch.look()).toBe('whole');
    const found = { 'intent-without-decision': 1, 'allow-without-outcome': 1, 'outcome-without-allow': 1 };
    expect(watch.counts()).toMatchObject(found);
    expect(counted.entries).toBe(WRONG.length);
    const restarted = new GapWatch(logOf(messages), place.history, { now, state: place.state });
    expect(await restarted.look()).toBe('whole');
    expect(restarted.counts()).toMatchObject(found);
    expect(counted.entries).toBe(WRONG.length);
  });

  it('opens an entry that has no outline, and finds the same', async () => {
    const messages = messagesOf(WRONG);
    await place.history.append(messages);
    await place.history.forgetOutlines(SCRIPT_START + 60 * MINUTE_MS);
    const counted = countingReads(place.history);
    const watch = new GapWatch(logOf(messages), place.history, { now, state: place.state });
    await watch.look();
    expect(Object.values(watch.counts()).reduce((sum, count) => sum + count, 0)).toBe(3);
    expect(counted.entries).toBeGreaterThanOrEqual(WRONG.length);
  });
});

describe('an outline that somebody has changed', () => {
  it.each(['kind', 'decision_id', 'action_digest', 'valid_until'])(
    'is told by a rebuild: %s is compared with what the entry says',
    async (column) => {
      const options = { databaseUrl: database.url, keyFolder };
      const history = new PostgresHistory(options);
      const projections = new Projections(options);
      try {
        await history.ping();
        await emptyRecord(database);
        await history.append(messagesOf(WRONG));
        expect((await projections.rebuild()).searchColumns.differences).toEqual([]);
        const changed = column === 'valid_until' ? 'valid_until + 1' : column === 'kind' ? `'none'` : `'another'`;
        await database.query(
          `UPDATE record.outline SET ${column} = ${changed} WHERE topic = 'agent.decisions' AND ${column} IS NOT NULL`,
        );
        expect((await projections.rebuild()).searchColumns.differences).toHaveLength(2);
      } finally {
        await Promise.all([history.close(), projections.close()]);
      }
    },
  );
});
