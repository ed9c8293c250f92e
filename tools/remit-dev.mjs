#!/usr/bin/env node
// The one way to set up, run and test Remit. Needs nothing but Node 20 and npm; everything else it brings up itself.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from './launch.mjs';

const SCRIPT = fileURLToPath(import.meta.url);
const ROOT = dirname(dirname(SCRIPT));

const HELP = `Usage: node tools/remit-dev.mjs COMMAND [options]

  demo [--services] [--json]   plays the stories against the running system and prints every decision
  start [--services]           runs the system until Ctrl-C and prints how to send an intent; --jaeger: with a Jaeger
        [--jaeger]             beside it (JAEGER_URL, or built with Go once, some minutes)
  test [--only WHAT] [jest …]  every check: format, lint, types, architecture, unit, integration, e2e
                               WHAT: static, unit, integration or e2e, several with commas
  test-observability           alerts, traces and dashboards with a real promtool, Jaeger and Prometheus, built with Go
       [--only WHAT] [jest …]  (once, some minutes); WHAT: rules, jaeger, collector, dashboards
  bench [--json]               measures against the baselines, in the same run
  cli …                        the command line tool \`remit\`; try: cli --help
  backends [--keep | --stop]   Kafka and PostgreSQL alone, and prints their addresses

  --services runs the five services as five processes instead of all in one.
  --json prints one JSON object per line, and nothing else on stdout; through npm: npm run --silent demo -- --json

What it does first: installs the locked packages when they changed, goes on under the pinned Node 24, compiles what
changed into dist/, and brings up Kafka and PostgreSQL. Everything it starts it stops, also on Ctrl-C and after a crash.
demo, test, test-observability and bench use fresh throw-away state; start and backends keep theirs in .remit/state.

Environment:
  KAFKA_BROKERS, DATABASE_URL  use these instead of starting any
  REMIT_BACKENDS               docker or packages; without it, Docker where an engine answers
  REMIT_SETUP_INSTALL=1        may install Java and Maven with apt-get, as root
  JAEGER_URL                   test against this Jaeger, which takes spans at OTEL_EXPORTER_OTLP_ENDPOINT
  JAVA_HOME, XDG_CACHE_HOME    where Java is; where Kafka's jars and what Go built are kept (remit/ in it)

Exit code: 0 when all is well; 1 when something failed; 2 for a wrong command; 3 when the Go modules
of test-observability cannot be fetched; 130 after Ctrl-C.
`;

const COMMANDS = {
  backends: () => import('./commands/backends.mjs').then((module) => module.backends),
  bench: () => import('./commands/bench.mjs').then((module) => module.bench),
  cli: () => import('./commands/cli.mjs').then((module) => module.cli),
  demo: () => import('./commands/demo.mjs').then((module) => module.demo),
  start: () => import('./commands/start.mjs').then((module) => module.start),
  'test-observability': () => import('./commands/test-observability.mjs').then((module) => module.testObservability),
  test: () => import('./commands/test.mjs').then((module) => module.test),
};

function main() {
  const [name, ...args] = process.argv.slice(2);
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (name === undefined || !Object.hasOwn(COMMANDS, name)) {
    process.stderr.write(`${name === undefined ? 'Which command?' : `There is no command ${name}.`}\n\n${HELP}`);
    return 2;
  }
  return launch({ root: ROOT, script: SCRIPT, argv: process.argv.slice(2), args, load: COMMANDS[name] });
}

process.exitCode = await main();
