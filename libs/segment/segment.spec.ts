import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { MemoryBus, MemoryLog, type Bus, type BusReport, type ReceivedMessage } from '#bus';
import { EVENTS, readEvent, sha256, TOPICS, writeEvent } from '#contracts';
import {
  canonicalJson,
  checkCharter,
  LAYERS,
  limitedGrantsOf,
  type Decision,
  type Intent,
  type Layer,
  type PermissionEvent,
} from '#domain';
import { eventually } from '#testing';
import { createSegment, inputTopicOf, type ReserveUse } from './segment.js';
import { AUTHORITY_WINDOW_MS, CHARTER_KEY, createViews } from './views.js';

const ENGINE = 'remit/test';
const AGENT = 'reporter';

function charterText(never: string): string {
  return [
    'charter: segments',
    'stage: enforce',
    'decision_ttl: 30s',
    'classifications: [public, internal]',
    'systems:',
    '  reporting: { classification: internal }',
    'boundaries:',
    `  - { id: action-restriction, never: [${never}] }`,
    'agents:',
    `  ${AGENT}: { owner: tests, purpose: report, scope: { actions: [read, export, transfer], systems: [reporting] } }`,
    'permissions: { transferring: { required_for: { actions: [transfer] } } }',
  ].join('\n');
}

/** Long enough for any machine; batches that do not have to wait do not. */
const VIEW_WAIT_MS = 60_000;

/** Views that read nothing while they are stalled. */
class Stall {
  stalled = true;
  readonly reports: BusReport[] = [];

  /** The bus of a process whose views can be stalled; what its consumers report is kept. */
  bus(log: MemoryLog): Bus {
    const bus = new MemoryBus(log, { log: (report) => this.reports.push(report) });
    const follow = bus.follow.bind(bus);
    bus.follow = (options, onMessages) =>
      follow(options, (messages, position) => {
        if (this.stalled && messages.length > 0) throw new Error('stalled');
        onMessages(messages, position);
      });
    return bus;
  }

  /** How often a batch was refused because views were behind. */
  refusals(): number {
    return this.reports.filter(({ message }) => message.includes('have not been read far enough')).length;
  }
}

/** The whole of Remit's judging on one in-memory log whose clock the test turns. */
class World {
  now = Date.UTC(2026, 10, 3, 12);
  readonly log = new MemoryLog(() => this.now);
  readonly #bus: Bus = this.bus();
  readonly #stops: (() => Promise<void>)[] = [];

  bus(): Bus {
    return new MemoryBus(this.log);
  }

  async open(): Promise<void> {
    await this.#bus.ensureTopics(Object.values(TOPICS));
  }

