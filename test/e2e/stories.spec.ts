import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { KafkaBus } from '#bus';
import { TOPICS } from '#contracts';
import { foldChain, renderChain } from '#domain';
import { PostgresHistory, type History } from '#record';
import { devToken, readDevKey } from '#service';
import { DoorPeople, judgedStepsOf, loadStories, missingFromHistory, StoryPlayer, type PlayedStep } from '#stories';
import { ATTRIBUTES, SPAN_EVENTS, SPANS, Tracing } from '#telemetry';
import {
  activateCharterText,
  causesIn,
  depthOf,
  JUDGES,
  orphansOf,
  OtlpReceiver,
  requireDatabaseUrl,
  requireKafka,
  rootsOf,
  startApp,
  treeOf,
  untilReady,
  whoIsResponsibleTree,
  type AppName,
  type RunningApp,
  type SeenSpan,
  type Shape,
} from '#testing';

const ROOT = join(import.meta.dirname, '../..');
const SHAPES: Record<Shape, AppName[]> = {
  'one process': ['standalone'],
  'five services': ['boundary', 'permission', 'verifier', 'policy', 'audit'],
};
/** The leaves of the story "who is responsible?". */
const WHOLE_INCIDENT = { 'send agent.decisions': 4, 'send agent.outcomes': 3 };
const stories = loadStories(join(ROOT, 'test/stories'));
const played = new Map<string, PlayedStep[]>();

