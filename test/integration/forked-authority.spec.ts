import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createStoreComparison, forgetForked, order, PermissionDatabase } from '#authority';
import { MemoryBus, MemoryLog, type ReceivedMessage } from '#bus';
import { EVENTS, sha256, STRUCTURED_CONTENT_TYPE, TOPICS, writeEvent } from '#contracts';
import { EVENT_STORE_READER, logDiscrepancy, type PermissionCommand, type PermissionEvent } from '#domain';
import { createViews, type Views } from '#segment';
import { createOwnDatabase, type OwnDatabase } from './own-database.js';

const AGENT = 'clerk';
const PARTITION = 3;
const AT = Date.parse('2026-11-28T12:00:00.000Z');

/** What the log has as the agent's first event, where the store holds a suspension. */
const LOGGED: PermissionEvent = {
  ...{ event: 'PermissionRefused', agentId: AGENT, version: 1, commandId: 'reinstate-1', by: 'olga' },
  ...{ at: new Date(AT).toISOString(), reason: 'back to work', command: 'ReinstateAgent' },
  ...{ code: 'REMIT_PERMISSION_AGENT_NOT_SUSPENDED', problem: 'the agent is not suspended' },
};

const OFFSET = 7;
const FORK = logDiscrepancy(
  {
    ...{ kind: 'stream-forked', topic: TOPICS.permissionEvents.name, partition: PARTITION, reader: EVENT_STORE_READER },
    ...{ from: OFFSET, to: OFFSET + 1, stream: AGENT, version: 1 },
  },
  sha256,
);

describe('an agent whose stream the database had otherwise than the log', () => {
  let database: OwnDatabase;
  /** One for each lane of a process, as in production. */
  let lanes: { readonly judging: PermissionDatabase; readonly people: PermissionDatabase };
  let bus: MemoryBus;
  let views: Views;

  beforeAll(async () => {
    database = await createOwnDatabase();
  });

  beforeEach(async () => {
    const open = (): PermissionDatabase => new PermissionDatabase({ databaseUrl: database.url, poolSize: 2 });
    lanes = { judging: open(), people: open() };
    bus = new MemoryBus(new MemoryLog(() => AT));
    await bus.ensureTopics(Object.values(TOPICS));
    views = createViews(bus);
  });

  afterEach(async () => {
    await database.query(
      `TRUNCATE event_store.event, event_store.command, event_store.snapshot, event_store.stream,
       event_store.set_aside, event_store.log_position`,
    );
    await Promise.all([lanes.judging.close(), lanes.people.close(), bus.close()]);
  });

  afterAll(() => database.drop());

  async function ordered(store: PermissionDatabase, command: 'SuspendAgent' | 'ReinstateAgent', commandId: string) {
    const placed: PermissionCommand = { command, agentId: AGENT, commandId, by: 'olga', reason: 'incident 42' };
    const handled = await order({ store, bus, views }, { command: placed, at: AT, terms: undefined });
    return handled.status === 'refused' ? [] : handled.events.map(({ event }) => event.event);
  }

  async function compare(): Promise<void> {
    const { value } = writeEvent(EVENTS.permissionEvent, {
      ...{ id: `${AGENT}/1`, source: '/remit/permission', subject: AGENT, data: LOGGED },
    });
    const message: ReceivedMessage = {
      ...{ topic: TOPICS.permissionEvents.name, partition: PARTITION, offset: OFFSET, appendTime: AT, logTime: AT },
      ...{
        key: Buffer.from(AGENT),
        value: Buffer.from(value),
        headers: { 'content-type': Buffer.from(STRUCTURED_CONTENT_TYPE) },
      },
    };
    await (await lanes.judging.comparison()).goOnAt(PARTITION, OFFSET);
    const handle = createStoreComparison(lanes.judging, bus, {
      // it is known already, from an earlier restoration: nobody is told of it
      found: () => Promise.resolve(),
      onRestored: () => undefined,
    });
    const { topic, partition } = message;
    await handle({ topic, partition, messages: [message], readFrom: OFFSET, heartbeat: () => Promise.resolve() });
  }

  async function compareElsewhere(): Promise<void> {
    const elsewhere = new PermissionDatabase({ databaseUrl: database.url, poolSize: 1 });
    const comparison = await elsewhere.comparison();
    await comparison.goOnAt(PARTITION, OFFSET);
    const { version, commandId } = LOGGED;
    await comparison.take(PARTITION, OFFSET, OFFSET + 1, [
      { stream: AGENT, version, commandId, event: LOGGED, offset: OFFSET },
    ]);
    await elsewhere.close();
    forgetForked({ event: 'LogDiscrepancyFound', at: new Date(AT).toISOString(), discrepancy: FORK });
  }

  it.each<[lane: 'people' | 'judging', finder: string, find: () => Promise<void>]>([
    ['people', 'this process', compare],
    ['judging', 'this process', compare],
    ['people', 'another process', compareElsewhere],
    ['judging', 'another process', compareElsewhere],
  ])(
    'is decided in the lane of %s by what the log says, though the lane knew it otherwise and %s found the fork',
    async (lane, _finder, find) => {
      expect(await ordered(lanes[lane], 'SuspendAgent', 'suspend-1')).toEqual(['AgentSuspended']);
      await find();
      // as many events as the lane knew, and other ones
      expect((await lanes[lane].readStream(AGENT)).events.map(({ event }) => event.event)).toEqual([
        'PermissionRefused',
      ]);
      expect(await ordered(lanes[lane], 'ReinstateAgent', 'reinstate-2')).toEqual(['PermissionRefused']);
    },
  );
});
