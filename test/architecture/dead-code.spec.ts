import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deadCode, PlantedTree, ROOT } from './planted-tree.js';

const FILES = {
  'package.json': JSON.stringify({
    name: 'planted',
    type: 'module',
    imports: { '#domain': { types: './libs/domain/index.ts', default: './dist/libs/domain/index.js' } },
    dependencies: { 'nobody-imports-it': '1.0.0' },
  }),
  'tsconfig.json': readFileSync(join(ROOT, 'tsconfig.json'), 'utf8'),
  'knip.config.js': readFileSync(join(ROOT, 'knip.config.js'), 'utf8'),
  'apps/boundary/main.ts': `import { used } from '#domain'; import undeclared from 'undeclared'; undeclared(used);`,
  'libs/domain/index.ts': `export { used, unused } from './rules.js'; export type { Unused } from './rules.js';`,
  'libs/domain/rules.ts': `export const used = 1; export const unused = 2; export interface Unused { readonly a: 1 }`,
  'libs/domain/forgotten.ts': 'export const forgotten = 1;',
  'libs/agent/index.ts': 'export const offeredToOthers = 1;',
};

describe('code that nothing needs', () => {
  let tree: PlantedTree;
  let found: string[];

  beforeAll(async () => {
    tree = new PlantedTree(FILES);
    found = await deadCode(tree.folder);
  });
  afterAll(() => tree.remove());

  it.each([
    ['a file that nobody imports', 'libs/domain/forgotten.ts: files libs/domain/forgotten.ts'],
    ['what a lib offers and nobody takes', 'libs/domain/index.ts: exports unused'],
    ['a type that a lib offers and nobody takes', 'libs/domain/index.ts: types Unused'],
    ['a dependency that nobody imports', 'package.json: dependencies nobody-imports-it'],
    ['a package that is imported and not declared', 'apps/boundary/main.ts: unlisted undeclared'],
  ])('%s is found', (_, finding) => {
    expect(found).toContain(finding);
  });

  it('is not what is used, nor what the SDK offers to others', () => {
    expect(found.filter((finding) => / used$|offeredToOthers/.test(finding))).toEqual([]);
  });
});
