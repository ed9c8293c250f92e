import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { SetupFailure, say } from '../failure.mjs';
import { sleep } from '../processes.mjs';
import { answersAsKafka } from './kafka.mjs';
import { choosePort } from './ports.mjs';

const ENGINE_TIMEOUT_MS = 5_000;
const START_TIMEOUT_MS = 120_000;

/** Whether a Docker engine answers that can run compose files: a client alone is not enough. */
export function dockerAnswers() {
  const works = (args) => spawnSync('docker', args, { stdio: 'ignore', timeout: ENGINE_TIMEOUT_MS }).status === 0;
  return works(['info']) && works(['compose', 'version']);
}

/**
 * Starts the wanted services of docker-compose.yml under a project name of this run's own.
 *
 * @param {string[]} wanted `kafka`, `postgres`
 */
export async function startWithCompose(run, wanted) {
  const project = `remit-${createHash('sha256').update(run.folder).digest('hex').slice(0, 10)}`;
  const env = {
    ...process.env,
    REMIT_KAFKA_PORT: String(await choosePort('Kafka', 19092)),
    REMIT_POSTGRES_PORT: String(await choosePort('PostgreSQL', 15432)),
  };
  const compose = ['compose', '-f', join(run.root, 'docker-compose.yml'), '-p', project];
  say(`Docker: starting ${wanted.join(' and ')}`);
  run.cleanUpWith({ command: 'docker', args: [...compose, 'down', ...(run.fresh ? ['-v'] : [])] });
  const up = spawnSync('docker', [...compose, 'up', '-d', '--wait', ...wanted], { env, encoding: 'utf8' });
  if (up.status !== 0) {
    throw new SetupFailure(
      'REMIT_SETUP_COMPOSE_FAILED',
      `docker compose could not start ${wanted.join(' and ')} (REMIT_BACKENDS=packages does without Docker):\n${up.stderr}`,
    );
  }
  if (wanted.includes('kafka')) await untilKafkaAnswers(Number(env.REMIT_KAFKA_PORT));
  return {
    KAFKA_BROKERS: `127.0.0.1:${env.REMIT_KAFKA_PORT}`,
    DATABASE_URL: `postgres://remit:remit@127.0.0.1:${env.REMIT_POSTGRES_PORT}/remit`,
  };
}

async function untilKafkaAnswers(port) {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await answersAsKafka(port))) {
    if (performance.now() > deadline) {
      throw new SetupFailure(
        'REMIT_SETUP_KAFKA_NOT_STARTED',
        'Kafka in Docker does not answer; see: docker compose logs kafka',
      );
    }
    await sleep(200);
  }
}
