import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const ROOT = process.cwd();

describe('--help in a clean clone, before anything is installed', () => {
  let clone: string;

  beforeAll(() => {
    clone = mkdtempSync(join(tmpdir(), 'remit-clone-'));
    cpSync(join(ROOT, 'tools'), join(clone, 'tools'), { recursive: true });
  });
  afterAll(() => rmSync(clone, { recursive: true }));

  function remitDev(...args: string[]) {
    return spawnSync(process.execPath, [join(clone, 'tools', 'remit-dev.mjs'), ...args], { encoding: 'utf8' });
  }

  it.each([
    ['start', 'npm start -- [--services] [--jaeger]'],
    ['demo', 'npm run demo -- [--services] [--json]'],
    ['test', 'npm test -- [--only WHAT'],
    ['test-observability', 'npm run test:observability --'],
    ['bench', 'npm run bench -- [--only WHAT'],
    ['chaos', 'npm run chaos -- [--only WHAT'],
    ['backends', 'backends [--keep | --stop]'],
  ])('%s explains itself, and neither installs nor starts anything', (command, usage) => {
    for (const option of ['--help', '-h']) {
      const { status, stdout, stderr } = remitDev(command, option);
      expect(stdout).toContain(usage);
      expect([status, stderr]).toEqual([0, '']);
    }
    expect(readdirSync(clone)).toEqual(['tools']);
  });

  it('names every bench there is', () => {
    const groups = [
      ...readFileSync(join(ROOT, 'test/bench/main.ts'), 'utf8').matchAll(/^ {2}'?([a-z-]+)'?: \{( about:|$)/gm),
    ].map(([, name]) => name ?? '');
    expect(groups.length).toBeGreaterThan(5);
    const { stdout } = remitDev('bench', '--help');
    for (const name of groups) expect(stdout).toContain(name);
  });

  it('names every group of faults there is', () => {
    const [, table = ''] =
      /const GROUPS[^{]*\{\n(.*?)\};/s.exec(readFileSync(join(ROOT, 'test/chaos/main.ts'), 'utf8')) ?? [];
    const groups = [...table.matchAll(/^ {2}([a-z-]+)[,:]/gm)].map(([, name]) => name ?? '');
    expect(groups).toContain('groups');
    const { stdout } = remitDev('chaos', '--help');
    for (const name of groups) expect(stdout).toMatch(new RegExp(`^ +(--only WHAT +)?${name} `, 'm'));
  });
});
