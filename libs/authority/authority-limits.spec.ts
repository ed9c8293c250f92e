import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import { MAX_HOLDS, MAX_OPEN_FOR_ASKING, permissionCommandSchema } from '#domain';
import { CHARTER_WINDOW_MS } from '#segment';
import { AuthorityWorld, busWith, enforcedReasons, eventually, storeWith } from '#testing';
import { MAX_LETTERS_PER_MINUTE } from './request-handler.js';

const AGENT = 'clerk';
const MINUTE = 60_000;

const CHARTER = `
charter: limits
stage: enforce
decision_ttl: 30s
classifications: [public, internal]
systems:
  desk: { classification: internal }
agents:
  ${AGENT}: { scope: { actions: ['*'], systems: [desk] } }
  other: { scope: { actions: ['*'], systems: [desk] } }
permissions:
  change: { max_duration: 1h, approvals: { count: 1, role: operations } }
policies:
  - id: changes
    severity: critical
    scope: { actions: [update] }
    violated_when: 'true'
    effect: hold
    unless_granted: change
    reason: somebody has to look at it
`;

describe('an agent that floods', () => {
  let world: AuthorityWorld;

  beforeEach(async () => {
    world = new AuthorityWorld();
    await world.open(CHARTER);
  });

  afterEach(() => world.close());

  function ask(agentId: string, id: string) {
    const data = {
      ask: 'RequestPermission' as const,
      ...{ agentId, id, reason: 'more, please', needs: ['change'] },
      ...{ durationMs: MINUTE, uses: 1, waitMs: 5 * MINUTE },
    };
    const event = writeEvent(EVENTS.permissionRequest, { id, source: '/test', subject: agentId, data });
    return { topic: TOPICS.permissionRequests.name, key: agentId, ...event };
  }

  /** All of these, and one that cannot be read behind them: when its letter is there, they have been handled. */
  async function handledAll(key: string, messages: readonly ReturnType<typeof ask>[]): Promise<string[]> {
    await world.publish(...messages, { topic: TOPICS.permissionRequests.name, key, value: '{' });
    let codes: string[] = [];
    await eventually(async () => {
      codes = (await world.deadLetters(1)).map(({ code }) => code);
      return codes.includes('REMIT_EVENT_NOT_JSON');
    });
    return codes.filter((code) => code !== 'REMIT_EVENT_NOT_JSON');
  }

  const asks = (agentId: string, count: number) =>
    Array.from({ length: count }, (_, index) => ask(agentId, `ask-${String(index)}`));

  it('has as many requests open as it may, and of the rest nothing is stored', async () => {
    const { store } = await world.start();
    const codes = await handledAll(AGENT, asks(AGENT, 600));
    expect((await store.readStream(AGENT)).version).toBe(MAX_OPEN_FOR_ASKING);
    expect(await world.events()).toHaveLength(MAX_OPEN_FOR_ASKING);
    expect(codes).toEqual(new Array(MAX_LETTERS_PER_MINUTE).fill('REMIT_PERMISSION_TOO_MANY_OPEN'));
  });

  it('is refused without a question to the store for each of its requests', async () => {
    let reads = 0;
    await world.start({
      store: (store) =>
        storeWith(store, {
          readStream: (stream, after) => {
            reads += 1;
            return store.readStream(stream, after);
          },
        }),
    });
    await handledAll(AGENT, asks(AGENT, 600));
    expect(reads).toBeLessThan(2 * MAX_OPEN_FOR_ASKING);
  });

  it('may ask again once a request of its has ended', async () => {
    const { store, views } = await world.start();
    await handledAll(AGENT, asks(AGENT, 100));
    const requestId = (await world.eventsNamed('PermissionRequested', 1)).at(0)?.requestId;
    const ended = await world.order({
      command: 'RejectRequest',
      agentId: AGENT,
      by: 'sam',
      roles: ['operations'],
      requestId,
    });
    expect(ended.map(({ event }) => event)).toEqual(['PermissionRejected']);
    const { version } = await store.readStream(AGENT);
    await eventually(() => Promise.resolve(views.permissions.latest(AGENT)?.version === version));
    await world.publish(ask(AGENT, 'one-more'));
    await world.eventsNamed('PermissionRequested', MAX_OPEN_FOR_ASKING + 1);
    expect((await store.readStream(AGENT)).version).toBe(version + 1);
  });

  it('gets an answer it has had already again some times, not as often as it likes', async () => {
    const { store } = await world.start();
    await handledAll(AGENT, new Array(400).fill(ask(AGENT, 'the-same')));
    expect((await store.readStream(AGENT)).version).toBe(1);
    expect((await world.messages(TOPICS.permissionEvents)).length).toBeLessThan(25);
  });

  it('leaves nothing behind where the charter does not know it, whatever names it makes up', async () => {
    const { store, views } = await world.start();
    const names = Array.from({ length: 200 }, (_, index) => `ghost-${String(index)}`);
    await world.publish(...names.map((name) => ask(name, 'ask')));
    const codes = await handledAll('ghost', asks('ghost', 200));
    expect(new Set(codes)).toEqual(new Set(['REMIT_PERMISSION_AGENT_UNKNOWN']));
    expect(codes.length).toBeLessThanOrEqual(2 * MAX_LETTERS_PER_MINUTE);
    expect(await store.streams({ limit: 10 })).toEqual([]);
    expect(await world.messages(TOPICS.permissionEvents)).toEqual([]);
    expect([...views.permissions.keys()]).toEqual([]);
  });

  it('keeps no person waiting: what people order is done while all that it asks for is still queued', async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    await world.start({
      store: (store) =>
        storeWith(store, {
          append: async (stream, append) => {
            if (append.commandId.startsWith('agent:')) await released;
            return store.append(stream, append);
          },
        }),
    });
    await world.publish(...asks(AGENT, 100), ...asks('other', 100));
    for (const agentId of ['other', AGENT]) {
      const done = await world.order({ command: 'SuspendAgent', agentId, by: 'sam' });
      expect(done.map(({ event }) => event)).toEqual(['AgentSuspended']);
    }
    expect((await world.events()).map(({ event }) => event)).not.toContain('PermissionRequested');
    release();
  });

  it('has no more actions held than it may: the rest is denied, each with its reason', async () => {
    await world.start();
    const changes = Array.from({ length: MAX_HOLDS + 5 }, (_, rate) => ({
      ...{ type: 'update', target: 'desk' },
      parameters: { rate },
    }));
    const intents = await world.proposeAtOnce(AGENT, changes);
    await world.eventsNamed('PermissionRequestCancelled', 5);
    const finals = await Promise.all(intents.slice(-5).map((intent) => world.decisionsOf(intent, 2)));
    for (const [first, last] of finals) {
      expect([first?.outcome, last?.outcome]).toEqual(['hold', 'deny']);
      expect(last && enforcedReasons(last)).toContain(`${String(MAX_HOLDS)} actions of the agent wait for approval`);
    }
    await world.settled();
    const next = await world.decide(AGENT, { type: 'update', target: 'desk' });
    expect([next.round, next.outcome]).toEqual([1, 'deny']);
    expect(enforcedReasons(next)).toContain(`${String(MAX_HOLDS)} actions of the agent wait for approval`);
    expect((await world.decide('other', { type: 'update', target: 'desk' })).outcome).toBe('hold');
  });
});

