import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** The checkout, which is where jest runs. */
const DEPLOY = join(process.cwd(), 'deploy');

export interface Panel {
  readonly id: number;
  readonly title: string;
  readonly description: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource: { readonly uid: string };
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string; readonly exemplar?: boolean }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface RuleTest {
  readonly name: string;
  readonly input_series: readonly { readonly series: string }[];
  readonly promql_expr_test: readonly { readonly expr: string; readonly exp_samples?: readonly unknown[] }[];
}

export function readYaml<Shape>(...path: string[]): Shape {
  return parse(readFileSync(join(DEPLOY, ...path), 'utf8')) as Shape;
}

const filesOf = (...path: string[]): string[] => readdirSync(join(DEPLOY, ...path)).sort();

/** The dashboards that Grafana is given. */
export function dashboards(): Dashboard[] {
  return filesOf('grafana', 'dashboards').map(
    (name) => JSON.parse(readFileSync(join(DEPLOY, 'grafana', 'dashboards', name), 'utf8')) as Dashboard,
  );
}

/** The alerts that Prometheus is given. */
export function alertRules(): AlertRule[] {
  return filesOf('prometheus', 'rules').flatMap((name) =>
    readYaml<{ groups: { rules: AlertRule[] }[] }>('prometheus', 'rules', name).groups.flatMap(({ rules }) => rules),
  );
}

/** What promtool tries the alerts on. */
export function ruleTests(): RuleTest[] {
  return filesOf('prometheus', 'tests').flatMap(
    (name) => readYaml<{ tests: RuleTest[] }>('prometheus', 'tests', name).tests,
  );
}
