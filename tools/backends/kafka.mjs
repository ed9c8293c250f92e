import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupFailure, say } from '../failure.mjs';
import { lastLines, sleep } from '../processes.mjs';
import { cached, putIntoCache } from './cache.mjs';
import { findJava, findMaven } from './java.mjs';
import { ask, choosePort } from './ports.mjs';

const SOURCES = fileURLToPath(new URL('./kafka', import.meta.url));
const PREFERRED_PORT = 19092;
const PREFERRED_CONTROLLER_PORT = 19093;
const START_TIMEOUT_MS = 60_000;
const CLUSTER_ID = 'UmVtaXRMb2NhbEthZmthMA';

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

/** ApiVersions, version 0: the smallest question that only a Kafka broker answers. */
const API_VERSIONS = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);

export async function answersAsKafka(port) {
  return (await ask(port, API_VERSIONS)) !== undefined;
}

/** Starts a single Kafka node in KRaft mode. Resolves with its broker list once it answers. */
export async function startKafka(run) {
  const java = findJava();
  const classpath = join(jars(), '*');
  for (let attempt = 1; ; attempt += 1) {
    const port = await choosePort('Kafka', PREFERRED_PORT);
    const controllerPort = await choosePort('Kafka controller', PREFERRED_CONTROLLER_PORT);
    const started = performance.now();
    const kafka = startNode(run, { java, classpath, port, controllerPort });
    if (await isReady(kafka, port)) {
      say(`Kafka: 127.0.0.1:${port} (${Math.round(performance.now() - started)} ms)`);
      return `127.0.0.1:${port}`;
    }
    await run.stop(kafka, 0);
    const log = lastLines(kafka.log);
    if (!/Address already in use|BindException/.test(log) || attempt === 3) {
      throw new SetupFailure('REMIT_SETUP_KAFKA_NOT_STARTED', `Kafka did not start; the end of ${kafka.log}:\n${log}`);
    }
  }
}

function startNode(run, { java, classpath, port, controllerPort }) {
  const data = join(run.folder, 'kafka');
  const properties = join(run.folder, 'kafka.properties');
  writeFileSync(
    properties,
    `${readFileSync(join(SOURCES, 'server.properties'), 'utf8')}
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
controller.quorum.voters=1@127.0.0.1:${controllerPort}
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
  if (!existsSync(join(data, 'meta.properties'))) {
    const formatted = spawnSync(
      java,
      [...options, 'kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', properties],
      {
        encoding: 'utf8',
      },
    );
    if (formatted.status !== 0) {
      throw new SetupFailure(
        'REMIT_SETUP_KAFKA_NOT_FORMATTED',
        `Kafka could not format ${data}; remove it and try again:\n${formatted.stdout}${formatted.stderr}`,
      );
    }
  }
  return run.start({
    name: 'kafka',
    command: java,
    args: [...options, 'kafka.Kafka', properties],
    log: 'kafka.log',
    // throw-away data needs no orderly shutdown
    stopSignal: run.fresh ? 'SIGKILL' : 'SIGTERM',
  });
}

async function isReady(kafka, port) {
  let ended = false;
  void kafka.exited.then(() => (ended = true));
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!ended && performance.now() < deadline) {
    if (await answersAsKafka(port)) return !ended;
    await sleep(100);
  }
  return false;
}
