import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const ROOT = process.cwd();

describe('the tarball of a release', () => {
  let folder: string;
  let installed: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'remit-packed-'));
    execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: ROOT });
    const [tarball = ''] = readdirSync(folder);
    execFileSync('tar', ['-xzf', join(folder, tarball), '-C', folder]);
    // as npm lays it out: the package beside what it depends on
    installed = join(folder, 'node_modules', 'remit');
    mkdirSync(join(folder, 'node_modules'));
    execFileSync('mv', [join(folder, 'package'), installed]);
    for (const name of readdirSync(join(ROOT, 'node_modules')).filter((one) => !one.startsWith('.'))) {
      symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
    }
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('holds what runs, and no source, spec or secret', () => {
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' });
    for (const app of ['audit', 'boundary', 'cli', 'permission', 'policy', 'standalone', 'verifier']) {
      expect(files).toContain(join('dist', 'apps', app, 'main.js'));
    }
    for (const file of ['LICENSE', 'README.md', 'CHANGELOG.md', join('charters', 'starter.yaml')]) {
      expect(files).toContain(file);
    }
    expect(files.filter((file) => /(^|\/)(\.remit|test|testing)\/|\.ts$|\.spec\./.test(file))).toEqual([]);
  });

  it('installs a command line tool that builds nothing and fetches nothing', () => {
    const remit = (...args: string[]) =>
      spawnSync(process.execPath, [join(installed, 'tools', 'remit.mjs'), ...args], { cwd: folder, encoding: 'utf8' });
    expect(remit('--help')).toMatchObject({ status: 0, stderr: '' });
    expect(remit('charter', 'check', join(installed, 'charters', 'starter.yaml'))).toMatchObject({ status: 0 });
    expect(remit('charter', 'test', join(installed, 'charters', 'starter.yaml'))).toMatchObject({ status: 0 });
    expect(existsSync(join(installed, 'node_modules'))).toBe(false);
  });
});
