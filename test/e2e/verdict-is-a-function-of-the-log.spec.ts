import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { KafkaBus, type OutgoingMessage, type PublishedMessage, type ReceivedMessage } from '#bus';
import { EVENTS, readEvent, TOPICS, writeEvent } from '#contracts';
import { canonicalJson, effectiveDecision, type CharterEvent, type Decision, type Intent } from '#domain';
import {
  activateCharterText,
  readTopic,
  requireDatabaseUrl,
  requireKafka,
  startApp,
  untilReady,
  type RunningApp,
} from '#testing';

const AGENTS = Array.from({ length: 24 }, (_, index) => `swap-agent-${String(index)}`);
const INTENTS = 6_000;
const SWAPS = 12;

/** Two charters that differ in one thing: whether `export` is out of bounds. */
function charterText(name: string, never: string): string {
  const agents = AGENTS.map(
    (id) => `  ${id}: { owner: test, purpose: test, scope: { actions: [export], systems: [ledger] } }`,
  );
  return [
    `charter: ${name}`,
    'stage: enforce',
    'decision_ttl: 5m',
    'classifications: [public, internal]',
    'systems:',
    '  ledger: { classification: internal }',
    'boundaries:',
    `  - { id: action-restriction, never: [${never}] }`,
    'agents:',
    ...agents,
  ].join('\n');
}

interface LoggedDecision {
  readonly decision: Decision;
  readonly appendTime: number;
  readonly offset: number;
}

describe('a verdict is a function of the log', () => {
  const backends = { brokers: requireKafka(), databaseUrl: requireDatabaseUrl() };
  const bus = new KafkaBus({ brokers: backends.brokers, topics: Object.values(TOPICS), replicationFactor: 1 });
  const activations: { at: number; digest: string }[] = [];
  const decided = new Map<string, LoggedDecision[]>();
  const sent = new Map<string, PublishedMessage>();
  let replicas: RunningApp[] = [];
  let stopFollowing: (() => Promise<void>) | undefined;

  async function activate(name: string, never: string): Promise<void> {
    const text = charterText(name, never);
    await activateCharterText(bus, text);
  }

  function keepDecision(message: ReceivedMessage): void {
    const reading = readEvent(EVENTS.decision, message);
    if (!reading.ok) throw new Error(reading.reason);
    const { intentId } = reading.event.data;
    const known = decided.get(intentId) ?? [];
    known.push({ decision: reading.event.data, appendTime: message.logTime, offset: message.offset });
    decided.set(intentId, known);
  }

  function keepActivation(message: ReceivedMessage): void {
    const reading = readEvent(EVENTS.charterEvent, message);
    if (!reading.ok) throw new Error(reading.reason);
    const event: CharterEvent = reading.event.data;
    activations.push({ at: message.logTime, digest: event.digest });
  }

  beforeAll(async () => {
    await bus.ensureTopics(Object.values(TOPICS));
    await activate('permissive', 'wipe');
    replicas = await Promise.all([startApp('standalone', backends), startApp('standalone', backends)]);
    await untilReady(replicas);
    const following = await bus.follow({ topics: [TOPICS.agentDecisions.name], from: 'end' }, (messages) =>
      messages.forEach(keepDecision),
    );
    stopFollowing = () => following.stop();

    const chunk = INTENTS / SWAPS;
    for (let swap = 0; swap < SWAPS; swap += 1) {
      const intents = Array.from({ length: chunk }, (_, index) => intentOf(swap * chunk + index));
      const half = chunk / 2;
      await publishIntents(intents.slice(0, half));
      const rest = publishIntents(intents.slice(half));
      if (swap % 2 === 0) await activate('strict', 'export');
      else await activate('permissive', 'wipe');
      await rest;
      if (swap === 5) await killWithoutWarning();
    }
    await untilAllDecided();
    for (const message of await readTopic(bus, TOPICS.charterEvents.name)) keepActivation(message);
  }, 900_000);

  afterAll(async () => {
    await stopFollowing?.();
    await Promise.all(replicas.map((replica) => replica.stop()));
    await bus.close();
  });

  function intentOf(index: number): Intent {
    return {
      intentId: uuidv7(),
      agentId: AGENTS[index % AGENTS.length] ?? '',
      action: { type: 'export', target: 'ledger', parameters: { index } },
    };
  }

  async function publishIntents(intents: readonly Intent[]): Promise<void> {
    const messages = intents.map((intent): OutgoingMessage => {
      const event = writeEvent(EVENTS.intent, {
        id: intent.intentId,
        source: '/test',
        subject: intent.agentId,
        data: intent,
      });
      return { topic: TOPICS.agentActions.name, key: intent.agentId, ...event };
    });
    const positions = await bus.publish(messages);
    intents.forEach((intent, index) => {
      const position = positions[index];
      if (position !== undefined) sent.set(intent.intentId, position);
    });
  }

  async function killWithoutWarning(): Promise<void> {
    const victim = replicas[0];
    await victim?.stop('SIGKILL');
    const replacement = await startApp('standalone', backends);
    replicas = [replacement, ...replicas.slice(1)];
  }

  async function untilAllDecided(): Promise<void> {
    const deadline = performance.now() + 600_000;
    while ([...sent.keys()].some((intentId) => !decided.has(intentId))) {
      if (performance.now() > deadline) {
        const open = [...sent.keys()].filter((intentId) => !decided.has(intentId)).length;
        throw new Error(`${String(open)} of ${String(sent.size)} intents without a decision`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  it('kill -9 of a replica loses no intent: each has an effective decision', () => {
    expect(sent.size).toBe(INTENTS);
    for (const intentId of sent.keys()) {
      expect(effectiveDecision(decided.get(intentId) ?? [])).toBeDefined();
    }
  });

  it('each intent is judged by the charter in force before its append, whichever replica judged it', () => {
    for (const [intentId, position] of sent) {
      const logged = decided.get(intentId)?.[0];
      const judgedAt = Date.parse(logged?.decision.stamp.judgedAt ?? '');
      expect(judgedAt).toBeGreaterThanOrEqual(position.appendTime);
      const inForce = activations.filter(({ at }) => at < judgedAt).at(-1);
      expect(logged?.decision.stamp.charter.digest).toBe(inForce?.digest);
    }
  });

  it('both charters decided some of the stream', () => {
    const outcomes = [...decided.values()].map(([first]) => first?.decision.outcome);
    expect(outcomes.filter((outcome) => outcome === 'allow').length).toBeGreaterThan(0);
    expect(outcomes.filter((outcome) => outcome === 'deny').length).toBeGreaterThan(0);
  });

  it('an intent judged again after the crash got the same decision, byte for byte', () => {
    const repeated = [...decided.values()].filter((logged) => logged.length > 1);
    for (const logged of repeated) {
      expect(new Set(logged.map(({ decision }) => canonicalJson(decision))).size).toBe(1);
    }
  });
});
