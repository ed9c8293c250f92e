import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { METRICS, prometheusLabelOf, prometheusNameOf, type MetricDeclaration } from '#telemetry';
import { alertRules, dashboards, readYaml, ruleTests } from '../dashboards/deployed-queries.js';
import { ROOT } from './planted-tree.js';
import { namesIn } from './promql-names.js';

/** What Prometheus itself puts on everything it scrapes; `service` is our configuration's. */
const TARGET_LABELS = ['job', 'instance', 'service'];
/** The metrics of alerts themselves, in their tests. */
const ALERT_LABELS = ['alertname', 'alertstate'];

type Labels = ReadonlyMap<string, readonly string[] | undefined>;

/** Every series that may be asked for: its labels, and their values where those are a list. */
const series = new Map<string, Labels>([
  ['up', labelsOf([])],
  ['ALERTS', new Map(ALERT_LABELS.map((label) => [label, undefined]))],
]);
for (const metric of Object.values<MetricDeclaration>(METRICS)) {
  const { family, sample } = prometheusNameOf(metric);
  const labels = labelsOf(metric.attributes);
  if (metric.instrument !== 'histogram') series.set(sample, labels);
  else {
    for (const part of ['sum', 'count']) series.set(`${family}_${part}`, labels);
    series.set(`${family}_bucket`, new Map([...labels, ['le', undefined]]));
  }
}

function labelsOf(attributes: MetricDeclaration['attributes']): Labels {
  return new Map([
    ...TARGET_LABELS.map((label) => [label, undefined] as const),
    ...attributes.map(
      ({ name, values }) => [prometheusLabelOf(name), typeof values === 'string' ? undefined : values] as const,
    ),
  ]);
}

/** What an expression asks for that no process of Remit exposes. */
function inventedIn(expression: string): string[] {
  const { metrics, groupedBy } = namesIn(expression);
  if (metrics.length === 0) return ['asks for nothing'];
  return metrics.flatMap(({ metric, labels }) => {
    const known = series.get(metric);
    if (known === undefined) return [metric];
    const unknownLabels = [...labels.map(({ label }) => label), ...groupedBy].filter((label) => !known.has(label));
    const unknownValues = labels.flatMap(({ label, values }) => {
      const possible = known.get(label);
      return possible === undefined ? [] : values.filter((value) => !possible.includes(value));
    });
    return [
      ...unknownLabels.map((label) => `${metric} has no label ${label}`),
      ...unknownValues.map((value) => `${metric} is never ${value}`),
    ];
  });
}

const panels = dashboards().flatMap(({ title, panels: of }) =>
  of.map((panel) => ({ ...panel, name: `${title}: ${panel.title}` })),
);
const rules = alertRules();

describe('dashboards', () => {
  it.each(panels)('$name asks only for what processes expose', ({ targets }) => {
    expect(targets.flatMap(({ expr }) => inventedIn(expr))).toEqual([]);
  });

  it.each(panels)('$name names its lines by labels that are there', ({ targets }) => {
    const missing = targets.flatMap(({ expr, legendFormat }) => {
      const { groupedBy } = namesIn(expr);
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label ?? '');
      return named.filter((label) => !groupedBy.includes(label));
    });
    expect(missing).toEqual([]);
  });

  it.each(panels)('$name says what it shows', ({ description, targets }) => {
    expect(description).not.toBe('');
    expect(targets).not.toEqual([]);
  });

  it('ask the sources that are provisioned', () => {
    const { datasources } = readYaml<{ datasources: { uid: string; jsonData?: Record<string, unknown> }[] }>(
      'grafana',
      'provisioning',
      'datasources',
      'remit.yml',
    );
    const known = datasources.map(({ uid }) => uid);
    expect(new Set(panels.map(({ datasource }) => datasource.uid))).toEqual(new Set(['prometheus']));
    expect(known).toEqual(['prometheus', 'jaeger']);
    expect(datasources[0]?.jsonData).toMatchObject({
      exemplarTraceIdDestinations: [{ name: 'trace_id', datasourceUid: 'jaeger' }],
    });
  });

  it.each(dashboards())('$title: no panel hides another', ({ panels: of }) => {
    const cells = of.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${String(x + (cell % w))},${String(y + Math.floor(cell / w))}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(new Set(of.map(({ id }) => id)).size).toBe(of.length);
    expect(Math.max(...of.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
  });

  it('show every metric there is', () => {
    const asked = new Set(
      panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => namesIn(expr).metrics)).map(({ metric }) => metric),
    );
    const unseen = Object.values<MetricDeclaration>(METRICS)
      .map((metric) => prometheusNameOf(metric))
      .filter(({ family, sample }) => ![...asked].some((name) => name === sample || name.startsWith(`${family}_`)));
    expect(unseen.map(({ family }) => family)).toEqual([]);
  });
});

describe('alerts', () => {
  const guide = readFileSync(join(ROOT, 'docs', 'guide', 'alerts.md'), 'utf8');
  const sections = [...guide.matchAll(/^## (Remit\w+)$/gm)].map(([, name]) => name);

  it.each(rules)('$alert asks only for what processes expose', ({ expr }) => {
    expect(inventedIn(expr)).toEqual([]);
  });

  it.each(rules)('$alert says how bad it is, what it is and what to do', ({ alert, labels, annotations }) => {
    expect(labels).toEqual({ severity: expect.stringMatching(/^(warning|critical)$/) as unknown });
    expect(Object.keys(annotations)).toEqual(['summary', 'description', 'runbook']);
    expect(annotations['runbook']).toBe(`docs/guide/alerts.md#${alert.toLowerCase()}`);
  });

  it('each have a section in the guide, and nothing else has', () => {
    expect(sections).toEqual(rules.map(({ alert }) => alert));
  });

  it.each(rules)('$alert is tried on a case in which it fires and on one in which it must not', ({ alert }) => {
    const tried = ruleTests()
      .flatMap(({ promql_expr_test: tests }) => tests)
      .filter(({ expr }) => expr.includes(`"${alert}"`));
    expect(new Set(tried.map(({ exp_samples: samples = [] }) => samples.length > 0))).toEqual(new Set([true, false]));
  });

  it.each(ruleTests())('are tried on series that processes expose: $name', ({ input_series: of }) => {
    expect(of.flatMap(({ series: name }) => inventedIn(name))).toEqual([]);
  });
});

describe('what is looked for', () => {
  it.each([
    ['sum(rate(agent_action_total[5m]))', ['agent_action_total']],
    ['sum by (agent) (remit_holds_open)', ['remit_holds_open has no label agent']],
    ['remit_findings_total{rule="a"}', ['remit_findings_total has no label rule']],
    ['remit_findings_total{remit_mode=~"shadow|shade"}', ['remit_findings_total is never shade']],
    ['remit_audit_lag > 10 or remit_audit_leg offset 5m', ['remit_audit_leg']],
    ['vector(0)', ['asks for nothing']],
  ])('%s would be refused', (expression, problems) => {
    expect(inventedIn(expression)).toEqual(problems);
  });
});
