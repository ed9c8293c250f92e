import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { v7 as uuidv7 } from 'uuid';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import { untilReady } from '#testing';
import { startWorld, until, type World } from '../chaos/world.js';
import { asIntruder } from '../integration/own-database.js';
import { figure, type Figure } from './figure.js';

/** Intents with their decisions: as many entries as a day of two a second, both. */
const ENTRIES = 174_000;
const INTENTS_AT_ONCE = 3_000;
const IN_FLIGHT = 12_000;
const PER_SECOND = 100;
const MEASURED_MS = 20_000;
const PATIENCE_MS = 300_000;
/** Older than the watch lets anything be before it looks. */
const AGED = `interval '1 hour'`;

/** Every second intent is denied; of the others nothing is ever reported, so each is a discrepancy that must be opened. */
function intent(number: number) {
  const agentId = `chaos-agent-${String(number % 48)}`;
  const action = { type: number % 96 < 48 ? 'read' : 'wipe', target: 'ledger', parameters: { number } };
  const data = { intentId: uuidv7(), agentId, action };
  const { value, headers } = writeEvent(EVENTS.intent, { id: data.intentId, source: '/bench', subject: agentId, data });
  return { key: agentId, value, headers };
}

async function stored(world: World): Promise<number> {
  const [row] = await world.database.query(
    'SELECT count(*)::int AS count FROM record.history WHERE topic = ANY($1::text[])',
    [[TOPICS.agentActions.name, TOPICS.agentDecisions.name]],
  );
  return Number(row?.['count']);
}

async function fill(world: World, progress: (line: string) => void): Promise<void> {
  const kafka = new kafkajs.Kafka({ brokers: [...world.cluster.addresses], logLevel: kafkajs.logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await producer.connect();
  for (let number = 0; number < ENTRIES / 2; number += INTENTS_AT_ONCE) {
    const messages = Array.from({ length: INTENTS_AT_ONCE }, (_, i) => intent(number + i));
    await producer.send({ topic: TOPICS.agentActions.name, messages });
    const sent = number + INTENTS_AT_ONCE;
    await until(async () => 2 * sent - (await stored(world)) < 2 * IN_FLIGHT, PATIENCE_MS);
    if (sent % 15_000 === 0) progress(`${String(2 * sent)} of ${String(ENTRIES)} entries`);
  }
  await producer.disconnect();
  if ((await until(async () => (await stored(world)) >= ENTRIES, PATIENCE_MS)) === undefined)
    throw new Error(`the audit log holds ${String(await stored(world))} entries and not ${String(ENTRIES)}`);
}

/** One series of the process's metrics, by its name and a part of its labels. */
async function metric(world: World, name: string, label = ''): Promise<number | undefined> {
  const [app] = world.apps;
  const answer = await fetch(`http://127.0.0.1:${String(app?.port)}/metrics`).catch(() => undefined);
  const text = (await answer?.text()) ?? '';
  const line = text.split('\n').find((one) => one.startsWith(name) && one.includes(label));
  const value = line === undefined ? undefined : /^\S+ (\S+)/.exec(line)?.[1];
  return value === undefined ? undefined : Number(value);
}

interface Measured {
  /** From the intent's first attempt to the append of its decision, 99th percentile, ms. */
  readonly p99: number;
  /** Of the thread that judges, the mean of what each second had. */
  readonly utilization: number;
}

/** Decisions at a steady rate until `over`, at least {@link MEASURED_MS}. */
async function decisionsUntil(world: World, over: AbortSignal): Promise<Measured> {
  const { witness } = world;
  witness.beginRound();
  witness.begin(PER_SECOND);
  const utilizations: number[] = [];
  const began = performance.now();
  await metric(world, 'nodejs_eventloop_utilization_ratio', 'thread_name="main"');
  for (;;) {
    await sleep(1000);
    utilizations.push((await metric(world, 'nodejs_eventloop_utilization_ratio', 'thread_name="main"')) ?? 0);
    const passed = performance.now() - began;
    if (passed > PATIENCE_MS || (passed > MEASURED_MS && over.aborted)) break;
  }
  const { lost } = await witness.settle(PATIENCE_MS);
  if (lost > 0) throw new Error(`${String(lost)} intents have no decision`);
  const waits = witness.waitsMs().sort((one, other) => one - other);
  return {
    p99: waits[Math.ceil(waits.length * 0.99) - 1] ?? 0,
    utilization: utilizations.reduce((sum, one) => sum + one, 0) / utilizations.length,
  };
}

interface Start extends Measured {
  /** From the start of the process until the watch has got through what was there. */
  readonly seconds: number;
}

/** Starts the process, and decides until the watch has got through. */
async function start(world: World, progress: (line: string) => void): Promise<Start> {
  const began = performance.now();
  await untilReady([await world.startAnother()]);
  const look = new AbortController();
  const during = decisionsUntil(world, look.signal);
  // what is published meanwhile is not due yet
  const notDue = 2 * PER_SECOND * 120;
  await until(async () => ((await metric(world, 'remit_reconciliation_lag')) ?? Infinity) < notDue, PATIENCE_MS);
  const seconds = (performance.now() - began) / 1000;
  look.abort();
  if (seconds * 1000 > PATIENCE_MS) throw new Error('the watch has not got through');
  progress(`the watch has got through after ${seconds.toFixed(1)} s`);
  const measured = await during;
  await Promise.all(world.apps.splice(0).map((app) => app.stop()));
  return { ...measured, seconds };
}

/**
 * A start whose watch for discrepancies has a day to look at that it has not seen, and what decisions take beside it; each
 * beside a start whose watch goes on where it was.
 */
export async function measureFirstLook(databaseUrl: string, progress: (line: string) => void): Promise<Figure[]> {
  const world = await startWorld({ databaseUrl, progress, load: 0, logs: undefined }, { brokers: 1 });
  try {
    await fill(world, progress);
    await Promise.all(world.apps.splice(0).map((app) => app.stop()));
    await asIntruder(world.database, `UPDATE record.outline SET append_time = append_time - ${AGED}`);
    await asIntruder(world.database, `UPDATE record.history SET append_time = append_time - ${AGED}`);
    await asIntruder(world.database, 'DELETE FROM record.watch_state');
    await world.database.query('VACUUM ANALYZE');
    progress('a start with everything to look at');
    const first = await start(world, progress);
    progress('a start that goes on where the watch was');
    const next = await start(world, progress);
    const baseline = 'a start that goes on where it was';
    return [
      figure(
        `start and first look, ${ENTRIES.toLocaleString('en')} entries`,
        first.seconds,
        's',
        baseline,
        next.seconds,
      ),
      figure('p99 of a decision beside it, 100/s', first.p99, 'ms', baseline, next.p99),
      figure('utilization of the judging event loop', first.utilization, 'share', baseline, next.utilization),
    ];
  } finally {
    await world.close();
  }
}
