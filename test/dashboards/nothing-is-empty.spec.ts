import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RemitAgent } from '#agent';
import { KafkaBus } from '#bus';
import { loadConfig } from '#config';
import { TOPICS } from '#contracts';
import { devToken, readDevKey } from '#service';
import { charterTextOf, DoorPeople } from '#stories';
import { eventually, requireJaeger, requireKafka } from '#testing';
import { dashboards } from './deployed-queries.js';

declare const prometheusUrl: string;

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [number, string])[];
}

/** How far back panels look: the whole run. Seconds. */
const LOOK_BACK = 900;
const RATE_INTERVAL = '30s';
const SOON_MS = 60_000;

async function ask<Data>(path: string, parameters: Record<string, string> = {}): Promise<Data> {
  const answer = await fetch(`${prometheusUrl}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`);
  const { data, error } = (await answer.json()) as { data: Data; error?: string };
  if (error !== undefined) throw new Error(`${path}: ${error}`);
  return data;
}

const period = (): { start: string; end: string } => {
  const now = Math.ceil(Date.now() / 1000);
  return { start: String(now - LOOK_BACK), end: String(now) };
};

/** Every series that a panel would draw, without the points that have no value. */
async function drawn(expression: string): Promise<Series[]> {
  const query = expression.replaceAll('$__rate_interval', RATE_INTERVAL);
  const { result } = await ask<{ result: Series[] }>('query_range', { query, step: '1', ...period() });
  return result
    .map(({ metric, values }) => ({ metric, values: values.filter(([, value]) => Number.isFinite(Number(value))) }))
    .filter(({ values }) => values.length > 0);
}

/** Some values are there only after the next look or scrape. */
async function drawnSoon(expression: string): Promise<Series[]> {
  const until = Date.now() + SOON_MS;
  for (;;) {
    const series = await drawn(expression);
    if (series.length > 0 || Date.now() > until) return series;
    await sleep(500);
  }
}

/** Quiet systems have nothing to count here, and panels then show this. It must not stand for a metric that is not there. */
const NOTHING = ' or vector(0)';
/** Only batches that failed have the label, and none has. */
const FAILED_BATCHES = '{error_type!=""}';

/** No partition stands still here: that some have nothing to do for seconds shows that the panel reads what is there. */
const standsStillForSeconds = (expr: string): string =>
  expr.replaceAll('[10m]', '[5s]').replaceAll('[1m] offset 10m', '[5s] offset 5s').replace(') > 0 and', ') >= 0 and');

/** Only standalone has worker threads, and here are the five services. */
const ONLY_STANDALONE = 'remit_worker_';

const queries = dashboards()
  .flatMap(({ title, panels }) =>
    panels.flatMap((panel) =>
      panel.targets.map(({ expr }, index) => ({
        name: `${title}: ${panel.title}, line ${String(index + 1)}`,
        expr: expr.includes(FAILED_BATCHES) ? expr : standsStillForSeconds(expr.replace(NOTHING, '')),
      })),
    ),
  )
  .filter(({ expr }) => !expr.includes(ONLY_STANDALONE));

describe('dashboards over five services that have played every story', () => {
  let bus: KafkaBus;
  let waiting: RemitAgent;

  /** One action that waits for people as long as this runs: the stories' own are answered, or run out. */
  async function holdAnAction(): Promise<void> {
    const shape = { hours: 'open now', stage: 'enforce', hold_for: '4h' } as const;
    const text = charterTextOf(shape, readFileSync('charters/starter.yaml', 'utf8'), Date.now());
    const { doorUrl, stateFolder = '' } = loadConfig();
    const devKey = await readDevKey(stateFolder);
    // over the control API: the services believe no charter that they have not signed
    const people = new DoorPeople(doorUrl, (person, roles) =>
      devToken(devKey, { person, roles, now: Date.now(), lifetimeMs: SOON_MS }),
    );
    await people.activate(text);
    waiting = await RemitAgent.connect({ bus, agentId: 'PaymentAgent' });
    const action = { type: 'pay', target: 'payments', parameters: { amount: 4000, invoice: 'i-2' } };
    await new Promise<void>((resolve) => void waiting.propose(action, { onHold: () => resolve() }));
  }

  beforeAll(async () => {
    bus = new KafkaBus({ brokers: requireKafka(), topics: Object.values(TOPICS), replicationFactor: 1 });
    await holdAnAction();
    const { name: topic } = TOPICS.agentActions;
    await bus.publish([{ topic, key: 'nobody', value: Buffer.from('this is no intent'), headers: {} }]);
    await eventually(async () => (await drawn('remit_dead_letters_total')).length > 0);
    await eventually(async () => (await drawn('remit_holds_age_seconds')).length > 0);
  });

  afterAll(async () => {
    await waiting.close();
    await bus.close();
  });

  it.each(queries)('$name has something to draw', async ({ expr }) => {
    expect((await drawnSoon(expr)).length).toBeGreaterThan(0);
  });

  it('every process is scraped, and answers', async () => {
    // a scrape each second may take longer than that on a busy machine: what counts is that each is answered again
    const answered = new Set<string>();
    await eventually(async () => {
      const { activeTargets } = await ask<{ activeTargets: { labels: { service: string }; lastError: string }[] }>(
        'targets',
      );
      for (const { labels, lastError } of activeTargets) if (lastError === '') answered.add(labels.service);
      return answered.size === activeTargets.length;
    });
    expect([...answered].sort()).toEqual(['audit', 'boundary', 'permission', 'policy', 'verifier']);
  });

  it('every alert can be evaluated', async () => {
    const { groups } = await ask<{ groups: { rules: { name: string; health: string; lastError?: string }[] }[] }>(
      'rules',
    );
    const rules = groups.flatMap(({ rules: of }) => of);
    expect(rules.length).toBeGreaterThan(10);
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
  });

  it('what nobody could read has raised its alert, and nothing else has raised any', async () => {
    const firing = async (): Promise<(string | undefined)[]> => {
      const { alerts } = await ask<{ alerts: { labels: Record<string, string>; state: string }[] }>('alerts');
      return alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels['alertname']);
    };
    await eventually(async () => (await firing()).length > 0);
    expect(new Set(await firing())).toEqual(new Set(['RemitDeadLetters']));
  });

  it('a dot in the latency panel leads to a trace in Jaeger', async () => {
    const found = await ask<{ exemplars: { labels: { trace_id: string } }[] }[]>('query_exemplars', {
      query: 'remit_decision_duration_seconds_bucket',
      ...period(),
    });
    const traces = found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id));
    expect(traces.length).toBeGreaterThan(0);
    const inJaeger = `${requireJaeger().queryUrl}/api/traces/${String(traces[0])}`;
    await eventually(async () => (await fetch(inJaeger)).status === 200);
  });
});
