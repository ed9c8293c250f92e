import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupFailure, say } from '../failure.mjs';
import { installWithApt } from './apt.mjs';
import { cached, putIntoCache } from './cache.mjs';

const run = (command, args) => spawnSync(command, args, { stdio: ['ignore', 2, 2] }).status === 0;

function versionOf(command) {
  // a Python without the parts that make a virtual environment will not do
  const asked = 'import ensurepip, platform, venv; print(platform.python_version())';
  const answer = spawnSync(command, ['-c', asked], { encoding: 'utf8' });
  return answer.status === 0 ? answer.stdout.trim() : undefined;
}

/**
 * The Python of a virtual environment with the clients that tests use, each checked by its hash. It is made once per user
 * and version. Throws `REMIT_SETUP_NO_PYTHON`, `REMIT_SETUP_PYTHON_NOT_FETCHED`.
 */
export function preparePython(root) {
  const requirements = join(root, 'test', 'clients', 'requirements.txt');
  const install = () => (installWithApt(['python3', 'python3-venv']) ? versionOf('python3') : undefined);
  const version = versionOf('python3') ?? install();
  if (version === undefined) {
    throw new SetupFailure(
      'REMIT_SETUP_NO_PYTHON',
      'no Python 3 with venv; install it, for example: apt-get install python3 python3-venv ' +
        '(REMIT_SETUP_INSTALL=1 lets this script do it, as root)',
    );
  }
  const digest = createHash('sha256').update(version).update(readFileSync(requirements)).digest('hex').slice(0, 16);
  const name = `python-${digest}`;
  const folder =
    cached(name) ??
    putIntoCache(name, (draft) => {
      say(`Installing Kafka clients for Python ${version}`);
      const own = join(draft, 'bin', 'python');
      const options = [
        '--quiet',
        '--require-hashes',
        '--only-binary=:all:',
        '--no-deps',
        '--requirement',
        requirements,
      ];
      if (!run('python3', ['-m', 'venv', draft]) || !run(own, ['-m', 'pip', 'install', ...options])) {
        throw new SetupFailure(
          'REMIT_SETUP_PYTHON_NOT_FETCHED',
          'pip could not install the clients of test/clients/requirements.txt; its own message is above',
        );
      }
    });
  return join(folder, 'bin', 'python');
}
