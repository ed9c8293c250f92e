import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { startBackends } from '../backends/backends.mjs';
import { collectorInFrontOf, prepareJaeger, startJaeger } from '../backends/jaeger.mjs';
import { preparePrometheus, startPrometheus } from '../backends/prometheus.mjs';
import { SetupFailure, say } from '../failure.mjs';
import { build } from '../setup/build.mjs';
import { doorEnvironment, ON_ANY_MACHINE, startSystem } from '../system.mjs';
import { Checks, jest, parseGroups } from './checks.mjs';
import { built } from './foreground.mjs';

const GROUPS = ['rules', 'jaeger', 'collector', 'dashboards'];
const CANNOT_BE_FETCHED = 3;
/** What takes a minute in production is over in seconds here. */
const SCRAPE_INTERVAL = '1s';
const EPOCH_MS = '2000';

/**
 * `test-observability`: alerts, traces, tail sampling and dashboards with the real promtool, Jaeger and Prometheus,
 * which are built from their Go modules where they are not there yet. Exits with 3, and has checked nothing, where those
 * modules cannot be fetched.
 */
export async function testObservability({ root, args, openRun }) {
  const { groups, summary, rest: jestArgs } = parseGroups(args, GROUPS);
  await build(root);
  const run = await openRun({ name: 'test-observability', fresh: true });
  try {
    await prepare(run, groups);
  } catch (error) {
    if (!(error instanceof SetupFailure) || error.code !== 'REMIT_SETUP_GO_NOT_FETCHED') throw error;
    say(`${error.code}: ${error.message}\nNothing was checked: ${groups.join(', ')}`);
    return CANNOT_BE_FETCHED;
  }

  const checks = new Checks();
  if (groups.includes('rules')) await checkRules(run, checks);
  if (groups.includes('jaeger') || groups.includes('collector') || groups.includes('dashboards')) {
    process.stdout.write('\n── backends\n');
    const addresses = { ...(await startBackends(run)), ...(await startJaeger(run)) };
    if (groups.includes('jaeger')) {
      await checks.check('chains as a real Jaeger shows them', () =>
        jest(run, 'jaeger', { addresses, args: jestArgs }),
      );
    }
    if (groups.includes('collector')) {
      const collector = await collectorInFrontOf(run, addresses.OTEL_EXPORTER_OTLP_ENDPOINT);
      await checks.check('tail sampling in a real collector', () =>
        jest(run, 'collector', { addresses: { ...addresses, ...collector }, args: jestArgs }),
      );
    }
    if (groups.includes('dashboards')) await checkDashboards(run, checks, addresses, jestArgs);
  }
  return checks.close(summary);
}

async function prepare(run, groups) {
  const needs = (...of) => of.some((group) => groups.includes(group));
  if (needs('rules', 'dashboards')) await preparePrometheus(run);
  if (needs('collector') || (!process.env.JAEGER_URL && needs('jaeger', 'dashboards'))) await prepareJaeger(run);
}

async function checkRules(run, checks) {
  const promtool = join(await preparePrometheus(run), 'promtool');
  const deployed = (...path) => join(run.root, 'deploy', 'prometheus', ...path);
  const tests = readdirSync(deployed('tests')).map((name) => deployed('tests', name));
  const steps = {
    'Prometheus takes its configuration': ['check', 'config', '--lint=all', '--lint-fatal', deployed('prometheus.yml')],
    'alerts fire when they should, and else do not': ['test', 'rules', ...tests],
  };
  for (const [title, args] of Object.entries(steps)) await checks.program(run, title, { command: promtool, args });
}

/** Five services, a Prometheus that scrapes them with the deployed rules, and stories: then no panel may be empty. */
async function checkDashboards(run, checks, backends, jestArgs) {
  process.stdout.write('\n── five services, scraped\n');
  const addresses = { ...backends, ...ON_ANY_MACHINE, REMIT_EPOCH_MS: EPOCH_MS };
  const services = await startSystem(run, addresses, { services: true });
  const prometheus = await startPrometheus(run, scraping(run.root, services));
  const environment = { ...addresses, ...prometheus, ...doorEnvironment(run, services) };
  await checks.program(run, 'the stories are played', {
    args: [built(run.root, 'tools', 'demo', 'main.js')],
    env: environment,
  });
  await checks.check('no panel is empty and no rule fails', () =>
    jest(run, 'dashboards', { addresses: environment, args: jestArgs }),
  );
}

/** The deployed configuration, with the targets of this run. */
function scraping(root, services) {
  const folder = join(root, 'deploy', 'prometheus');
  const {
    global,
    rule_files: ruleFiles,
    scrape_configs: jobs,
  } = parse(readFileSync(join(folder, 'prometheus.yml'), 'utf8'));
  return stringify({
    global: { ...global, scrape_interval: SCRAPE_INTERVAL, evaluation_interval: SCRAPE_INTERVAL },
    rule_files: ruleFiles.map((path) => join(folder, path)),
    scrape_configs: jobs.map(({ job_name, scrape_protocols }) => ({
      job_name,
      scrape_protocols,
      static_configs: services.map(({ name, port }) => ({ targets: [`127.0.0.1:${port}`], labels: { service: name } })),
    })),
  });
}
