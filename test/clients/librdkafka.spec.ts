import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { KafkaBus, type Following } from '#bus';
import { EVENTS, readEvent, TOPICS } from '#contracts';
import {
  activateCharterText,
  eventually,
  readDeadLetters,
  requireDatabaseUrl,
  requireKafka,
  startApp,
  untilReady,
  type RunningApp,
} from '#testing';

const AGENT = 'python-agent';
const INTENTS = 10_000;

const CHARTER = `
charter: clients
stage: enforce
decision_ttl: 5m
classifications: [public]
systems:
  reporting: { classification: public }
agents:
  ${AGENT}: { owner: test, purpose: test, scope: { actions: [read_costs], systems: [reporting] } }
`;

/** The Python of the environment that npm test has made; its client is in test/clients/requirements.txt. */
const { python } = globalThis as unknown as { readonly python: string };

describe('an agent on librdkafka, with every setting as it comes', () => {
  const backends = { brokers: requireKafka(), databaseUrl: requireDatabaseUrl() };
  const bus = new KafkaBus({ brokers: backends.brokers, topics: Object.values(TOPICS) });
  const allowed = new Set<string>();
  let app: RunningApp | undefined;
  let following: Following | undefined;

  beforeAll(async () => {
    await bus.ensureTopics(Object.values(TOPICS));
    await activateCharterText(bus, CHARTER);
    app = await startApp('standalone', backends);
    await untilReady([app]);
    following = await bus.follow({ topics: [TOPICS.agentDecisions.name], from: 'end' }, (messages) => {
      for (const message of messages) {
        const reading = readEvent(EVENTS.decision, message);
        if (!reading.ok || reading.event.data.agentId !== AGENT) continue;
        if (reading.event.data.outcome === 'allow') allowed.add(reading.event.data.intentId);
      }
    });
  });

  afterAll(async () => {
    await following?.stop();
    await app?.stop();
    await bus.close();
  });

  it('promise 12: sends ten thousand intents in one burst, and every one is taken and decided', async () => {
    const script = join(import.meta.dirname, 'burst.py');
    const to = [backends.brokers.join(','), TOPICS.agentActions.name, AGENT, String(INTENTS)];
    const { stdout } = await promisify(execFile)(python, [script, ...to]);
    const { outcomes } = JSON.parse(stdout) as { readonly outcomes: Record<string, number> };
    expect(outcomes).toEqual({ delivered: INTENTS });
    await eventually(() => allowed.size === INTENTS);
    // other specs have left letters of their own on this broker
    const key = Buffer.from(AGENT).toString('base64');
    const letters = await readDeadLetters(bus, TOPICS.deadLetters.name);
    expect(letters.filter((letter) => letter.key === key)).toEqual([]);
  });
});
