import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { KafkaBus } from '#bus';
import { sha256, TOPICS } from '#contracts';
import { checkCharter, foldChain, renderChain } from '#domain';
import { PostgresHistory, type History } from '#record';
import { activateCharter, devToken, readDevKey } from '#service';
import { DoorPeople, judgedStepsOf, loadStories, missingFromHistory, StoryPlayer, type PlayedStep } from '#stories';
import { requireDatabaseUrl, requireKafka, startApp, untilReady, type AppName, type RunningApp } from '#testing';

const ROOT = join(import.meta.dirname, '../..');
const SHAPES: Record<string, AppName[]> = {
  'one process': ['standalone'],
  'five services': ['boundary', 'permission', 'verifier', 'policy', 'audit'],
};
const stories = loadStories(join(ROOT, 'test/stories'));
const played = new Map<string, PlayedStep[]>();

describe.each(Object.entries(SHAPES))('the stories, on a real broker, through %s', (shape, names) => {
  let bus: KafkaBus;
  let history: History;
  let player: StoryPlayer;
  let apps: RunningApp[] = [];
  let stateFolder: string;

  beforeAll(async () => {
    const backends = { brokers: requireKafka(), databaseUrl: requireDatabaseUrl() };
    bus = new KafkaBus({ brokers: backends.brokers, topics: Object.values(TOPICS), replicationFactor: 1 });
    await bus.ensureTopics(Object.values(TOPICS));
    history = await PostgresHistory.open(backends.databaseUrl);
    const text = readFileSync(join(ROOT, 'charters/fintech-production.yaml'), 'utf8');
    const checked = checkCharter(text, sha256);
    if (!checked.ok) throw new Error('the first charter is refused');
    await activateCharter(bus, { text, charter: checked.charter, activatedBy: 'e2e' });
    stateFolder = mkdtempSync(join(tmpdir(), 'remit-e2e-'));
    apps = await Promise.all(names.map((name) => startApp(name, backends, { REMIT_STATE_DIR: stateFolder })));
    await untilReady(apps);
    const door = apps.find(({ name }) => name === 'standalone' || name === 'permission');
    const devKey = await readDevKey(stateFolder);
    const people = new DoorPeople(`http://127.0.0.1:${door?.port}`, (person, roles) =>
      devToken(devKey, { person, roles, now: Date.now(), lifetimeMs: 60_000 }),
    );
    player = new StoryPlayer(bus, people, ROOT, Date.now);
    await player.start();
  }, 120_000);

  afterAll(async () => {
    await player.stop();
    await Promise.all(apps.map((app) => app.stop()));
    await Promise.all([bus.close(), history.close()]);
    rmSync(stateFolder, { recursive: true });
  }, 60_000);

  it.each(stories)(
    '$story: every decision is as the story says',
    async (story) => {
      const steps: PlayedStep[] = [];
      for await (const step of player.play(story)) steps.push(step);
      played.set(shape, [...(played.get(shape) ?? []), ...steps]);
      expect(steps.map(({ step, differences }) => ({ step, differences }))).toEqual(
        judgedStepsOf(story).map((step) => ({ step, differences: [] })),
      );
    },
    60_000,
  );

  it('the record holds every message of every topic', async () => {
    expect(await missingFromHistory(bus, history, 20_000)).toEqual([]);
  }, 30_000);

  it('the chain names all three agents, with trigger and proven causes', async () => {
    const chainId = played.get(shape)?.find((step) => step.story === 'who is responsible?')?.chainId ?? '';
    const tree = renderChain(foldChain(chainId, await history.chain(chainId)));
    for (const agent of ['TriageAgent', 'DiagnosisAgent', 'RemediationAgent']) expect(tree).toContain(agent);
    expect(tree).toContain('checkout is slow');
    expect(tree).toContain('proven');
    expect(tree).toContain('action-restriction');
  });

  it('a process asked to stop ends by itself, cleanly', async () => {
    const codes = await Promise.all(apps.map((app) => app.stop('SIGTERM')));
    expect(codes).toEqual(apps.map(() => 0));
  }, 30_000);
});

describe('both shapes', () => {
  it('decide alike', () => {
    // not the reasons: they tell of grants that the first run has left behind, and of times
    const judgement = ({ step, outcome, wouldBe, findings }: PlayedStep): object => ({
      step,
      outcome,
      wouldBe,
      findings: findings.map(({ layer, rule, effect, enforced }) => ({ layer, rule, effect, enforced })),
    });
    const [one, other] = Object.keys(SHAPES).map((shape) => played.get(shape)?.map(judgement));
    expect(one).toEqual(other);
    expect(one).toHaveLength(stories.flatMap(judgedStepsOf).length);
  });
});
