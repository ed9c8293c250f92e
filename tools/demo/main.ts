import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { KafkaBus } from '#bus';
import { loadConfig, type Config } from '#config';
import { TOPICS } from '#contracts';
import { foldChain, renderChain } from '#domain';
import { PostgresHistory, readChainEvidence } from '#record';
import { devToken, readDevKey, VERSION } from '#service';
import { DoorPeople, loadStories, missingFromHistory, StoryPlayer, type PlayedStep } from '#stories';
import { Tracing } from '#telemetry';
import { howToGoOn, storyTable } from './report.js';

const ROOT = join(import.meta.dirname, '../../..');
const AUDIT_WITHIN_MS = 120_000;
const TOKEN_LIFETIME_MS = 60_000;

/**
 * Plays every story against the running system and says what Remit decided. Succeeds only if each decision is as its
 * story says and the record holds every message of every topic.
 */
async function demo(json: boolean): Promise<boolean> {
  const config = loadConfig();
  const topics = Object.values(TOPICS);
  const bus = new KafkaBus({
    brokers: config.kafkaBrokers,
    security: config.kafkaSecurity,
    topics,
    replicationFactor: config.replicationFactor,
  });
  const history = await PostgresHistory.open(config.databaseUrl);
  const { stateFolder } = config;
  if (stateFolder === undefined)
    throw new Error('REMIT_DEMO_NO_STATE: REMIT_STATE_DIR must name the folder of the dev key');
  const devKey = await readDevKey(stateFolder);
  const people = new DoorPeople(config.doorUrl, (person, roles) =>
    devToken(devKey, { person, roles, now: Date.now(), lifetimeMs: TOKEN_LIFETIME_MS }),
  );
  const tracing = traceAgents(config);
  const player = new StoryPlayer(bus, people, ROOT, Date.now);
  const played: PlayedStep[] = [];
  try {
    await player.start();
    for (const story of loadStories(join(ROOT, 'test/stories'))) {
      for await (const step of player.play(story)) {
        played.push(step);
        if (json) process.stdout.write(`${JSON.stringify(rowOf(step))}\n`);
        else process.stderr.write(step.differences.length === 0 ? '.' : '!');
      }
    }
    await player.stop();
    const missing = await missingFromHistory(bus, history, AUDIT_WITHIN_MS);
    const asTold = played.every((step) => step.differences.length === 0);

    if (!json) {
      process.stderr.write('\n');
      process.stdout.write(`${storyTable(played)}\n\n`);
      const chainId = played.find((step) => step.story === 'who is responsible?')?.chainId;
      if (chainId !== undefined) {
        process.stdout.write(`Who is responsible? \`remit chain ${chainId}\`, from the record:\n\n`);
        const { events } = await history.chain(chainId);
        const tree = foldChain(chainId, events, await readChainEvidence(history, events));
        process.stdout.write(`${renderChain(tree)}\n\n`);
      }
      const stored = [...(await history.count()).values()].reduce((sum, count) => sum + count, 0);
      process.stdout.write(`${howToGoOn(played, stored, missing)}\n`);
    }
    for (const step of played.filter(({ differences }) => differences.length > 0)) {
      process.stderr.write(`${step.story} / ${step.step}: ${step.differences.join('; ')}\n`);
    }
    for (const gap of missing) process.stderr.write(`not in the record: ${gap}\n`);
    return asTold && missing.length === 0;
  } finally {
    await Promise.all([bus.close(), history.close(), tracing?.shutdown()]);
  }
}

/** The agents of the stories trace as agents do that have OpenTelemetry, where there is a collector. */
function traceAgents({ tracing }: Config): Tracing | undefined {
  if (tracing === undefined) return undefined;
  const agents = new Tracing({ service: 'agents', version: VERSION, ...tracing });
  agents.registerGlobally();
  return agents;
}

function rowOf({ story, step, agent, action, outcome, wouldBe, findings, ms }: PlayedStep): object {
  return { story, step, agent, action, outcome, wouldBe, findings, ms: Math.round(ms * 10) / 10 };
}

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
process.exitCode = (await demo(values.json)) ? 0 : 1;
