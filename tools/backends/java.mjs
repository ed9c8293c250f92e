import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { SetupFailure } from '../failure.mjs';
import { installWithApt } from './apt.mjs';

const OLDEST_JAVA = 17;

function javaMajor(command) {
  const answer = spawnSync(command, ['-version'], { encoding: 'utf8' });
  const version = /version "(?:1\.)?(\d+)/.exec(`${answer.stderr ?? ''}${answer.stdout ?? ''}`);
  return version === null ? undefined : Number(version[1]);
}

/** A Java that can run Kafka: JAVA_HOME's, else the one on the path. Throws `REMIT_SETUP_NO_JAVA`. */
export function findJava() {
  const candidates = [...(process.env.JAVA_HOME ? [join(process.env.JAVA_HOME, 'bin', 'java')] : []), 'java'];
  for (const command of candidates) {
    if ((javaMajor(command) ?? 0) >= OLDEST_JAVA) return command;
  }
  if (installWithApt(['default-jre-headless'])) return 'java';
  const found = javaMajor('java');
  throw new SetupFailure(
    'REMIT_SETUP_NO_JAVA',
    `${found === undefined ? 'no Java found' : `Java ${found} is too old`}; Kafka needs Java ${OLDEST_JAVA} or newer. ` +
      'Start a Docker engine, or set KAFKA_BROKERS to a broker of yours, or install Java, for example: ' +
      'apt-get install default-jre-headless maven (REMIT_SETUP_INSTALL=1 lets this script do it, as root)',
  );
}

/** Maven, needed once to fetch Kafka. Throws `REMIT_SETUP_NO_MAVEN`. */
export function findMaven() {
  const works = () => spawnSync('mvn', ['-version'], { stdio: 'ignore' }).status === 0;
  if (works() || (installWithApt(['maven']) && works())) return 'mvn';
  throw new SetupFailure(
    'REMIT_SETUP_NO_MAVEN',
    'Maven is missing; it fetches Apache Kafka once. Start a Docker engine, or set KAFKA_BROKERS to a broker of ' +
      'yours, or install it, for example: apt-get install maven (REMIT_SETUP_INSTALL=1 lets this script do it, as root)',
  );
}
