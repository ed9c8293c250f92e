import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import { KafkaBus, type BatchHandler, type OutgoingMessage, type ReceivedMessage } from '#bus';
import { EVENTS, partitionOfAgent, readEvent, TOPICS, writeEvent } from '#contracts';
import {
  AUTHORITY_SNAPSHOT_FORMAT,
  authorityToSnapshot,
  canonicalJson,
  LAYERS,
  permissionEventSchema,
  type Decision,
} from '#domain';
import { createSegment, createViews, PermissionStateWriter, type Views } from '#segment';
import { activateCharterText, eventually, readTopic } from '#testing';
import { startOwnBroker, type OwnBroker } from './own-broker.js';

const AGENTS = ['ann', 'bob', 'cid'] as const;
const DAY_MS = 24 * 60 * 60 * 1000;
const WAIT_MS = 60_000;
/** What is history must have left the window, and nobody waits a quarter of an hour for that here. */
const WINDOW_MS = 2_000;
const SESSION_MS = 6_000;
const CHARTER = `
charter: views
stage: enforce
decision_ttl: 10m
classifications: [public, internal]
systems:
  desk: { classification: internal }
agents:
  ann: { scope: { actions: ['*'], systems: [desk] } }
`;

describe('views on a real log', () => {
  let broker: OwnBroker;
  let bus: KafkaBus;
  const versions = new Map<string, number>();
  const open: { close(): Promise<unknown> }[] = [];

  beforeAll(async () => {
    broker = await startOwnBroker();
    bus = connect();
    await bus.ensureTopics(Object.values(TOPICS));
  }, 120_000);

  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close();
  });

  afterAll(async () => {
    await bus.close();
    await broker.remove();
  });

  function connect(): KafkaBus {
    return new KafkaBus({ brokers: [broker.address], topics: Object.values(TOPICS), sessionMs: SESSION_MS });
  }

  /** A process of its own. */
  function another(): KafkaBus {
    const process = connect();
    open.push(process);
    return process;
  }

  async function startViews(options = { authorityWindowMs: WINDOW_MS }): Promise<Views> {
    const views = createViews(another(), options);
    open.push({ close: () => views.stop() });
    await views.start();
    return views;
  }

  async function happens(agentId: string, fact: Record<string, unknown>): Promise<void> {
    const version = (versions.get(agentId) ?? 0) + 1;
    versions.set(agentId, version);
    const who = { agentId, version, commandId: uuidv7(), at: new Date().toISOString(), by: 'sam', reason: 'a test' };
    const data = permissionEventSchema.parse({ ...who, ...fact });
    const event = writeEvent(EVENTS.permissionEvent, { id: uuidv7(), source: '/test', subject: agentId, data });
    await bus.publish([{ topic: TOPICS.permissionEvents.name, key: agentId, ...event }]);
  }

  function grant(agentId: string, grantId: string): Promise<void> {
    return happens(agentId, {
      event: 'PermissionGranted',
      ...{ grantId, permission: 'unlock', constraints: {}, uses: null, approvedBy: ['sam'] },
      ...{ expiresAt: new Date(Date.now() + DAY_MS).toISOString(), charterDigest: 'a'.repeat(64) },
    });
  }

  /** Cuts of everything there is, once that has left the window. */
  async function cutAll(views: Views): Promise<void> {
    const until = Date.now();
    await sleep(WINDOW_MS + 10);
    const writer = new PermissionStateWriter(bus, views.cuts() ?? new Map());
    for (const partition of new Set(AGENTS.map((agentId) => partitionOfAgent(agentId)))) {
      const cut = views.permissions.cutAt(partition, until);
      if (cut === undefined) throw new Error(`nothing is known of partition ${String(partition)}`);
      await writer.write(partition, cut);
    }
  }

  function authorities(views: Views): string[] {
    return AGENTS.map((agentId) => {
      const authority = views.permissions.latest(agentId);
      return authority === undefined ? '' : canonicalJson(authorityToSnapshot(authority));
    });
  }

  /** What a view knows at every event of the last partition positions, as an intent judged there would find it. */
  function known(views: Views, from: ReadonlyMap<string, number>): string[] {
    return AGENTS.flatMap((agentId) => {
      const end = views.permissions.positions()[partitionOfAgent(agentId)] ?? 0;
      const first = from.get(agentId) ?? 0;
      return Array.from({ length: end - first + 1 }, (_, index) => {
        const at = views.permissions.at(agentId, first + index);
        return at?.state === undefined ? 'nothing' : canonicalJson(authorityToSnapshot(at.state));
      });
    });
  }

  it('a process that starts from cuts knows what one knows that has read everything, and goes on alike', async () => {
    for (const agentId of AGENTS) await grant(agentId, `${agentId}-1`);
    await happens('ann', { event: 'AgentSuspended' });
    const whole = await startViews();
    await cutAll(whole);
    const cutPositions = new Map(
      AGENTS.map((agentId) => [agentId, whole.permissions.positions()[partitionOfAgent(agentId)] ?? 0]),
    );
    await happens('ann', { event: 'AgentReinstated' });
    await grant('bob', 'bob-2');
    const begun = await startViews();
    expect([...(begun.cuts()?.keys() ?? [])].sort()).toEqual(
      [...new Set(AGENTS.map((agentId) => partitionOfAgent(agentId)))].sort(),
    );
    expect(begun.permissions.size().read).toBe(2);
    await happens('cid', { event: 'AgentSuspended' });
    for (const views of [whole, begun]) expect(await views.catchUp(WAIT_MS)).toBe(true);
    expect(authorities(begun)).toEqual(authorities(whole));
    expect(known(begun, cutPositions)).toEqual(known(whole, cutPositions));
    expect(begun.permissions.latest('cid')?.status).toBe('suspended');
  });

  it('cuts and snapshots of another format are not believed: what they hold is read from the log', async () => {
    await grant('ann', 'ann-2');
    const whole = await startViews();
    await cutAll(whole);
    const written = (await readTopic(bus, TOPICS.permissionState.name)).map(
      ({ topic, partition, key, value, headers }): OutgoingMessage => ({
        ...{ topic, partition, key },
        // as a version wrote it to which these members meant something else
        value: String(value)
          .replace(AUTHORITY_SNAPSHOT_FORMAT, 'authority/another')
          .replaceAll('"status":"granted"', '"status":"expired","endedAt":1'),
        headers: { 'content-type': headers['content-type'] as Buffer },
      }),
    );
    expect(written.length).toBeGreaterThan(0);
    await bus.publish(written);
    const views = await startViews();
    expect(views.cuts()?.size).toBe(0);
    expect(authorities(views)).toEqual(authorities(whole));
    expect(views.permissions.latest('ann')?.grants.get('ann-2')?.status).toBe('granted');
  });

  it('an intent that a stalled process kept is judged by another as of its own time, and decided once', async () => {
    await activateCharterText(bus, CHARTER);
    const group = `judging.${uuidv7()}`;
    const topics = [TOPICS.agentActions.name];
    const read = Promise.withResolvers<undefined>();
    const goOn = Promise.withResolvers<undefined>();
    const judge = async (): Promise<BatchHandler> =>
      createSegment(
        { layers: LAYERS, engine: 'test', viewWaitMs: WAIT_MS },
        await startViews({ authorityWindowMs: 900_000 }),
      );
    const stalling = await judge();
    const stalled = another();
    const before = (await decisions()).length;
    await stalled.consume({ group, topics }, async (batch) => {
      const result = await stalling(batch);
      read.resolve(undefined);
      await goOn.promise;
      return result;
    });
    const intents = [uuidv7(), uuidv7()] as const;
    await intend(intents[0]);
    await read.promise;
    await happens('ann', { event: 'AgentSuspended' });
    await sleep(2);
    await intend(intents[1]);
    await another().consume({ group, topics }, await judge());
    await eventually(async () => (await decisions()).length >= before + 2);
    goOn.resolve(undefined);
    await stalled.close();
    const made = (await decisions()).slice(before);
    const of = (intentId: string): Decision[] => made.filter((decision) => decision.intentId === intentId);
    expect(new Set(of(intents[0]).map(({ outcome }) => outcome))).toEqual(new Set(['allow']));
    expect(new Set(of(intents[0]).map((decision) => canonicalJson(decision))).size).toBe(1);
    expect(of(intents[1]).map(({ outcome }) => outcome)).toEqual(['deny']);
  });

  async function intend(intentId: string): Promise<void> {
    const data = { intentId, agentId: 'ann', action: { type: 'read', target: 'desk' } };
    const event = writeEvent(EVENTS.intent, { id: intentId, source: '/test', subject: 'ann', data });
    await bus.publish([{ topic: TOPICS.agentActions.name, key: 'ann', ...event }]);
  }

  async function decisions(): Promise<Decision[]> {
    return (await readTopic(bus, TOPICS.agentDecisions.name)).map((message: ReceivedMessage) => {
      const reading = readEvent(EVENTS.decision, message);
      if (!reading.ok) throw new Error(reading.reason);
      return reading.event.data;
    });
  }
});
