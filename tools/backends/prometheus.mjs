import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goCommands } from './go-commands.mjs';
import { startHttpServer } from './http-server.mjs';
import { choosePort } from './ports.mjs';

/** @type {import('./go-commands.mjs').GoCommands} */
const PROMETHEUS = {
  title: 'Prometheus and promtool',
  name: 'prometheus',
  module: 'github.com/prometheus/prometheus',
  version: 'v0.316.0',
  sum: 'h1:f1GRFerhTMKQma+awCoC9T820ecWeGSdF+xAlMHzZzM=',
  modSum: 'h1:nd2m0IehYLgxV4yAmoQDsvV45I9Xerh+uTUeCioEMis=',
  commands: ['cmd/prometheus', 'cmd/promtool'],
  // of all that can discover targets, what deploy/prometheus asks for
  tags: ['remove_all_sd', 'enable_dns_sd'],
  takes: '3 to 6 min',
};

/** The folder with `prometheus` and `promtool`, which checks and tests rules. */
export const preparePrometheus = (run) => goCommands(run, PROMETHEUS);

/**
 * A Prometheus of its own, with the configuration given.
 *
 * Throws `REMIT_SETUP_PROMETHEUS_NOT_STARTED`.
 *
 * @returns {Promise<{ PROMETHEUS_URL: string }>}
 */
export async function startPrometheus(run, configuration) {
  const folder = await preparePrometheus(run);
  const file = join(run.folder, 'prometheus.yml');
  writeFileSync(file, configuration);
  return startHttpServer(
    run,
    { name: 'prometheus', title: 'Prometheus', failure: 'REMIT_SETUP_PROMETHEUS_NOT_STARTED' },
    async () => {
      const port = await choosePort('Prometheus', 9090);
      const url = `http://127.0.0.1:${port}`;
      return {
        command: join(folder, 'prometheus'),
        args: [
          `--config.file=${file}`,
          `--storage.tsdb.path=${join(run.folder, 'prometheus')}`,
          `--web.listen-address=127.0.0.1:${port}`,
          '--enable-feature=exemplar-storage',
          '--log.level=warn',
        ],
        readyAt: `${url}/-/ready`,
        answer: { PROMETHEUS_URL: url },
      };
    },
  );
}
