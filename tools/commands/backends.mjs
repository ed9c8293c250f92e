import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startBackends } from '../backends/backends.mjs';
import { say } from '../failure.mjs';
import { keptRun, stopKept } from '../run.mjs';

const environmentFile = (root) => join(root, '.remit', 'environment.json');

/** Addresses that a `start` or `backends` of this checkout left for other commands; empty when nothing runs. */
export function readEnvironment(root) {
  try {
    return JSON.parse(readFileSync(environmentFile(root), 'utf8'));
  } catch {
    return {};
  }
}

/** Lets other commands of this checkout find the backends. Only the owner may read it: it holds the password. */
export function writeEnvironment(root, environment) {
  writeFileSync(environmentFile(root), `${JSON.stringify(environment, null, 2)}\n`, { mode: 0o600 });
}

export function removeEnvironment(root) {
  rmSync(environmentFile(root), { force: true });
}

function printExports({ KAFKA_BROKERS, DATABASE_URL }) {
  process.stdout.write(`export KAFKA_BROKERS='${KAFKA_BROKERS}'\nexport DATABASE_URL='${DATABASE_URL}'\n`);
}

/** `backends`: Kafka and PostgreSQL alone, until Ctrl-C; with `--keep` until `backends --stop`. */
export async function backends({ root, args, openRun, untilInterrupted }) {
  if (args.includes('--stop')) {
    const stopped = await stopKept(root);
    if (stopped) removeEnvironment(root);
    say(stopped ? 'Stopped.' : 'Nothing was left running.');
    return 0;
  }
  if (keptRun(root) !== undefined) {
    printExports(readEnvironment(root));
    return 0;
  }
  const run = await openRun({ name: 'backends', fresh: false, announces: true });
  const addresses = await startBackends(run);
  writeEnvironment(root, addresses);
  printExports(addresses);
  if (args.includes('--keep')) {
    run.keep();
    say('Left running. Stop with: node tools/remit-dev.mjs backends --stop');
    return 0;
  }
  say('Ctrl-C stops them.');
  await untilInterrupted();
  removeEnvironment(root);
  return 0;
}
