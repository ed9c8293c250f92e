import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { KafkaBus, type Following, type OutgoingHeaders, type ReceivedMessage } from '#bus';
import { EVENTS, readEvent, TOPICS, writeEvent } from '#contracts';
import { type Decision } from '#domain';
import {
  activateCharterText,
  eventually,
  readExposition,
  startApp,
  untilReady,
  type ExposedSample,
  type RunningApp,
} from '#testing';
import { startOwnBroker, type OwnBroker } from './own-broker.js';
import { createOwnDatabase, type OwnDatabase } from './own-database.js';

const AGENTS = ['clerk', 'courier', 'cashier', 'porter'];

const CHARTER = [
  'charter: telemetry-faults',
  'stage: enforce',
  'classifications: [public]',
  'systems: { ledger: { classification: public } }',
  'boundaries:',
  '  - { id: action-restriction, never: [drop] }',
  'agents:',
  ...AGENTS.map(
    (agent) => `  ${agent}: { owner: tests, purpose: keep books, scope: { actions: [read], systems: [ledger] } }`,
  ),
].join('\n');

/** What no span and no line of the log may contain. */
const SECRET = 'Baggage4711Hunter2';
const MANY = 1000;
const FLOOD = 3000;
/** A minute on a busy machine; only what hangs fails. */
const FLOOD_MS = 900_000;
/** The heap of each thread may not grow beyond this: one whose heap does ends. At rest it is about 74 MiB. */
const HEAP_MIB = 144;
const LONG_HEADER = 2000;
/** One sending may take a day: a process that waited for it would not end while its test lasts. */
const PATIENT = { OTEL_EXPORTER_OTLP_TIMEOUT: '86400000' };

let sequence = 0;

/** A span context of its own, sampled. */
function sampled(): string {
  sequence += 1;
  const id = sequence.toString(16);
  return `00-${id.padStart(32, '0')}-${id.padStart(16, '0')}-01`;
}

/** An address that takes connections, and reads nothing of what comes. */
interface Deaf {
  readonly endpoint: string;
  close(): void;
}

async function startDeaf(): Promise<Deaf> {
  const sockets = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    // whoever gives up resets the connection
    sockets.add(socket.on('error', () => sockets.delete(socket)));
  });
  const endpoint = await listening(server);
  return {
    endpoint,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A collector that answers 503 until it is well, and then keeps what it takes. */
class AilingCollector {
  isWell = false;
  readonly #taken: Buffer[] = [];
  readonly #server = createHttpServer((incoming, answer) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      if (this.isWell) this.#taken.push(...chunks);
      answer.writeHead(this.isWell ? 200 : 503).end();
    });
  });

  /** The base address to configure as `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  start(): Promise<string> {
    return listening(this.#server);
  }

  /** All spans so far, as the bytes they came in. */
  taken(): Buffer {
    return Buffer.concat(this.#taken);
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

function listening(server: Server | HttpServer): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
    });
  });
}

/** Every byte there is, control characters among them, for 8 kB around a secret. */
function controlCharacters(name: string): Buffer {
  const noise = Buffer.from(Array.from({ length: 4096 }, (_, n) => n % 256));
  return Buffer.concat([noise, Buffer.from(`${name}=${SECRET}`), noise]);
}

const BAGGAGE = Buffer.from(`remit.outcome=deny,password=${SECRET}`);
const MANY_ENTRIES = Array.from({ length: 2000 }, (_, n) => `key${String(n)}=${SECRET}`);

/** What agents may write where a trace context belongs. */
function hostileHeaders(): readonly OutgoingHeaders[] {
  const traceparent = sampled();
  return [
    { traceparent: `garbage ${SECRET}`, tracestate: SECRET, baggage: BAGGAGE },
    { traceparent: Buffer.alloc(10_240, '00-'), baggage: BAGGAGE },
    { traceparent: `${traceparent}${'-00'.repeat(3000)}`, baggage: BAGGAGE },
    { traceparent: [Buffer.from(sampled()), Buffer.from(sampled())], baggage: BAGGAGE },
    { traceparent: Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28, 0x0a, 0x22, 0x7d]), baggage: BAGGAGE },
    { traceparent: '', tracestate: '', baggage: Buffer.alloc(0) },
    { traceparent: sampled(), tracestate: controlCharacters('vendor'), baggage: controlCharacters('user') },
    { traceparent: sampled(), baggage: Buffer.from(MANY_ENTRIES.join(',')) },
    { traceparent: sampled(), baggage: MANY_ENTRIES.slice(0, 1200).map((entry) => Buffer.from(entry)) },
  ];
}

