const ENVIRONMENT = `Environment:
  KAFKA_BROKERS, DATABASE_URL  use these instead of starting any
  REMIT_BACKENDS               docker or packages; without it, Docker where an engine answers
  REMIT_SETUP_INSTALL=1        may install Java, Maven and Python with apt-get, as root
  JAEGER_URL                   test against this Jaeger, which takes spans at OTEL_EXPORTER_OTLP_ENDPOINT
  JAVA_HOME, XDG_CACHE_HOME    where Java is; where Kafka's jars and what Go built are kept (remit/ in it)
`;

/** What there is, for `--help` without a command. */
export const HELP = `Usage: node tools/remit-dev.mjs COMMAND [options]

  demo [--services] [--json]   plays the stories against the running system and prints every decision
  start [--services]           runs the system until Ctrl-C and prints how to send an intent; --jaeger: with a Jaeger
        [--jaeger]             beside it (JAEGER_URL, or built with Go once, some minutes)
  test [--only WHAT] [jest …]  every check: format, lint, types, architecture, unit, integration, e2e, clients
                               WHAT: static, unit, integration, e2e or clients, several with commas
  test-observability           alerts, traces and dashboards with a real promtool, Jaeger and Prometheus, built with Go
       [--only WHAT] [jest …]  (once, some minutes); WHAT: rules, jaeger, collector, dashboards
  bench [--only WHAT] [--json] measures against the baselines, in the same run
  chaos [--only WHAT]          kills, freezes and floods a system of its own, and prints what that cost
        [--repeat N] [--json]
  cli …                        the command line tool \`remit\`; try: cli --help
  backends [--keep | --stop]   Kafka and PostgreSQL alone, and prints their addresses

  COMMAND --help says more about each, and starts nothing.
  --services runs the five services as five processes instead of all in one.
  --json prints one JSON object per line, and nothing else on stdout; through npm: npm run --silent demo -- --json

What it does first: installs the locked packages when they changed, goes on under the pinned Node 24, compiles what
changed into dist/, and brings up Kafka and PostgreSQL. Everything it starts it stops, also on Ctrl-C and after a crash.
demo, test, test-observability, bench and chaos use fresh throw-away state; start and backends keep theirs in .remit/state.

${ENVIRONMENT}
Exit code: 0 when all is well; 1 when something failed; 2 for a wrong command; 3 when the Go modules
of test-observability cannot be fetched; 130 after Ctrl-C.
`;

const FIRST = `First it installs the locked packages if they changed, compiles what changed, and brings up Kafka and PostgreSQL: the
first time this takes some minutes, later some seconds.
`;

