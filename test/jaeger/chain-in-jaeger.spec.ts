import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { KafkaBus } from '#bus';
import { TOPICS } from '#contracts';
import { foldChain, type ChainTree } from '#domain';
import { PostgresHistory, type History } from '#record';
import { devToken, readDevKey } from '#service';
import { DoorPeople, loadStories, missingFromHistory, StoryPlayer, type PlayedStep } from '#stories';
import { Tracing } from '#telemetry';
import {
  activateCharterText,
  causesIn,
  depthOf,
  JUDGES,
  orphansOf,
  requireDatabaseUrl,
  requireJaeger,
  requireKafka,
  rootsOf,
  spansInJaeger,
  startApp,
  tracesInJaeger,
  treeOf,
  untilReady,
  whoIsResponsibleTree,
  type RunningApp,
  type SeenSpan,
} from '#testing';
import { until } from './planted-span.js';

const ROOT = join(import.meta.dirname, '../..');
const STORIES = ['who is responsible?', 'production data modification'];

describe('a chain through five services, in a real Jaeger', () => {
  const { queryUrl, otlpEndpoint: endpoint } = requireJaeger();
  const backends = { brokers: requireKafka(), databaseUrl: requireDatabaseUrl() };
  const stateFolder = mkdtempSync(join(tmpdir(), 'remit-jaeger-'));
  const played: PlayedStep[] = [];
  let bus: KafkaBus;
  let history: History;
  let apps: RunningApp[] = [];
  let agents: Tracing;

  beforeAll(async () => {
    bus = new KafkaBus({ brokers: backends.brokers, topics: Object.values(TOPICS), replicationFactor: 1 });
    await bus.ensureTopics(Object.values(TOPICS));
    history = await PostgresHistory.open(backends.databaseUrl);
    const text = readFileSync(join(ROOT, 'charters/fintech-production.yaml'), 'utf8');
    await activateCharterText(bus, text);
    const env = { REMIT_STATE_DIR: stateFolder, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint };
    const names = ['boundary', 'permission', 'verifier', 'policy', 'audit'] as const;
    apps = await Promise.all(names.map((name) => startApp(name, backends, env)));
    await untilReady(apps);
    agents = new Tracing({ service: 'agents', version: '1', endpoint, sampling: { ratio: 1, keep: new Set() } });
    agents.registerGlobally();
    const devKey = await readDevKey(stateFolder);
    const people = new DoorPeople(`http://127.0.0.1:${String(apps[1]?.port)}`, (person, roles) =>
      devToken(devKey, { person, roles, now: Date.now(), lifetimeMs: 60_000 }),
    );
    const player = new StoryPlayer(bus, people, ROOT, Date.now);
    await player.start();
    for (const story of loadStories(join(ROOT, 'test/stories')).filter((one) => STORIES.includes(one.story))) {
      for await (const step of player.play(story)) played.push(step);
    }
    await player.stop();
    await agents.flush();
    expect(await missingFromHistory(bus, history, 120_000)).toEqual([]);
  });

  afterAll(async () => {
    await Promise.all(apps.map((app) => app.stop()));
    await Promise.all([bus.close(), history.close(), agents.shutdown()]);
    rmSync(stateFolder, { recursive: true });
  });

  const chainOf = (story: string): string => played.find((step) => step.story === story)?.chainId ?? '';

  async function recorded(chainId: string): Promise<ChainTree> {
    return foldChain(chainId, (await history.chain(chainId)).events);
  }

  /** The chain's traces, whole: what Jaeger finds by the chain's id, once nothing of it is missing. */
  async function tracesOf(chainId: string, decisions: number): Promise<SeenSpan[][]> {
    return until(
      async () => {
        const ids = await tracesInJaeger(queryUrl, 'remit-policy', { 'remit.chain.id': chainId });
        return Promise.all(ids.map((id) => spansInJaeger(queryUrl, id)));
      },
      (traces) =>
        traces.flat().filter(({ name }) => name === 'send agent.decisions').length >= decisions &&
        traces.every((spans) => orphansOf(spans).length === 0),
    );
  }

  it('every story is decided as it says', () => {
    expect(played.filter(({ differences }) => differences.length > 0)).toEqual([]);
  });

  it('is one tree: all spans there, one root, no orphan, and the causes that the record holds', async () => {
    const chainId = chainOf('who is responsible?');
    const traces = await tracesOf(chainId, 4);
    expect(traces).toHaveLength(1);
    const [spans = []] = traces;
    expect(rootsOf(spans)).toHaveLength(1);
    expect(treeOf(spans)).toEqual(whoIsResponsibleTree(JUDGES['five services']));
    expect(depthOf(spans)).toBeLessThanOrEqual(17);
    const { actions } = await recorded(chainId);
    expect(causesIn(spans)).toEqual(
      actions.map(({ intentId, cause }) => ({ intentId, cause: cause?.intentId ?? null })),
    );
  });

  it.each([
    ['its agent and outcome', { 'agent.id': 'RemediationAgent', 'remit.outcome': 'deny' }],
    ['its rule', { 'remit.rule': 'action-restriction' }],
    ['a rule that came second', { 'agent.id': 'RemediationAgent', 'remit.rule': 'intended-scope' }],
  ])('is found by %s', async (_, tags) => {
    const [[first] = []] = await tracesOf(chainOf('who is responsible?'), 4);
    const found = await until(
      () =>
        tracesInJaeger(queryUrl, 'remit-policy', tags).then(async (decided) => [
          ...decided,
          ...(await tracesInJaeger(queryUrl, 'remit-verifier', tags)),
        ]),
      (ids) => ids.length > 0,
    );
    expect(found).toContain(first?.traceId);
  });

  it('shows a denial as an error with its reason', async () => {
    const [spans = []] = await tracesOf(chainOf('who is responsible?'), 4);
    const denied = spans.find(
      ({ name, attributes }) => name === 'send agent.decisions' && attributes['remit.outcome'] === 'deny',
    );
    expect(denied?.error).toMatch(/^boundary\/action-restriction: /);
  });

  it('leads from the approval’s trace to the held one and back, by link and by chain', async () => {
    const traces = await tracesOf(chainOf('production data modification'), 2);
    expect(traces).toHaveLength(2);
    const spans = traces.flat();
    const second = spans.find(
      ({ name, attributes }) => name === 'send agent.actions' && attributes['remit.round'] === 2,
    );
    const first = spans.find(
      ({ name, attributes }) => name === 'send agent.actions' && attributes['remit.round'] === 1,
    );
    const executed = spans.find(({ name }) => name === 'execute_tool update');
    expect(second?.links).toEqual([{ traceId: first?.traceId, spanId: first?.spanId }]);
    expect(executed?.links.map(({ traceId }) => traceId)).toEqual([second?.traceId]);
    expect(executed?.traceId).toBe(first?.traceId);
  });

  it('promise 10: a chain is told by `remit chain` with its links, and again from the record when every span is lost', async () => {
    const chainId = chainOf('who is responsible?');
    const remit = (...args: string[]): string => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [join(ROOT, 'dist/apps/cli/main.js'), 'chain', chainId, ...args],
        {
          encoding: 'utf8',
          env: {
            KAFKA_BROKERS: backends.brokers.join(','),
            DATABASE_URL: backends.databaseUrl,
            REMIT_JAEGER_URL: queryUrl,
          },
        },
      );
      if (status !== 0) throw new Error(stderr);
      return stdout;
    };
    const [[live] = []] = await tracesOf(chainId, 4);
    expect(remit()).toContain(`Jaeger: ${queryUrl}/trace/${live?.traceId ?? ''}`);

    const told = remit('--to-otlp', endpoint);
    const traceId = /trace\/([0-9a-f]{32})/.exec(told)?.[1] ?? '';
    expect(traceId).not.toBe(live?.traceId);
    const { actions } = await recorded(chainId);
    const sent = Number(new RegExp(`(\\d+) spans of ${chainId}`).exec(told)?.[1]);
    expect(sent).toBeGreaterThan(0);
    const spans = await until(
      () => spansInJaeger(queryUrl, traceId),
      (seen) => seen.length >= sent,
    );
    expect(spans).toHaveLength(sent);
    expect(rootsOf(spans)).toHaveLength(1);
    expect(orphansOf(spans)).toEqual([]);
    expect(causesIn(spans).map(({ intentId }) => intentId)).toEqual(actions.map(({ intentId }) => intentId));
    expect(rootsOf(spans)[0]?.began).toBe(actions[0]?.appendTime);
  });
});