  async close(): Promise<void> {
    for (const stop of this.#stops.reverse()) await stop();
    await this.#bus.close();
  }

  /** A process that judges with these layers. `stalled`: its views read nothing yet. */
  async start(
    layers: readonly Layer[],
    group: string,
    {
      bus = this.bus(),
      viewWaitMs = VIEW_WAIT_MS,
      stalled = false,
      reserve,
      inDoubtUntil,
    }: {
      bus?: Bus;
      viewWaitMs?: number;
      stalled?: boolean;
      reserve?: ReserveUse;
      inDoubtUntil?: (() => number) | undefined;
    } = {},
  ): Promise<void> {
    const views = createViews(bus);
    const started = views.start();
    if (!stalled) await started;
    const segment = createSegment(
      { layers, engine: ENGINE, viewWaitMs, reserve, ...(inDoubtUntil && { inDoubtUntil }) },
      views,
    );
    const consumption = await bus.consume({ group, topics: [inputTopicOf(layers)] }, segment);
    this.#stops.push(async () => {
      await consumption.stop();
      await views.stop();
      await bus.close();
    });
  }

  /** The event's millisecond is over when this resolves, as with every acknowledged activation. */
  async activate(never: string): Promise<string> {
    const text = charterText(never);
    const checked = checkCharter(text, sha256);
    if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
    const { name, digest } = checked.charter;
    const event = writeEvent(EVENTS.charterEvent, {
      id: digest,
      source: '/test',
      subject: name,
      data: { event: 'CharterActivated', charter: name, digest, text, activatedBy: 'test' },
    });
    await this.#bus.publish([{ topic: TOPICS.charterEvents.name, key: CHARTER_KEY, ...event }]);
    this.now += 1;
    return digest;
  }

  async suspend(version: number, event: 'AgentSuspended' | 'AgentReinstated'): Promise<void> {
    const data = {
      event,
      agentId: AGENT,
      version,
      by: 'sam',
      reason: 'a test',
      commandId: uuidv7(),
      at: new Date(this.now).toISOString(),
    };
    const checked = EVENTS.permissionEvent.data.parse(data);
    const message = writeEvent(EVENTS.permissionEvent, {
      id: uuidv7(),
      source: '/test',
      subject: AGENT,
      data: checked,
    });
    await this.#bus.publish([{ topic: TOPICS.permissionEvents.name, key: AGENT, ...message }]);
    this.now += 1;
  }

  /** A grant for one use, under its own name. */
  async grantOnce(version: number, permission: string, charterDigest: string): Promise<void> {
    const at = new Date(this.now).toISOString();
    const stamp = { agentId: AGENT, version, by: 'sam', reason: 'a test', commandId: uuidv7(), at };
    const expiresAt = new Date(this.now + 3_600_000).toISOString();
    const terms = { constraints: {}, uses: 1, expiresAt, approvedBy: ['sam'], charterDigest };
    const data: PermissionEvent = { event: 'PermissionGranted', ...stamp, grantId: permission, permission, ...terms };
    const message = writeEvent(EVENTS.permissionEvent, { id: uuidv7(), source: '/test', subject: AGENT, data });
    await this.#bus.publish([{ topic: TOPICS.permissionEvents.name, key: AGENT, ...message }]);
    this.now += 1;
  }

  async propose(type: string, { key = AGENT, intentId = uuidv7() } = {}): Promise<void> {
    const intent: Intent = { intentId, agentId: AGENT, action: { type, target: 'reporting' } };
    const event = writeEvent(EVENTS.intent, { id: intent.intentId, source: '/test', subject: AGENT, data: intent });
    const headers = { ...event.headers, traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
    await this.#bus.publish([{ topic: TOPICS.agentActions.name, key, value: event.value, headers }]);
    this.now += 1;
  }

  /** Waits for `count` messages of a topic, and returns all of it. */
  async messages(topic: string, count: number): Promise<ReceivedMessage[]> {
    const all: ReceivedMessage[] = [];
    const following = await this.#bus.follow({ topics: [topic], from: 'start' }, (messages) => all.push(...messages));
    const ends = (await this.#bus.ends([topic])).get(topic) ?? [];
    await eventually(
      () =>
        all.length >=
        Math.max(
          count,
          ends.reduce((sum, end) => sum + end, 0),
        ),
    );
    await following.stop();
    expect(all).toHaveLength(count);
    return all;
  }

  async decisions(count: number): Promise<Decision[]> {
    return (await this.messages(TOPICS.agentDecisions.name, count)).map((message) => {
      const reading = readEvent(EVENTS.decision, message);
      if (!reading.ok) throw new Error(reading.reason);
      return reading.event.data;
    });
  }
}

function rulesOf({ verdicts }: Decision): string[] {
  return verdicts.flatMap(({ layer, findings }) => findings.map(({ rule }) => `${layer}/${rule}`));
}

describe('the pipeline', () => {
  let world: World;

  beforeEach(async () => {
    world = new World();
    await world.open();
  });

  afterEach(() => world.close());

  it('denies everything while no charter is active', async () => {
    await world.start(LAYERS, 'one');
    await world.propose('read');
    const [decision] = await world.decisions(1);
    expect(decision).toMatchObject({
      outcome: 'deny',
      stage: 'enforce',
      stamp: { charter: { digest: null, position: 0 } },
    });
    expect(rulesOf(decision as Decision)).toContain('boundary/no-active-charter');
  });

  it('decides alike as one segment, as four services, and cut in the middle', async () => {
    const proposals = ['read', 'export', 'drop', 'delete'].map((type) => ({ type, intentId: uuidv7() }));
    const shapes: Layer[][][] = [[[...LAYERS]], LAYERS.map((layer) => [layer]), [LAYERS.slice(0, 2), LAYERS.slice(2)]];
    const bodies: string[][] = [];
    for (const shape of shapes) {
      const own = new World();
      await own.open();
      await own.activate('drop');
      await own.suspend(1, 'AgentSuspended');
      await own.propose('read', { intentId: uuidv7() });
      await own.suspend(2, 'AgentReinstated');
      for (const { type, intentId } of proposals) await own.propose(type, { intentId });
      for (const layers of shape) await own.start(layers, layers.join());
      bodies.push((await own.decisions(1 + proposals.length)).slice(1).map(canonicalJson));
      await own.close();
    }
    expect(new Set(bodies[0]).size).toBe(proposals.length);
    expect(bodies[1]).toEqual(bodies[0]);
    expect(bodies[2]).toEqual(bodies[0]);
  });

  it('judges an intent by the charter appended before it, also when it is read long after', async () => {
    const before = await world.activate('drop');
    await world.propose('export');
    const after = await world.activate('export');
    await world.propose('export');
    await world.start(LAYERS, 'late');
    const decisions = await world.decisions(2);
    expect(decisions.map(({ outcome, stamp }) => [outcome, stamp.charter.digest])).toEqual([
      ['allow', before],
      ['deny', after],
    ]);
  });

  it('judges redelivered intents alike although the charter and the agent’s authority have changed since', async () => {
    await world.activate('drop');
    await world.propose('export');
    await world.start(LAYERS, 'first delivery');
    const [first] = await world.decisions(1);
    await world.activate('export');
    await world.suspend(1, 'AgentSuspended');
    await world.start(LAYERS, 'second delivery');
    const [, second] = await world.decisions(2);
    expect(canonicalJson(second)).toBe(canonicalJson(first));
  });

  it('binds every intent appended after a suspension, and none before', async () => {
    await world.activate('drop');
    await world.propose('read');
    await world.suspend(1, 'AgentSuspended');
    await world.propose('read');
    await world.suspend(2, 'AgentReinstated');
    await world.propose('read');
    await world.start(LAYERS, 'one');
    expect((await world.decisions(3)).map(({ outcome }) => outcome)).toEqual(['allow', 'deny', 'allow']);
  });

  const SHAPES: readonly { name: string; shape: readonly (readonly Layer[])[] }[] = [
    { name: 'in one segment', shape: [LAYERS] },
    { name: 'in four', shape: LAYERS.map((layer) => [layer]) },
  ];

  it.each(SHAPES)(
    'promise 1: while views are behind nothing is decided, and later one thing only, $name',
    async ({ shape }) => {
      await world.activate('drop');
      await world.suspend(1, 'AgentSuspended');
      await world.suspend(2, 'AgentReinstated');
      await world.propose('read');
      const stall = new Stall();
      for (const layers of shape) {
        const bus = stall.bus(world.log);
        await world.start(layers, `stalled ${layers.join()}`, { bus, viewWaitMs: 5, stalled: true });
      }
      await eventually(() => stall.refusals() >= 2);
      await world.decisions(0);
      stall.stalled = false;
      const [first] = await world.decisions(1);
      expect(first?.outcome).toBe('allow');
      for (const layers of shape) if (layers[0] === 'boundary') await world.start(layers, 'redelivered');
      const [, second] = await world.decisions(2);
      expect(canonicalJson(second)).toBe(canonicalJson(first));
    },
  );

  it('promise 3: an intent that makes judging itself fail is denied, and stops nobody', async () => {
    const digest = await world.activate('drop');
    await world.grantOnce(1, 'transferring', digest);
    await world.propose('read');
    await world.propose('transfer');
    await world.propose('read');
    const reserve = () => Promise.reject(new TypeError('Cannot read properties of undefined (reading secret)'));
    await world.start(LAYERS, 'failing', { reserve });
    const decisions = await world.decisions(3);
    expect(decisions.map(({ outcome }) => outcome)).toEqual(['allow', 'deny', 'allow']);
    const [, denied] = decisions;
    expect(rulesOf(denied as Decision)).toEqual(LAYERS.map((layer) => `${layer}/layer-error`));
    // the use is named, so that one that was set aside is set free by the denial
    expect(limitedGrantsOf(denied?.verdicts ?? [])).toEqual(['transferring']);
    expect(JSON.stringify(denied)).toContain('TypeError');
    expect(JSON.stringify(denied)).not.toContain('secret');
    expect(await world.messages(TOPICS.deadLetters.name, 0)).toEqual([]);
  });

  it.each(LAYERS.slice(1))('promise 1: nothing is decided while only the views of %s are behind', async (late) => {
    await world.activate('drop');
    const stall = new Stall();
    for (const layer of LAYERS) {
      if (layer !== late) await world.start([layer], layer);
      else await world.start([layer], layer, { bus: stall.bus(world.log), viewWaitMs: 5, stalled: true });
    }
    await world.propose('read');
    await eventually(() => stall.refusals() >= 2);
    await world.decisions(0);
    stall.stalled = false;
    const [decision] = await world.decisions(1);
    expect(decision?.outcome).toBe('allow');
  });

  it.each(SHAPES)('promise 3: what was in force so long ago that it is not kept denies, $name', async ({ shape }) => {
    await world.activate('drop');
    await world.suspend(1, 'AgentSuspended');
    await world.suspend(2, 'AgentReinstated');
    await world.propose('read');
    world.now += AUTHORITY_WINDOW_MS + 1;
    await world.suspend(3, 'AgentSuspended');
    for (const layers of shape) await world.start(layers, layers.join());
    const [message] = await world.messages(TOPICS.agentDecisions.name, 1);
    const [decision] = await world.decisions(1);
    expect(decision).toMatchObject({ outcome: 'deny', stamp: { notKept: true } });
    expect(rulesOf(decision as Decision)).toEqual(LAYERS.map((layer) => `${layer}/not-kept`));
    expect(message?.appendTime).toBeGreaterThan(Date.parse(decision?.validUntil ?? ''));
  });

  it('promise 3: what was appended while it was in doubt what is in force is denied, what comes after it is judged', async () => {
    await world.activate('drop');
    await world.propose('read');
    const inDoubtUntil = world.now;
    world.now += 10;
    await world.propose('read');
    await world.start(LAYERS, 'all', { inDoubtUntil: () => inDoubtUntil });
    const decisions = await world.decisions(2);
    expect(decisions.map(({ outcome, stamp }) => [outcome, stamp.notKept])).toEqual([
      ['deny', true],
      ['allow', undefined],
    ]);
    expect(rulesOf(decisions[0] as Decision)).toEqual(LAYERS.map((layer) => `${layer}/not-kept`));
  });

  it('promise 3: a later layer denies what was stamped before the log lost what the stamp names', async () => {
    await world.activate('drop');
    await world.propose('read');
    const inDoubtUntil = world.now;
    await world.start(['boundary'], 'boundary');
    await world.messages(TOPICS.boundaryChecked.name, 1);
    for (const layer of LAYERS.slice(1)) await world.start([layer], layer, { inDoubtUntil: () => inDoubtUntil });
    const [decision] = await world.decisions(1);
    expect(rulesOf(decision as Decision)).toEqual(LAYERS.slice(1).map((layer) => `${layer}/not-kept`));
  });

  it('promise 3: a later layer that no longer keeps what the stamp names denies', async () => {
    await world.activate('drop');
    await world.suspend(1, 'AgentSuspended');
    await world.suspend(2, 'AgentReinstated');
    await world.propose('read');
    await world.start(['boundary'], 'boundary');
    await world.messages(TOPICS.boundaryChecked.name, 1);
    await world.suspend(3, 'AgentSuspended');
    world.now += AUTHORITY_WINDOW_MS + 1;
    await world.suspend(4, 'AgentReinstated');
    for (const layer of LAYERS.slice(1)) await world.start([layer], layer);
    const [decision] = await world.decisions(1);
    expect(decision?.outcome).toBe('deny');
    expect(rulesOf(decision as Decision)).toEqual(LAYERS.slice(1).map((layer) => `${layer}/not-kept`));
  });

  it('puts aside an intent under another agent’s key, and goes on', async () => {
    await world.activate('drop');
    await world.start(LAYERS, 'one');
    await world.propose('read', { key: 'somebody-else' });
    await world.propose('read');
    await world.decisions(1);
    const [letter] = await world.messages(TOPICS.deadLetters.name, 1);
    const reading = readEvent(EVENTS.deadLetter, letter as ReceivedMessage);
    expect(reading).toMatchObject({ ok: true, event: { data: { code: 'REMIT_INTENT_KEY_MISMATCH' } } });
  });

  it('carries the trace context through untouched', async () => {
    await world.activate('drop');
    for (const layer of LAYERS) await world.start([layer], layer);
    await world.propose('read');
    const [decision] = await world.messages(TOPICS.agentDecisions.name, 1);
    expect(String(decision?.headers['traceparent'])).toBe('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
  });

  it('is a run of neighbours, or nothing', () => {
    const refused = expect.objectContaining({ code: 'REMIT_SEGMENT_LAYERS' });
    expect(() => inputTopicOf(['boundary', 'policy'])).toThrow(refused);
    expect(() => inputTopicOf([])).toThrow(refused);
  });
});
