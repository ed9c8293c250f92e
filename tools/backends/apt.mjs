import { spawnSync } from 'node:child_process';
import { say } from '../failure.mjs';

/** Installs Debian packages where that was asked for, or where nobody is there to ask. */
export function installWithApt(packages) {
  const asked = process.env.CI === 'true' || process.env.REMIT_SETUP_INSTALL === '1';
  if (!asked || process.getuid?.() !== 0) return false;
  const apt = (args) =>
    spawnSync('apt-get', ['-q', '-y', ...args], {
      stdio: ['ignore', 2, 2],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0;
  say(`Installing ${packages.join(', ')} with apt-get`);
  return apt(['update']) && apt(['install', '--no-install-recommends', ...packages]);
}