describe('promise 10: a collector that fails hurts nobody', () => {
  let folder: string;
  let broker: OwnBroker;
  let database: OwnDatabase;
  let bus: KafkaBus;
  let following: Following;
  let deaf: Deaf;
  const ailing = new AilingCollector();
  const apps: RunningApp[] = [];
  const decided = new Map<string, ReceivedMessage>();
  /** Intents by agent: as they lie on the log, and in the order in which they were first decided. */
  const intended = new Map<string, string[]>(AGENTS.map((agent) => [agent, []]));
  const order = new Map<string, string[]>(AGENTS.map((agent) => [agent, []]));

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'remit-telemetry-faults-'));
    deaf = await startDeaf();
    database = await createOwnDatabase();
    broker = await startOwnBroker();
    bus = new KafkaBus({ brokers: [broker.address], topics: Object.values(TOPICS), replicationFactor: 1 });
    await bus.ensureTopics(Object.values(TOPICS));
    await activateCharterText(bus, CHARTER);
    following = await bus.follow({ topics: [TOPICS.agentDecisions.name], from: 'start' }, (messages) => {
      for (const message of messages) {
        const { agentId, intentId } = decisionIn(message);
        if (decided.has(intentId)) continue;
        decided.set(intentId, message);
        order.get(agentId)?.push(intentId);
      }
    });
  });

  afterAll(async () => {
    for (const app of apps) app.process.kill('SIGKILL');
    deaf.close();
    ailing.stop();
    await following.stop();
    await bus.close();
    await database.drop();
    await broker.remove();
    rmSync(folder, { recursive: true });
  });

  async function started(env: Record<string, string>): Promise<RunningApp> {
    const app = await startApp(
      'standalone',
      { brokers: [broker.address], databaseUrl: database.url },
      {
        REMIT_RECORD_KEYS: join(folder, 'keys'),
        REMIT_STATE_DIR: join(folder, 'state'),
        LOG_LEVEL: 'debug',
        NODE_OPTIONS: `--max-old-space-size=${String(HEAP_MIB)}`,
        ...env,
      },
    );
    apps.push(app);
    await untilReady([app]);
    return app;
  }

  /** Puts intents on the log, one for each of these headers. */
  async function intend(all: readonly OutgoingHeaders[], agents: readonly string[]): Promise<readonly string[]> {
    const messages = all.map((headers, n) => {
      const agentId = agents[n % agents.length] as string;
      const intentId = uuidv7();
      const data = { intentId, agentId, action: { type: 'read', target: 'ledger' } };
      const event = writeEvent(EVENTS.intent, { id: intentId, source: '/spec', subject: agentId, data });
      intended.get(agentId)?.push(intentId);
      const message = { topic: TOPICS.agentActions.name, key: agentId, value: event.value };
      return { intentId, message: { ...message, headers: { ...headers, ...event.headers } } };
    });
    for (let at = 0; at < messages.length; at += 500) {
      await bus.publish(messages.slice(at, at + 500).map(({ message }) => message));
    }
    return messages.map(({ intentId }) => intentId);
  }

  /**
   * Every intent is decided, once and in order, by a process that is alive all the while and ready afterwards. Not ready all the
   * while: on a machine that gives it no turn for a session, its groups are divided anew.
   */
  async function judgesAll(
    app: RunningApp,
    all: readonly OutgoingHeaders[],
    agents = AGENTS,
  ): Promise<readonly ReceivedMessage[]> {
    const statuses = new Set<number>();
    const ids = await intend(all, agents);
    await eventually(async () => {
      if (app.process.exitCode !== null || app.process.signalCode !== null) throw new Error(app.output());
      statuses.add(await app.liveStatus());
      await sleep(25);
      return ids.every((id) => decided.has(id));
    });
    expect([...statuses]).toEqual([200]);
    await eventually(async () => (await app.readyStatus()) === 200);
    expect(order).toEqual(intended);
    return ids.map((id) => decided.get(id) as ReceivedMessage);
  }

  async function samples(app: RunningApp, family: string): Promise<readonly ExposedSample[]> {
    const answer = await fetch(`http://127.0.0.1:${String(app.port)}/metrics`, {
      headers: { accept: 'application/openmetrics-text; version=1.0.0' },
    });
    return readExposition(await answer.text(), 'openmetrics').find(({ name }) => name === family)?.samples ?? [];
  }

  async function total(app: RunningApp, family: string, labels: Readonly<Record<string, string>> = {}) {
    const found = (await samples(app, family)).filter((sample) =>
      Object.entries(labels).every(([name, value]) => sample.labels[name] === value),
    );
    return found.reduce((sum, { value }) => sum + value, 0);
  }

  const dropped = (app: RunningApp, reason: 'not-sent' | 'not-taken') =>
    total(app, 'remit_spans_dropped', { remit_reason: reason });
  const exported = (app: RunningApp) => total(app, 'remit_spans_exported');
  /** Of the thread with the largest heap: each has one of its own, and the limit is for each. */
  async function heapMiB(app: RunningApp): Promise<number> {
    const used = new Map<string, number>();
    for (const { labels, value } of await samples(app, 'v8js_memory_heap_used_bytes')) {
      const thread = labels['thread_name'] ?? 'main';
      used.set(thread, (used.get(thread) ?? 0) + value);
    }
    return Math.max(...used.values()) / 2 ** 20;
  }

  /** Nothing is left to be stored. Checkpoints are on the log themselves: of those there may always be one more. */
  async function untilRecorded(app: RunningApp): Promise<void> {
    await eventually(async () => {
      const lags = (await samples(app, 'remit_audit_lag')).filter(
        ({ labels }) => labels['messaging_destination_name'] !== TOPICS.auditCheckpoints.name,
      );
      return lags.length > 0 && lags.every(({ value }) => value === 0);
    });
  }

  /** Ends while spans are waiting for a collector that takes none; how soon is shown in libs/telemetry/tracing.spec.ts. */
  async function ends(app: RunningApp): Promise<void> {
    await judgesAll(app, many(100));
    await untilRecorded(app);
    expect(await app.stop('SIGTERM')).toBe(0);
  }

  it('where nobody listens: all is judged, what is lost is counted, and the process ends', async () => {
    const app = await started({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
    await judgesAll(app, many(MANY));
    await eventually(async () => (await dropped(app, 'not-taken')) > 0);
    expect(await exported(app)).toBe(0);
    await ends(app);
  });

  it(
    'that takes connections and hears nothing: all is judged, with bounded memory',
    async () => {
      const app = await started({ OTEL_EXPORTER_OTLP_ENDPOINT: deaf.endpoint });
      await judgesAll(app, many(MANY));
      // one agent, every intent of a trace of its own, with a header that says far more than ids
      const flood = Array.from({ length: FLOOD }, () => ({
        traceparent: `01${sampled().slice(2)}-${'x'.repeat(LONG_HEADER)}`,
      }));
      await judgesAll(app, flood, AGENTS.slice(0, 1));
      await eventually(async () => (await dropped(app, 'not-taken')) > 0);
      expect(await exported(app)).toBe(0);
      // its heap may not grow beyond that, and it lives
      expect(await heapMiB(app)).toBeLessThan(HEAP_MIB);
      await ends(app);
    },
    FLOOD_MS,
  );

  it('that takes connections and hears nothing: a process ends without waiting for it', async () => {
    const app = await started({ OTEL_EXPORTER_OTLP_ENDPOINT: deaf.endpoint, ...PATIENT });
    await ends(app);
  });

  describe('that answers 503', () => {
    let app: RunningApp;

    it('first: all is judged, and what is lost is counted', async () => {
      app = await started({ OTEL_EXPORTER_OTLP_ENDPOINT: await ailing.start() });
      await judgesAll(app, many(MANY));
      await eventually(async () => (await dropped(app, 'not-taken')) > 0);
      expect(await exported(app)).toBe(0);
    });

    it('and then is well: it gets spans again, without a restart', async () => {
      ailing.isWell = true;
      await judgesAll(app, many(100));
      await eventually(async () => (await exported(app)) > 0);
      const before = await exported(app);
      await eventually(async () => {
        await judgesAll(app, many(100));
        return (await exported(app)) >= before + 200;
      });
    });

    it('or not: whatever agents write into trace headers, intents are decided alike, and baggage goes on unread', async () => {
      const agents = AGENTS.slice(0, 1);
      const [plain] = await judgesAll(app, many(1), agents);
      const hostile = hostileHeaders();
      const decisions = await judgesAll(app, hostile, agents);
      for (const [index, message] of decisions.entries()) {
        expect(judgementIn(message)).toEqual(judgementIn(plain as ReceivedMessage));
        expect(bytesOf(message.headers['baggage'])).toEqual(bytesOf(hostile[index]?.['baggage']));
        expect(String(message.headers['traceparent'])).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
      }
      const withState = hostile.findIndex(({ tracestate }) => tracestate instanceof Buffer);
      expect(decisions[withState]?.headers['tracestate']).toEqual(hostile[withState]?.['tracestate']);
      const ids = decisions.map((message) => decisionIn(message).intentId);
      await eventually(() => ids.every((id) => ailing.taken().includes(id)));
      expect(ailing.taken().includes(SECRET)).toBe(false);
      await untilRecorded(app);
      expect(app.output()).toContain('"level":"debug"');
      expect(app.output()).not.toContain(SECRET);
    });

    it('again: the process ends', async () => {
      ailing.isWell = false;
      await ends(app);
    });
  });
});

function many(count: number): OutgoingHeaders[] {
  return Array.from({ length: count }, () => ({ traceparent: sampled() }));
}

function judgementIn(message: ReceivedMessage): Pick<Decision, 'outcome' | 'wouldBe' | 'stage' | 'verdicts'> {
  const { outcome, wouldBe, stage, verdicts } = decisionIn(message);
  return { outcome, wouldBe, stage, verdicts };
}

/** Every value of a header, however it was given. */
function bytesOf(value: OutgoingHeaders[string] | undefined): Buffer[] {
  if (value === undefined) return [];
  if (typeof value === 'string') return [Buffer.from(value)];
  return Buffer.isBuffer(value) ? [value] : [...value];
}

function decisionIn(message: ReceivedMessage): Decision {
  const reading = readEvent(EVENTS.decision, message);
  if (!reading.ok) throw new Error(reading.reason);
  return reading.event.data;
}
