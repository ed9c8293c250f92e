import { KafkaBus } from '#bus';
import type { Config } from '#config';
import { sha256, TOPICS } from '#contracts';
import { replayDecision } from '#domain';
import { PostgresHistory, recordedDecisions, replayRecord, TRUSTING_READER, type DecisionOnRecord } from '#record';
import { ENGINE } from '#service';
import { readTopic } from '#testing';
import { figure, median, type Figure } from './figure.js';
import { decideLive } from './throughput.js';

const ROUNDS = 3;
const INTENTS = 30_000;
const MESSAGES_PER_APPEND = 2_000;
const REPLAYED_TOPICS = [TOPICS.charterEvents, TOPICS.permissionEvents, TOPICS.agentActions, TOPICS.agentDecisions];

/**
 * Decides intents live, in one process on a real broker, records them, and replays that very record: out of the
 * database, and with all facts in memory already. Every replayed decision must be identical, or there is no figure.
 */
export async function measureReplay(
  config: Pick<Config, 'kafkaBrokers' | 'databaseUrl'>,
  progress: (line: string) => void,
): Promise<Figure[]> {
  const bus = new KafkaBus({ brokers: config.kafkaBrokers, topics: Object.values(TOPICS), replicationFactor: 1 });
  const history = await PostgresHistory.open(config.databaseUrl);
  try {
    await bus.ensureTopics(Object.values(TOPICS));
    const from = Date.now();
    const live = await decideLive(bus, config.kafkaBrokers, INTENTS);
    progress(`live: ${Math.round(live).toLocaleString('en')} decisions/s`);
    await record(bus, history);

    const [fromDatabase, inMemory]: [number[], number[]] = [[], []];
    for (let round = 1; round <= ROUNDS; round += 1) {
      fromDatabase.push(await replayedPerSecond(history, from));
      inMemory.push(judgedPerSecond(await factsOf(history, from)));
      progress(`round ${String(round)} of ${String(ROUNDS)}: ${Math.round(fromDatabase.at(-1) ?? 0)} replayed/s`);
    }
    const baseline = 'live pipeline, one process';
    return [
      figure('decisions replayed per second, from the record', median(fromDatabase), '1/s', baseline, live),
      figure('decisions replayed per second, facts in memory', median(inMemory), '1/s', baseline, live),
    ];
  } finally {
    await Promise.all([bus.close(), history.close()]);
  }
}

async function record(bus: KafkaBus, history: PostgresHistory): Promise<void> {
  for (const { name } of REPLAYED_TOPICS) {
    const messages = await readTopic(bus, name);
    for (let at = 0; at < messages.length; at += MESSAGES_PER_APPEND) {
      await history.append(messages.slice(at, at + MESSAGES_PER_APPEND));
    }
  }
}

async function replayedPerSecond(history: PostgresHistory, from: number): Promise<number> {
  const began = performance.now();
  const report = await replayRecord(history, { from }, { engine: ENGINE, sha256 });
  const seconds = (performance.now() - began) / 1000;
  if (report.decisions === 0 || report.identical !== report.decisions) {
    throw new Error(`${String(report.identical)} of ${String(report.decisions)} decisions are identical`);
  }
  return report.decisions / seconds;
}

async function factsOf(history: PostgresHistory, from: number): Promise<DecisionOnRecord[]> {
  const facts: DecisionOnRecord[] = [];
  for await (const page of recordedDecisions(history, { from }, TRUSTING_READER)) facts.push(...page);
  return facts;
}

function judgedPerSecond(facts: readonly DecisionOnRecord[]): number {
  const began = performance.now();
  for (const one of facts) {
    if (!('recorded' in one)) throw new Error(one.missing);
    const { standing } = replayDecision(one.recorded, { engine: ENGINE, sha256 });
    if (standing !== 'identical') throw new Error(standing);
  }
  return facts.length / ((performance.now() - began) / 1000);
}
