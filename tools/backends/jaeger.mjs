import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupFailure, say } from '../failure.mjs';
import { goCommands } from './go-commands.mjs';
import { startHttpServer } from './http-server.mjs';
import { choosePort } from './ports.mjs';

/** @type {import('./go-commands.mjs').GoCommands} */
const JAEGER = {
  title: 'Jaeger',
  name: 'jaeger',
  module: 'github.com/jaegertracing/jaeger',
  version: 'v1.76.0',
  sum: 'h1:sWCOOF1dr+NL0PLil7mFo3BqqQL8k4WiM7aguFbc14g=',
  modSum: 'h1:hqcuJlLDTv7G2x5eFd/BhwcPdLxj3N+90aKhIzdOcKo=',
  commands: ['cmd/jaeger'],
  tags: [],
  takes: '3 to 6 min',
};

const MOST_TRACES = 20_000;

/** The program that is both Jaeger and, with another configuration, an OpenTelemetry collector. */
export const prepareJaeger = async (run) => join(await goCommands(run, JAEGER), 'jaeger');

/**
 * The Jaeger that JAEGER_URL names, else one of its own with storage in memory.
 *
 * Throws `REMIT_SETUP_JAEGER_WITHOUT_OTLP` and `REMIT_SETUP_JAEGER_NOT_STARTED`.
 *
 * @returns {Promise<ReturnType<typeof addressesOf>>}
 */
export async function startJaeger(run) {
  const { JAEGER_URL: given, OTEL_EXPORTER_OTLP_ENDPOINT: otlp } = process.env;
  if (given) {
    if (!otlp) {
      throw new SetupFailure(
        'REMIT_SETUP_JAEGER_WITHOUT_OTLP',
        'JAEGER_URL says where to ask; set OTEL_EXPORTER_OTLP_ENDPOINT to where that Jaeger takes spans, http://…:4318',
      );
    }
    say(`Jaeger: ${given} (JAEGER_URL)`);
    return addressesOf(given.replace(/\/+$/, ''), otlp);
  }
  const program = await prepareJaeger(run);
  return startHttpServer(
    run,
    { name: 'jaeger', title: 'Jaeger', failure: 'REMIT_SETUP_JAEGER_NOT_STARTED' },
    async () => {
      const query = await choosePort('Jaeger', 16686);
      const ports = {
        query,
        queryGrpc: await choosePort('Jaeger query over gRPC', 16685),
        otlpGrpc: await choosePort('OTLP over gRPC', 4317),
        otlpHttp: await choosePort('OTLP over HTTP', 4318),
      };
      const configuration = join(run.folder, 'jaeger.yaml');
      // JSON is YAML
      writeFileSync(configuration, JSON.stringify(configurationOf(ports)));
      return {
        command: program,
        args: ['--config', configuration],
        readyAt: `http://127.0.0.1:${query}/api/services`,
        answer: addressesOf(`http://127.0.0.1:${query}`, `http://127.0.0.1:${ports.otlpHttp}`),
      };
    },
  );
}

/** As the environment names them: for specs, for `remit chain`, and for whatever sends spans. */
const addressesOf = (query, otlp) => ({
  JAEGER_QUERY_URL: query,
  REMIT_JAEGER_URL: query,
  OTEL_EXPORTER_OTLP_ENDPOINT: otlp,
});

/**
 * The collector of deploy/collector, in front of something that takes spans.
 *
 * Throws `REMIT_SETUP_COLLECTOR_NOT_STARTED`.
 *
 * @returns {Promise<{ COLLECTOR_OTLP_ENDPOINT: string }>}
 */
export async function collectorInFrontOf(run, endpoint) {
  const program = await prepareJaeger(run);
  return startHttpServer(
    run,
    { name: 'collector', title: 'Collector', failure: 'REMIT_SETUP_COLLECTOR_NOT_STARTED' },
    async () => {
      const grpc = await choosePort('Collector over gRPC', 14317);
      const url = `http://127.0.0.1:${await choosePort('Collector', 14318)}`;
      return {
        command: program,
        args: ['--config', join(run.root, 'deploy', 'collector', 'collector.yaml')],
        env: {
          COLLECTOR_OTLP_HTTP: new URL(url).host,
          COLLECTOR_OTLP_GRPC: `127.0.0.1:${grpc}`,
          COLLECTOR_SENDS_TO: endpoint,
          // longer than any pause between the spans of one trace
          COLLECTOR_WAITS: '15s',
        },
        readyAt: url,
        answer: { COLLECTOR_OTLP_ENDPOINT: url },
      };
    },
  );
}

function configurationOf({ query, queryGrpc, otlpGrpc, otlpHttp }) {
  const at = (port) => ({ endpoint: `127.0.0.1:${port}` });
  return {
    extensions: {
      jaeger_storage: { backends: { memory: { memory: { max_traces: MOST_TRACES } } } },
      jaeger_query: { storage: { traces: 'memory' }, http: at(query), grpc: at(queryGrpc) },
    },
    receivers: { otlp: { protocols: { grpc: at(otlpGrpc), http: at(otlpHttp) } } },
    exporters: { jaeger_storage_exporter: { trace_storage: 'memory' } },
    service: {
      extensions: ['jaeger_storage', 'jaeger_query'],
      pipelines: { traces: { receivers: ['otlp'], exporters: ['jaeger_storage_exporter'] } },
      telemetry: { metrics: { level: 'none' }, logs: { level: 'warn' } },
    },
  };
}
