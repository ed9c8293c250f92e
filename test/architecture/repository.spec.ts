import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { ROOT } from './planted-tree.js';

const text = (...path: string[]): string => readFileSync(join(ROOT, ...path), 'utf8');
const manifest = JSON.parse(text('package.json')) as {
  engines: { node: string };
  devDependencies: Record<string, string>;
};
const WORKFLOWS = join('.github', 'workflows');
const workflows = readdirSync(join(ROOT, WORKFLOWS));

interface Workflow {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<
    Record<string, { readonly permissions?: object; readonly 'timeout-minutes'?: number; readonly uses?: string }>
  >;
}

describe('the version of Node', () => {
  const pinned = text('.nvmrc').trim();
  const [major = ''] = pinned.split('.');

  it('is the same for editors, scripts and the image, and one that the package takes', () => {
    expect(manifest.devDependencies['node']).toBe(pinned);
    expect(text('Dockerfile')).toMatch(new RegExp(`^FROM node:${major}-`, 'm'));
    const [, oldest = ''] = /^>=(\d+)\./.exec(manifest.engines.node) ?? [];
    expect(Number(major)).toBeGreaterThanOrEqual(Number(oldest));
  });

  it('is the one that the README promises', () => {
    expect(text('README.md')).toContain(`brings its own Node ${major}`);
  });
});

describe('workflows', () => {
  it.each(workflows)('%s uses actions at a commit, with its version beside it, and nothing that may move', (name) => {
    const uses = text(WORKFLOWS, name)
      .split('\n')
      .filter((line) => /^\s*(- )?uses:/.test(line))
      .map((line) => line.replace(/^\s*(- )?uses: /, ''));
    const moving = uses.filter((action) => !/^(\.\/|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$)/.test(action));
    expect(uses).not.toEqual([]);
    expect(moving).toEqual([]);
  });

  it('use one commit of each action, wherever they use it', () => {
    const pinned = workflows.flatMap((name) => [
      ...text(WORKFLOWS, name).matchAll(/([\w-]+\/[\w-]+)\S*@([0-9a-f]{40})/g),
    ]);
    const commits = Map.groupBy(pinned, ([, repository]) => repository);
    const several = [...commits].filter(([, uses]) => new Set(uses.map(([, , commit]) => commit)).size > 1);
    expect(several.map(([repository]) => repository)).toEqual([]);
  });

  it.each(workflows)(
    '%s may read the code and nothing else, unless a job says what it needs; and every job ends',
    (name) => {
      const { permissions, jobs } = parse(text(WORKFLOWS, name)) as Workflow;
      expect(permissions).toEqual({ contents: 'read' });
      for (const job of Object.values(jobs)) {
        expect(job.uses !== undefined || (job['timeout-minutes'] ?? 0) > 0).toBe(true);
      }
    },
  );
});

describe('documents', () => {
  const FOLDERS = ['.', '.github', 'docs', 'docs/adr', 'docs/guide', 'docs/reference'];
  const pages = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  );

  it.each(pages)('%s links to nothing that is not there', (page) => {
    const links = [...text(page).matchAll(/\]\((?!https?:|mailto:|#)([^)\s#]+)/g)].map(([, link = '']) => link);
    const dead = links.filter((link) => !existsSync(join(ROOT, dirname(page), link)));
    expect(dead).toEqual([]);
  });

  it('name owners only for folders that exist', () => {
    const paths = text('.github', 'CODEOWNERS')
      .split('\n')
      .flatMap((line) => /^(\/\S+)/.exec(line)?.[1] ?? []);
    expect(paths).not.toEqual([]);
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});
