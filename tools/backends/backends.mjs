import { say } from '../failure.mjs';
import { dockerAnswers, startWithCompose } from './compose.mjs';
import { startKafka } from './kafka.mjs';
import { startPostgres } from './postgres.mjs';

/**
 * Brings up what the environment does not name: a broker and a database, with Docker where an engine answers, else
 * from packages. REMIT_BACKENDS (`docker` or `packages`) decides instead.
 *
 * @returns {Promise<{ KAFKA_BROKERS: string, DATABASE_URL: string }>} without what is not needed
 */
export async function startBackends(run, needed = ['kafka', 'postgres']) {
  const given = {
    ...(process.env.KAFKA_BROKERS ? { KAFKA_BROKERS: process.env.KAFKA_BROKERS } : {}),
    ...(process.env.DATABASE_URL ? { DATABASE_URL: process.env.DATABASE_URL } : {}),
  };
  if (given.KAFKA_BROKERS && needed.includes('kafka')) say(`Kafka: ${given.KAFKA_BROKERS} (KAFKA_BROKERS)`);
  if (given.DATABASE_URL) say('PostgreSQL: yours (DATABASE_URL)');
  const variables = { kafka: 'KAFKA_BROKERS', postgres: 'DATABASE_URL' };
  const wanted = needed.filter((backend) => !given[variables[backend]]);
  if (wanted.length === 0) return given;
  if (usesDocker()) return { ...(await startWithCompose(run, wanted)), ...given };
  const [kafka, postgres] = await Promise.allSettled([
    wanted.includes('kafka') ? startKafka(run) : given.KAFKA_BROKERS,
    wanted.includes('postgres') ? startPostgres(run) : given.DATABASE_URL,
  ]);
  for (const result of [kafka, postgres]) if (result.status === 'rejected') throw result.reason;
  return { KAFKA_BROKERS: kafka.value, DATABASE_URL: postgres.value };
}

function usesDocker() {
  const choice = process.env.REMIT_BACKENDS;
  if (choice === 'packages') return false;
  return choice === 'docker' || dockerAnswers();
}