const HELP_OF = {
  start: `Usage: npm start -- [--services] [--jaeger]

Runs Remit until Ctrl-C, and prints its addresses and an example: how to send an intent and see its chain. What it
stores is kept in .remit/state for the next start. Beside it, npx remit finds everything by itself.

  --services  the five services as five processes, instead of all in one
  --jaeger    a Jaeger beside it that shows every chain: the one at JAEGER_URL, or one built with Go (once, some minutes)

${FIRST}
${ENVIRONMENT}
Examples:
  npm start
  npm start -- --services --jaeger
  npx remit login --as ann --role finance      in another terminal, then: npx remit --help
`,
  demo: `Usage: npm run demo -- [--services] [--json]

Plays every story of test/stories against a running system of its own, and prints each decision beside the one that
its story expects, and who was responsible. Its state is thrown away at the end.

  --services  the five services as five processes, instead of all in one
  --json      one JSON object for each step, and nothing else on stdout: npm run --silent demo -- --json

${FIRST}
${ENVIRONMENT}
Exit code: 0 when every decision is as its story says and the record holds every message; else 1.
`,
  test: `Usage: npm test -- [--only WHAT[,WHAT…]] [--summary FILE] [options of jest]

Runs every check, one after the other, and sums up: a check that fails does not stop those behind it.

  --only WHAT     static       format, lint, dead code, types, fresh generated docs, architecture, workflows
                               (actionlint, built with Go once; NOT CHECKED where there is no Go)
                  unit         rules and their cases; needs no backend
                  integration  each library with real Kafka and PostgreSQL
                  e2e          all processes, as they run in production
                  clients      agents in Python, on librdkafka; NOT CHECKED where there is no Python 3 with venv
  --summary FILE  writes how many passed and failed there, as JSON
  Everything else goes to jest, such as --testPathPatterns=record and -t 'a grant ends'.

Kafka and PostgreSQL are started for integration, e2e and clients, and thrown away afterwards.

${ENVIRONMENT}
Examples:
  npm test
  npm test -- --only static,unit
  npm test --silent -- --only integration --testPathPatterns=record

Exit code: 0 when everything passed; else 1.
`,
  'test-observability': `Usage: npm run test:observability -- [--only WHAT[,WHAT…]] [--summary FILE] [options of jest]

Checks alerts, traces, tail sampling and dashboards with the real tools, which are built from their Go modules once
(some minutes) and kept. npm run test:jaeger is the same with --only jaeger.

  --only WHAT     rules       alerts fire when they should, by promtool
                  jaeger      chains as a real Jaeger shows them
                  collector   tail sampling in a real collector
                  dashboards  five services, scraped by a real Prometheus: no panel is empty
  --summary FILE  writes how many passed and failed there, as JSON
  Everything else goes to jest.

${ENVIRONMENT}
Exit code: 0 when everything passed; 3 when the Go modules cannot be fetched, so that nothing was checked; else 1.
`,
  bench: `Usage: npm run bench -- [--only WHAT[,WHAT…]] [--json]

Measures every published figure beside its baseline, in the same run and on backends of its own. Only the ratios mean
something on another machine, and only while nothing else keeps it busy.

  --only WHAT  throughput, tracing, pii, record, record-growth, policies, grants, signing, replay, views, codec,
               first-look
  --json       one JSON object for each figure, and nothing else on stdout: npm run --silent bench -- --json

All of it takes some minutes, record-growth the longest.

${ENVIRONMENT}
Examples:
  npm run bench -- --only policies,pii
`,
  chaos: `Usage: npm run chaos -- [--only WHAT[,WHAT…]] [--fault TEXT] [--repeat N] [--load N] [--logs FOLDER] [--json]

Plays faults against a running system of its own, beside an independent client that knows what each decision must be,
and prints one table: how many intents there were, how many were lost, contradictory or wrongly allowed, the longest
silence, how long it took until everything worked again, and memory. Loopback only; every fault ends by itself.

  --only WHAT   groups  brokers killed, frozen and restarted: does every consumer group consume again
                flood   agents that flood: is another agent suspended within a second
                restore databases set back and logs cut: is nothing lost silently
  --fault TEXT  only faults whose name contains this
  --repeat N    plays each fault N times in a row (default: 1)
  --load N      processes that only compute beside it (default: as many as there are cores)
  --logs FOLDER keeps what every process and broker logs, at level debug, in a folder of its own for each system
  --json        one JSON object for each play, and nothing else on stdout: npm run --silent chaos -- --json

"failed closed" counts intents that were denied although they could have been allowed: no broken promise, but seen.
It starts its own brokers, with Java and Maven. All of it takes some minutes for each repetition.

${ENVIRONMENT}
Examples:
  npm run chaos -- --only groups --fault kill --repeat 10

Exit code: 0 when every promise was kept; else 1.
`,
  backends: `Usage: node tools/remit-dev.mjs backends [--keep | --stop]

Runs Kafka and PostgreSQL alone until Ctrl-C, and prints their addresses as shell exports. What they store is kept in
.remit/state.

  --keep  leaves them running; npm start then uses them
  --stop  stops those that were left running

${ENVIRONMENT}`,
};

/** The help of one command; `undefined` for `cli`, which has its own. */
export function helpOf(command) {
  return HELP_OF[command];
}