describe('an agent whose actions are all held', () => {
  let world: AuthorityWorld;

  beforeEach(async () => {
    world = new AuthorityWorld();
    await world.open(CHARTER);
  });

  afterEach(() => world.close());

  it('takes one turn of publishing for all of them that are read at once, not one for each', async () => {
    const HELD = 100;
    let turns = 0;
    // what decides is not there yet: the holds of both agents queue up
    const judging = await world.start({ runtime: false });
    for (const agentId of [AGENT, 'other']) {
      const actions = Array.from({ length: agentId === AGENT ? HELD : 1 }, (_, rate) => ({
        ...{ type: 'update', target: 'desk', parameters: { rate } },
      }));
      for (const intent of await world.proposeAtOnce(agentId, actions)) await world.decisionsOf(intent, 1);
    }
    await judging.stop();
    await world.start({
      store: (store) =>
        storeWith(store, {
          publishTurn: (stream, turn, publish) => {
            if (stream === AGENT && turn.whenBusy === 'wait') turns += 1;
            return store.publishTurn(stream, turn, publish);
          },
        }),
    });
    const opened = await world.eventsNamed('PermissionRequested', HELD + 1);
    expect(opened.filter(({ agentId }) => agentId === 'other')).toHaveLength(1);
    expect(turns).toBeLessThan(HELD / 10);
  });
});

describe('while the charter cannot be read as far as it goes', () => {
  let world: AuthorityWorld;

  beforeEach(async () => {
    world = new AuthorityWorld();
    await world.open(CHARTER);
  });

  afterEach(() => world.close());

  it('an agent is suspended and its grants are taken back all the same', async () => {
    const known = Promise.withResolvers<undefined>();
    const replica = await world.start({
      spoilBus: (bus) =>
        busWith(bus, {
          ends: async (topics: readonly string[]) => {
            if (topics.includes(TOPICS.charterEvents.name)) await known.promise;
            return bus.ends(topics);
          },
        }),
    });
    for (const command of ['RevokeAllGrants', 'SuspendAgent'])
      await world.order({ command, agentId: AGENT, by: 'sam' });
    expect(await replica.views.catchUp(MINUTE)).toBe(true);
    expect(replica.views.permissions.latest(AGENT)?.status).toBe('suspended');
    known.resolve(undefined);
  });
});

describe('what was appended before the oldest charter that is kept', () => {
  let world: AuthorityWorld;

  beforeEach(async () => {
    world = new AuthorityWorld();
    await world.open(CHARTER);
  });

  afterEach(() => world.close());

  const command = (fields: Record<string, unknown>) =>
    permissionCommandSchema.parse({ agentId: AGENT, by: 'sam', reason: 'as the test says', ...fields });

  it('is not decided as if no charter had been in force, and a suspension still counts', async () => {
    const grant = {
      command: 'GrantPermission',
      permission: 'change',
      durationMs: MINUTE,
      uses: 1,
      roles: ['operations'],
    };
    for (const data of [
      command({ ...grant, commandId: 'a-grant' }),
      command({ command: 'SuspendAgent', commandId: 'a-suspension' }),
    ]) {
      await world.send(EVENTS.permissionCommand, TOPICS.permissionCommands, AGENT, data);
    }
    await world.send(EVENTS.permissionRequest, TOPICS.permissionRequests, AGENT, {
      ask: 'RequestPermission',
      ...{ agentId: AGENT, id: 'ask', reason: 'more, please', needs: ['change'] },
      ...{ durationMs: MINUTE, uses: 1, waitMs: MINUTE },
    });
    world.turnOn(2 * CHARTER_WINDOW_MS);
    await world.activate(CHARTER);
    await world.start();
    const letters = await world.deadLetters(2);
    expect(letters.map(({ code }) => code)).toEqual(new Array(2).fill('REMIT_COMMAND_CHARTER_NOT_KEPT'));
    expect((await world.eventsNamed('AgentSuspended')).map(({ agentId }) => agentId)).toEqual([AGENT]);
    expect((await world.events()).map(({ event }) => event)).toEqual(['AgentSuspended']);
  });
});
