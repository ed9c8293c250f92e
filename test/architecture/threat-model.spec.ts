import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ROOT } from './planted-tree.js';

interface Claim {
  readonly line: string;
  readonly verdict: string;
  readonly tests: readonly { readonly title: string; readonly path: string }[];
}

function claimsOf(text: string): Claim[] {
  const model = text.slice(text.indexOf('## Threat model'), text.indexOf('## Not yet'));
  const rows = model.split('\n').filter((line) => /^\| (?!-|can it)/.test(line));
  return rows.map((line) => ({
    line,
    verdict: line.split(' | ')[1]?.trim() ?? '',
    tests: [...line.matchAll(/\[([^\]]+)\]\(([^)]+\.spec\.ts)\)/g)].map(([, title = '', path = '']) => ({
      title,
      path,
    })),
  }));
}

/** The tests named in a claim that are not there. */
function missingOf({ tests }: Claim): string[] {
  return tests
    .filter(({ title, path }) => {
      const file = join(ROOT, path);
      return !existsSync(file) || !readFileSync(file, 'utf8').includes(`'${title}'`);
    })
    .map(({ title, path }) => `${path}: ${title}`);
}

describe('the threat model in SECURITY.md', () => {
  const claims = claimsOf(readFileSync(join(ROOT, 'SECURITY.md'), 'utf8'));

  it('names for each claim a test that is there', () => {
    expect(claims.length).toBeGreaterThan(35);
    expect(claims.flatMap(missingOf)).toEqual([]);
  });

  it('says of nothing that it is prevented without a test', () => {
    const unproven = claims.filter(({ verdict, tests }) => !verdict.startsWith('**yes**') && tests.length === 0);
    expect(unproven.map(({ line }) => line)).toEqual([]);
  });

  it('would notice a test that is called otherwise', () => {
    const [proven] = claims;
    if (proven === undefined) throw new Error('there must be a claim');
    const renamed = proven.tests.map(({ title, path }) => ({ title: `${title} otherwise`, path }));
    expect(missingOf({ ...proven, tests: renamed })).toHaveLength(proven.tests.length);
    expect(proven.tests).not.toEqual([]);
  });
});