describe.each(Object.entries(SHAPES) as [Shape, AppName[]][])(
  'the stories, on a real broker, through %s',
  (shape, names) => {
    let bus: KafkaBus;
    let history: History;
    let player: StoryPlayer;
    let apps: RunningApp[] = [];
    let stateFolder: string;
    let collector: OtlpReceiver;
    let agents: Tracing;

    /** The spans of a chain, over all its traces, once there are as many of each name as said, and no orphans. */
    async function spansOfChain(chainId: string, wanted: Readonly<Record<string, number>>): Promise<SeenSpan[]> {
      const ofChain = (spans: readonly SeenSpan[]): SeenSpan[] => {
        const traces = new Set(
          spans.filter(({ attributes }) => attributes['remit.chain.id'] === chainId).map(({ traceId }) => traceId),
        );
        return spans.filter(({ traceId }) => traces.has(traceId));
      };
      const count = (spans: readonly SeenSpan[], name: string): number =>
        ofChain(spans).filter((span) => span.name === name).length;
      return ofChain(
        await collector.until(
          (spans) =>
            Object.entries(wanted).every(([name, least]) => count(spans, name) >= least) &&
            orphansOf(ofChain(spans)).length === 0,
        ),
      );
    }

    beforeAll(async () => {
      const backends = { brokers: requireKafka(), databaseUrl: requireDatabaseUrl() };
      bus = new KafkaBus({ brokers: backends.brokers, topics: Object.values(TOPICS), replicationFactor: 1 });
      await bus.ensureTopics(Object.values(TOPICS));
      history = await PostgresHistory.open(backends.databaseUrl);
      const text = readFileSync(join(ROOT, 'charters/fintech-production.yaml'), 'utf8');
      await activateCharterText(bus, text);
      stateFolder = mkdtempSync(join(tmpdir(), 'remit-e2e-'));
      collector = await OtlpReceiver.start();
      const { endpoint } = collector;
      const env = { REMIT_STATE_DIR: stateFolder, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint };
      apps = await Promise.all(names.map((name) => startApp(name, backends, env)));
      agents = new Tracing({ service: 'agents', version: '1', endpoint, sampling: { ratio: 1, keep: new Set() } });
      agents.registerGlobally();
      await untilReady(apps);
      const door = apps.find(({ name }) => name === 'standalone' || name === 'permission');
      const devKey = await readDevKey(stateFolder);
      const people = new DoorPeople(`http://127.0.0.1:${door?.port}`, (person, roles) =>
        devToken(devKey, { person, roles, now: Date.now(), lifetimeMs: 60_000 }),
      );
      player = new StoryPlayer(bus, people, ROOT, Date.now);
      await player.start();
    });

    afterAll(async () => {
      await player.stop();
      await Promise.all(apps.map((app) => app.stop()));
      await Promise.all([bus.close(), history.close(), agents.shutdown()]);
      await collector.stop();
      rmSync(stateFolder, { recursive: true });
    });

    it.each(stories)('$story: every decision is as the story says', async (story) => {
      const steps: PlayedStep[] = [];
      for await (const step of player.play(story)) steps.push(step);
      played.set(shape, [...(played.get(shape) ?? []), ...steps]);
      expect(steps.map(({ step, differences }) => ({ step, differences }))).toEqual(
        judgedStepsOf(story).map((step) => ({ step, differences: [] })),
      );
    });

    it('the record holds every message of every topic', async () => {
      expect(await missingFromHistory(bus, history, 120_000)).toEqual([]);
    });

    it('the chain names all three agents, with trigger and proven causes', async () => {
      const chainId = played.get(shape)?.find((step) => step.story === 'who is responsible?')?.chainId ?? '';
      const tree = renderChain(foldChain(chainId, (await history.chain(chainId)).events));
      for (const agent of ['TriageAgent', 'DiagnosisAgent', 'RemediationAgent']) expect(tree).toContain(agent);
      expect(tree).toContain('checkout is slow');
      expect(tree).toContain('proven');
      expect(tree).toContain('action-restriction');
    });

    it('one trace shows the chain: every agent, layer and decision, one root, no orphan, as the record says', async () => {
      const chainId = played.get(shape)?.find((step) => step.story === 'who is responsible?')?.chainId ?? '';
      const spans = await spansOfChain(chainId, WHOLE_INCIDENT);
      expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
      expect(orphansOf(spans)).toEqual([]);
      expect(rootsOf(spans)).toHaveLength(1);
      expect(treeOf(spans)).toEqual(whoIsResponsibleTree(JUDGES[shape]));
      expect(depthOf(spans)).toBeLessThanOrEqual(17);
      const recorded = foldChain(chainId, (await history.chain(chainId)).events);
      expect(causesIn(spans)).toEqual(
        recorded.actions.map(({ intentId, cause }) => ({ intentId, cause: cause?.intentId ?? null })),
      );
    });

    it('a denial is an error in the trace, with the rule and its reason, and can be found by agent, outcome and rule', async () => {
      const chainId = played.get(shape)?.find((step) => step.story === 'who is responsible?')?.chainId ?? '';
      const spans = await spansOfChain(chainId, WHOLE_INCIDENT);
      const denied = spans.filter(({ attributes }) => attributes['remit.outcome'] === 'deny');
      expect(denied.map(({ name }) => name).sort()).toEqual(
        [JUDGES[shape].spans.at(-1)?.split(': ')[1], 'send agent.decisions'].sort(),
      );
      for (const { attributes, error } of denied) {
        expect(attributes).toMatchObject({
          'agent.id': 'RemediationAgent',
          'remit.rule': 'action-restriction',
          'remit.chain.id': chainId,
        });
        expect(error).toMatch(/^boundary\/action-restriction: .*drop/);
      }
      const findings = spans.flatMap(({ events }) => events.filter(({ name }) => name === 'remit.finding'));
      expect(findings.map(({ attributes }) => `${attributes['remit.layer']}/${attributes['remit.rule']}`)).toEqual(
        expect.arrayContaining(['boundary/action-restriction', 'verification/intended-scope']),
      );
    });

    it('an action is linked to the decision that authorised it, also across a second round in a trace of its own', async () => {
      const step = played.get(shape)?.find(({ step }) => step === 'the same change, approved by two');
      const spans = await spansOfChain(step?.chainId ?? '', {
        'send agent.decisions': 2,
        'send agent.outcomes': 1,
        'process agent.decisions': 1,
      });
      const named = (name: string): SeenSpan[] => spans.filter((span) => span.name === name);
      const [held, allowed] = ['hold', 'allow'].map((outcome) =>
        named('send agent.decisions').find(({ attributes }) => attributes['remit.outcome'] === outcome),
      );
      const [executed] = named('execute_tool update');
      const second = named('send agent.actions').find(({ attributes }) => attributes['remit.round'] === 2);
      const first = named('send agent.actions').find(({ attributes }) => attributes['remit.round'] === 1);
      expect(executed?.links).toEqual([{ traceId: allowed?.traceId, spanId: allowed?.spanId }]);
      expect(second?.links).toEqual([{ traceId: first?.traceId, spanId: first?.spanId }]);
      expect(second?.traceId).toBe(allowed?.traceId);
      expect(first?.traceId).toBe(held?.traceId);
      expect(first?.traceId).toBe(executed?.traceId);
      expect(second?.traceId).not.toBe(first?.traceId);
      expect(named('process agent.decisions').map(({ parentId }) => parentId)).toEqual([held?.spanId]);
    });

    it('no span carries what an action is done with, or for whom', () => {
      const said = JSON.stringify(collector.spans);
      expect(said).toContain('remit.intent.id');
      for (const secret of ['EUR/USD', 'maria']) expect(said).not.toContain(secret);
    });

    it('every name in a span is in the table, and every name in the table is in a span', async () => {
      const names = (wanted: Record<string, { name: string }>): string[] =>
        Object.values(wanted).map(({ name }) => name);
      // attributes of links are not looked at here; nothing here comes from the record
      const elsewhere: string[] = [ATTRIBUTES.linkIs.name, ATTRIBUTES.fromRecord.name, ATTRIBUTES.contentErased.name];
      const listed = names(ATTRIBUTES).filter((name) => !elsewhere.includes(name));
      const used = (spans: readonly SeenSpan[]): Set<string> =>
        new Set(
          spans.flatMap(({ attributes, events }) => [
            ...Object.keys(attributes),
            ...events.flatMap((event) => Object.keys(event.attributes)),
          ]),
        );
      await collector.until((spans) => listed.every((name) => used(spans).has(name)));
      expect([...used(collector.spans)].sort()).toEqual(listed.sort());
      expect(new Set(collector.spans.flatMap(({ events }) => events.map(({ name }) => name)))).toEqual(
        new Set(names(SPAN_EVENTS)),
      );
      const patterns = names(SPANS).map((name) => new RegExp(`^${name.replaceAll(/\{[^}]*\}/g, '\\S+')}$`));
      const unlisted = collector.spans.filter(({ name }) => !patterns.some((pattern) => pattern.test(name)));
      expect(unlisted.map(({ name }) => name)).toEqual([]);
    });

    it('a process asked to stop ends by itself, cleanly', async () => {
      const codes = await Promise.all(apps.map((app) => app.stop('SIGTERM')));
      expect(codes).toEqual(apps.map(() => 0));
    });
  },
);

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
