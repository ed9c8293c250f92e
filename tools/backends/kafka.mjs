import { createHash, randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupFailure, say } from '../failure.mjs';
import { lastLines, sleep } from '../processes.mjs';
import { cached, putIntoCache } from './cache.mjs';
import { findJava, findMaven } from './java.mjs';
import { ask, choosePort, isFree } from './ports.mjs';

const SOURCES = fileURLToPath(new URL('./kafka', import.meta.url));
const PREFERRED_PORT = 19092;
const PREFERRED_CONTROLLER_PORT = 19093;
/** A busy machine is slow; a node that cannot start ends by itself and is noticed at once. */
const START_TIMEOUT_MS = 180_000;

/** Fetches Kafka's jars once per user. */
function jars() {
  const pom = join(SOURCES, 'pom.xml');
  const fingerprint = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12);
  const name = `kafka-${fingerprint}`;
  const kept = cached(name);
  if (kept !== undefined) return kept;
  const maven = findMaven();
  say('Kafka: fetching Apache Kafka with Maven (once, 44 MB)');
  return putIntoCache(name, (draft) => {
    const fetched = spawnSync(
      maven,
      ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${draft}`, '-DincludeScope=runtime'],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
    if (fetched.status !== 0) {
      throw new SetupFailure(
        'REMIT_SETUP_KAFKA_NOT_FETCHED',
        `Maven could not fetch Apache Kafka; check its repository settings and try again:\n${fetched.stdout}${fetched.stderr}`,
      );
    }
  });
}

/** Metadata, version 2, of no topic: a small question that only a Kafka broker answers, with the id of its cluster. */
const METADATA = Buffer.from([0, 0, 0, 14, 0, 3, 0, 2, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0]);

/** Whether a broker answers there; with an id, whether it is one of that cluster. */
export async function answersAsKafka(port, clusterId = '') {
  return (await ask(port, METADATA))?.includes(clusterId) === true;
}

/**
 * Starts a single Kafka node in KRaft mode. Resolves with its broker list once it answers.
 *
 * @param {object} run
 * @param {{ listeners?: string[], settings?: string[], format?: string[] }} [extras] listeners besides the plain one
 *   (`NAME://host:port`), lines of server.properties that override ours, and arguments of `kafka-storage format`
 */
export async function startKafka(run, { listeners = [], settings = [], format = [] } = {}) {
  const java = findJava();
  const classpath = join(jars(), '*');
  for (let attempt = 1; ; attempt += 1) {
    const port = await choosePort('Kafka', PREFERRED_PORT);
    const controllerPort = await choosePort('Kafka controller', PREFERRED_CONTROLLER_PORT);
    const started = performance.now();
    const clusterId = clusterIn(join(run.folder, 'kafka')) ?? newClusterId();
    const kafka = startNode(run, {
      java,
      classpath,
      name: 'kafka',
      clusterId,
      settings: [
        `listeners=${[`PLAINTEXT://127.0.0.1:${port}`, `CONTROLLER://127.0.0.1:${controllerPort}`, ...listeners].join(',')}`,
        `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
        ...settings,
      ],
      format,
    });
    if (await isReady(kafka, port, clusterId)) {
      say(`Kafka: 127.0.0.1:${port} (${Math.round(performance.now() - started)} ms)`);
      return `127.0.0.1:${port}`;
    }
    await run.stop(kafka, 0);
    // Kafka does not say why it ends: that somebody else listens there now is how it is known
    const taken = !(await isFree(port)) || !(await isFree(controllerPort));
    if (!taken || attempt === 3) {
      const log = lastLines(kafka.log);
      throw new SetupFailure('REMIT_SETUP_KAFKA_NOT_STARTED', `Kafka did not start; the end of ${kafka.log}:\n${log}`);
    }
  }
}

/**
 * Starts a cluster of nodes, each broker and controller, whose internal topics lie on all of them. Resolves once all
 * answer, with the address of each; node `N` runs under the name `kafka-N`.
 *
 * Throws `REMIT_SETUP_KAFKA_NOT_STARTED`.
 */
export async function startKafkaCluster(run, size) {
  const java = findJava();
  const classpath = join(jars(), '*');
  const clusterId = newClusterId();
  const nodes = [];
  for (let id = 1; id <= size; id += 1) {
    const port = await choosePort(`Kafka ${id}`, PREFERRED_PORT);
    nodes.push({ id, port, controllerPort: await choosePort(`Kafka controller ${id}`, PREFERRED_CONTROLLER_PORT) });
  }
  const voters = nodes.map(({ id, controllerPort }) => `${id}@127.0.0.1:${controllerPort}`).join(',');
  const started = performance.now();
  const running = nodes.map(({ id, port, controllerPort }) => ({
    port,
    kafka: startNode(run, {
      java,
      classpath,
      name: `kafka-${id}`,
      clusterId,
      settings: [
        `node.id=${id}`,
        `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
        `controller.quorum.voters=${voters}`,
        ...replicationSettings(size),
      ],
    }),
  }));
  const ready = await Promise.all(running.map(({ kafka, port }) => isReady(kafka, port, clusterId)));
  const failed = running.find((_, index) => !ready[index]);
  if (failed !== undefined) {
    const log = lastLines(failed.kafka.log);
    throw new SetupFailure(
      'REMIT_SETUP_KAFKA_NOT_STARTED',
      `Kafka did not start; the end of ${failed.kafka.log}:\n${log}`,
    );
  }
  say(`Kafka: ${size} nodes (${Math.round(performance.now() - started)} ms)`);
  return nodes.map(({ port }) => `127.0.0.1:${port}`);
}

/** Everything lies on every node, and goes on while a majority of them is there. */
function replicationSettings(size) {
  const quorum = Math.floor(size / 2) + 1;
  return [
    `default.replication.factor=${size}`,
    `min.insync.replicas=${quorum}`,
    `offsets.topic.replication.factor=${size}`,
    `transaction.state.log.replication.factor=${size}`,
    `transaction.state.log.min.isr=${quorum}`,
    `share.coordinator.state.topic.replication.factor=${size}`,
    `share.coordinator.state.topic.min.isr=${quorum}`,
  ];
}

const newClusterId = () => randomBytes(16).toString('base64url');

function startNode(run, { java, classpath, name, clusterId, settings, format = [] }) {
  const data = join(run.folder, name);
  const properties = join(run.folder, `${name}.properties`);
  writeFileSync(
    properties,
    `${readFileSync(join(SOURCES, 'server.properties'), 'utf8')}
${settings.join('\n')}
log.dirs=${data}
`,
  );
  const options = [
    '-Xmx512m',
    '-XX:+UseSerialGC',
    `-Dlog4j2.configurationFile=${join(SOURCES, 'log4j2.yaml')}`,
    '-cp',
    classpath,
  ];
  if (clusterIn(data) === undefined) {
    const formatted = spawnSync(
      java,
      // as an option's value of its own, an id that begins with a dash would be an option
      [...options, 'kafka.tools.StorageTool', 'format', `--cluster-id=${clusterId}`, '-c', properties, ...format],
      { encoding: 'utf8' },
    );
    if (formatted.status !== 0) {
      throw new SetupFailure(
        'REMIT_SETUP_KAFKA_NOT_FORMATTED',
        `Kafka could not format ${data}; remove it and try again:\n${formatted.stdout}${formatted.stderr}`,
      );
    }
  }
  return run.start({
    name,
    command: java,
    args: [...options, 'kafka.Kafka', properties],
    log: `${name}.log`,
    // throw-away data needs no orderly shutdown
    stopSignal: run.fresh ? 'SIGKILL' : 'SIGTERM',
  });
}

/** The id of the cluster that a data folder was formatted for; `undefined`: for none. */
export function clusterIn(data) {
  const file = join(data, 'meta.properties');
  if (!existsSync(file)) return undefined;
  return /^cluster\.id=(\S+)$/m.exec(readFileSync(file, 'utf8'))?.[1];
}

/** Ours answers: while it starts, somebody else may have taken its port. */
async function isReady(kafka, port, clusterId) {
  let ended = false;
  void kafka.exited.then(() => (ended = true));
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!ended && performance.now() < deadline) {
    if (await answersAsKafka(port, clusterId)) return !ended;
    await sleep(100);
  }
  return false;
}
