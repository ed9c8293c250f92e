import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { MemoryBus, MemoryLog, type Bus, type OutgoingMessage, type ReceivedMessage } from '#bus';
import { EVENTS, partitionOfAgent, TOPICS, writeEvent } from '#contracts';
import {
  AUTHORITY_SNAPSHOT_FORMAT,
  authorityToSnapshot,
  canonicalJson,
  permissionEventSchema,
  type PermissionEvent,
} from '#domain';
import { readTopic } from '#testing';
import { PermissionStateWriter } from './permission-state.js';
import { AUTHORITY_WINDOW_MS, createViews, type Views } from './views.js';

const AGENTS = ['ann', 'bob', 'cid'] as const;
const MINUTE_MS = 60_000;
const DIGEST = 'a'.repeat(64);

/** Permission events on an in-memory log whose clock the test turns. */
class World {
  now = Date.UTC(2026, 10, 3, 12);
  readonly bus: Bus = new MemoryBus(new MemoryLog(() => this.now));
  readonly #versions = new Map<string, number>();
  readonly #views: Views[] = [];

  async open(): Promise<void> {
    await this.bus.ensureTopics(Object.values(TOPICS));
  }

  async close(): Promise<void> {
    for (const views of this.#views) await views.stop();
    await this.bus.close();
  }

  async happens(agentId: string, ...facts: readonly Record<string, unknown>[]): Promise<void> {
    const messages = facts.map((fact): OutgoingMessage => {
      const version = (this.#versions.get(agentId) ?? 0) + 1;
      this.#versions.set(agentId, version);
      const at = new Date(this.now).toISOString();
      const who = { agentId, version, commandId: uuidv7(), at, by: 'sam', reason: 'a test' };
      const data: PermissionEvent = permissionEventSchema.parse({ ...who, ...fact });
      const event = writeEvent(EVENTS.permissionEvent, { id: uuidv7(), source: '/test', subject: agentId, data });
      return { topic: TOPICS.permissionEvents.name, key: agentId, ...event };
    });
    await this.bus.publish(messages);
  }

  grant(agentId: string, grantId: string, uses: number | null = null): Promise<void> {
    return this.happens(agentId, {
      event: 'PermissionGranted',
      grantId,
      permission: 'unlock',
      constraints: {},
      uses,
      expiresAt: new Date(this.now + 365 * 24 * 60 * MINUTE_MS).toISOString(),
      approvedBy: ['sam'],
      charterDigest: DIGEST,
    });
  }

  /** Uses of a grant from its reservation to its end, `atOnce` in every minute. */
  async use(agentId: string, grantId: string, count: number, atOnce: number): Promise<void> {
    for (let done = 0; done < count; done += atOnce) {
      const facts = Array.from({ length: atOnce }, () => {
        const use = { grantId, intentId: uuidv7(), actionDigest: DIGEST };
        return [
          { event: 'PermissionReserved', ...use },
          { event: 'PermissionUsed', ...use, decisionId: DIGEST },
        ];
      });
      await this.happens(agentId, ...facts.flat());
      this.now += MINUTE_MS;
    }
  }

  /** A process that starts now. */
  async views(): Promise<Views> {
    const views = createViews(this.bus);
    this.#views.push(views);
    await views.start();
    return views;
  }

  /** What a process that has the views writes, a while after the window. */
  async cut(views: Views, writer = new PermissionStateWriter(this.bus, views.cuts() ?? new Map())): Promise<void> {
    await views.catchUp(60_000);
    for (const partition of new Set(AGENTS.map((agentId) => partitionOfAgent(agentId)))) {
      const cut = views.permissions.cutAt(partition, this.now - AUTHORITY_WINDOW_MS);
      if (cut !== undefined) await writer.write(partition, cut);
    }
  }

  state(): Promise<ReceivedMessage[]> {
    return readTopic(this.bus, TOPICS.permissionState.name);
  }

  /** Puts a message of `permission.state` on the log once more, changed or as it was. */
  async again(
    message: ReceivedMessage | undefined,
    change: (text: string) => string | null = (text) => text,
  ): Promise<void> {
    if (message === undefined) throw new Error('there is no such message');
    const { topic, partition, key } = message;
    const headers = { 'content-type': message.headers['content-type'] as Buffer };
    await this.bus.publish([{ topic, partition, key, value: change(String(message.value)), headers }]);
  }
}

function authorities(views: Views): string[] {
  return AGENTS.map((agentId) => {
    const authority = views.permissions.latest(agentId);
    return authority === undefined ? '' : canonicalJson(authorityToSnapshot(authority));
  });
}

describe('a start from permission.state', () => {
  let world: World;

  beforeEach(async () => {
    world = new World();
    await world.open();
  });

  afterEach(() => world.close());

  /** Months of events, a cut, and what came since. */
  async function history(): Promise<Views> {
    for (const agentId of AGENTS) await world.grant(agentId, `${agentId}-1`);
    await world.happens('ann', { event: 'AgentSuspended' });
    world.now += AUTHORITY_WINDOW_MS + 1;
    await world.happens('ann', { event: 'AgentReinstated' });
    const views = await world.views();
    await world.cut(views);
    world.now += MINUTE_MS;
    await world.grant('bob', 'bob-2');
    await views.catchUp(60_000);
    return views;
  }

  async function expectSame(views: Views, whole: Views): Promise<void> {
    await whole.catchUp(60_000);
    expect(authorities(views)).toEqual(authorities(whole));
    for (const agentId of AGENTS) {
      for (let ago = 0; ago <= AUTHORITY_WINDOW_MS; ago += MINUTE_MS) {
        const [one, other] = [views, whole].map((each) => each.permissions.asOf(agentId, world.now - ago));
        expect(one?.position).toBe(other?.position);
        expect(one?.state && canonicalJson(authorityToSnapshot(one.state))).toBe(
          other?.state && canonicalJson(authorityToSnapshot(other.state)),
        );
      }
    }
  }

  it('reads only what came after the cut, and knows what one knows that has read everything', async () => {
    const whole = await history();
    const views = await world.views();
    expect(views.permissions.size().read).toBe(2);
    await expectSame(views, whole);
  });

  it('a million uses of one grant are a counter and what is in flight: neither memory nor start grows with them', async () => {
    await world.grant('ann', 'ann-1', 1_000_000);
    const views = await world.views();
    const sizes: { states: number; read: number; bytes: number }[] = [];
    for (const count of [2_000, 6_000]) {
      await world.use('ann', 'ann-1', count, 50);
      await world.happens('ann', { event: 'PermissionReviewClosed', grantId: 'ann-1' });
      await world.cut(views);
      const started = await world.views();
      const { states, read } = started.permissions.size();
      const snapshot = (await world.state()).findLast(({ key }) => key?.toString() === 'ann');
      sizes.push({ states, read, bytes: snapshot?.value?.length ?? 0 });
      expect(views.permissions.size().states).toBeLessThanOrEqual(2 * 50 * 18);
      expect(started.permissions.latest('ann')?.grants.get('ann-1')).toMatchObject({
        used: views.permissions.latest('ann')?.grants.get('ann-1')?.used,
      });
    }
    for (const { states, read, bytes } of sizes) {
      expect(states).toBeLessThanOrEqual(2 * 50 * 18);
      expect(read).toBeLessThanOrEqual(2 * 50 * 18);
      expect(bytes).toBeLessThan(2_000);
    }
    expect(views.permissions.latest('ann')?.grants.get('ann-1')?.used).toBe(8_000);
  });

  it('writes the agents that have changed, and no other', async () => {
    await history();
    world.now += AUTHORITY_WINDOW_MS + 1;
    await world.cut(await world.views());
    const agents = (await world.state()).map(({ key }) => key?.toString());
    // ann's return and bob's second grant have left the window; cid is as it was
    expect(AGENTS.map((agentId) => agents.filter((key) => key === agentId).length)).toEqual([2, 2, 1]);
  });

  it('goes on from the cut before when the writer died between its snapshots and the next cut', async () => {
    const whole = await history();
    world.now += AUTHORITY_WINDOW_MS + 1;
    const dying: Bus = Object.create(world.bus, {
      publish: {
        value: (messages: readonly OutgoingMessage[]) =>
          messages[0]?.key === '#cut' ? Promise.reject(new Error('killed')) : world.bus.publish(messages),
      },
    }) as Bus;
    const writer = new PermissionStateWriter(dying, (await world.views()).cuts() ?? new Map());
    await expect(world.cut(whole, writer)).rejects.toThrow('killed');
    await world.grant('cid', 'cid-2');
    const views = await world.views();
    expect(views.cuts()?.has(partitionOfAgent('ann'))).toBe(true);
    await expectSame(views, whole);
  });

  it.each<readonly [string, (spoil: World) => Promise<void>]>([
    [
      'an older snapshot lies over a newer one',
      async (spoil) => {
        const old = (await spoil.state()).find(({ key }) => key?.toString() === 'ann');
        spoil.now += AUTHORITY_WINDOW_MS + 1;
        await spoil.cut(await spoil.views());
        await spoil.again(old);
      },
    ],
    [
      'a snapshot is gone',
      async (spoil) => {
        await spoil.again(
          (await spoil.state()).find(({ key }) => key?.toString() === 'ann'),
          () => null,
        );
      },
    ],
    [
      'a snapshot cannot be read',
      async (spoil) => {
        await spoil.again(
          (await spoil.state()).find(({ key }) => key?.toString() === 'ann'),
          () => '{}',
        );
      },
    ],
    [
      'the snapshots are of another format',
      async (spoil) => {
        for (const message of await spoil.state()) {
          await spoil.again(message, (text) => text.replace(AUTHORITY_SNAPSHOT_FORMAT, 'authority/0'));
        }
      },
    ],
    [
      'the cut is younger than the window',
      async (spoil) => {
        const views = await spoil.views();
        const partition = partitionOfAgent('ann');
        const cut = views.permissions.cutAt(partition, spoil.now + 1);
        if (cut) await new PermissionStateWriter(spoil.bus, new Map()).write(partition, cut);
      },
    ],
  ])('reads from the start when %s', async (_, spoil) => {
    const whole = await history();
    await spoil(world);
    const views = await world.views();
    expect(views.cuts()?.has(partitionOfAgent('ann'))).toBe(false);
    await expectSame(views, whole);
  });
});
