import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import rules from './import-rules.mjs';
import { importViolations, PlantedTree, ROOT } from './planted-tree.js';

const LIBS = [
  'agent',
  'authority',
  'bus',
  'config',
  'contracts',
  'domain',
  'event-store',
  'record',
  'segment',
  'service',
  'telemetry',
];

/** A tree that keeps every rule: each line of it is something the rules must go on allowing. */
const LAWFUL: Record<string, string> = {
  'package.json': JSON.stringify({
    type: 'module',
    imports: Object.fromEntries(
      [...LIBS, 'testing', 'unlisted'].map((lib) => [
        `#${lib}`,
        { types: `./libs/${lib}/index.ts`, default: `./dist/${lib}.js` },
      ]),
    ),
    dependencies: { zod: '1', kafkajs: '1', typeorm: '1', express: '1', '@opentelemetry/api': '1' },
    devDependencies: { 'fast-check': '1' },
  }),
  'tsconfig.json': JSON.stringify({ compilerOptions: { module: 'nodenext', target: 'es2023' } }),
  ...Object.fromEntries(
    ['zod', 'kafkajs', 'typeorm', 'express', '@opentelemetry/api', 'fast-check'].flatMap((name) => [
      [`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' })],
      [`node_modules/${name}/index.js`, 'module.exports = {};'],
    ]),
  ),
  ...Object.fromEntries(
    [...LIBS, 'testing', 'unlisted'].map((lib) => [`libs/${lib}/index.ts`, `export * from './inner.js';`]),
  ),
  ...Object.fromEntries(
    [...LIBS, 'testing', 'unlisted'].map((lib) => [`libs/${lib}/inner.ts`, 'export const inner = 1;']),
  ),
  'libs/domain/pure.ts': `import 'zod';`,
  'libs/domain/pure.spec.ts': `import 'fast-check'; import 'node:fs';`,
  'libs/contracts/lawful.ts': `import '#domain'; import 'node:crypto';`,
  'libs/bus/lawful.ts': `import '#contracts'; import 'kafkajs';`,
  'libs/telemetry/lawful.ts': `import '#domain'; import '@opentelemetry/api';`,
  'libs/record/lawful.ts': `import '#domain'; import 'typeorm';`,
  'libs/testing/lawful.ts': `import '#agent'; import 'fast-check';`,
  'apps/standalone/audit-worker.ts': `import '#service'; import '../audit/main.js';`,
  'apps/audit/main.ts': `import '#record';`,
  'test/lawful.ts': `import '#testing'; import '../apps/audit/main.js'; import 'kafkajs';`,
  'tools/lawful.ts': `import '#testing';`,
};

/** One violation of each rule: the file that breaks it, its text, and where its import leads. */
const PLANTED: Record<string, { file: string; text: string; to: string }> = {
  'lib-directions-domain': {
    file: 'libs/domain/planted.ts',
    text: `import '#contracts';`,
    to: 'libs/contracts/index.ts',
  },
  'lib-directions-contracts': { file: 'libs/contracts/planted.ts', text: `import '#bus';`, to: 'libs/bus/index.ts' },
  'lib-directions-cases': { file: 'libs/cases/planted.ts', text: `import '#bus';`, to: 'libs/bus/index.ts' },
  'lib-directions-config': { file: 'libs/config/planted.ts', text: `import '#domain';`, to: 'libs/domain/index.ts' },
  'lib-directions-telemetry': { file: 'libs/telemetry/planted.ts', text: `import '#bus';`, to: 'libs/bus/index.ts' },
  'lib-directions-bus': { file: 'libs/bus/planted.ts', text: `import '#record';`, to: 'libs/record/index.ts' },
  'lib-directions-postgres': { file: 'libs/postgres/planted.ts', text: `import '#bus';`, to: 'libs/bus/index.ts' },
  'lib-directions-event-store': {
    file: 'libs/event-store/planted.ts',
    text: `import '#bus';`,
    to: 'libs/bus/index.ts',
  },
  'lib-directions-signing': { file: 'libs/signing/planted.ts', text: `import '#record';`, to: 'libs/record/index.ts' },
  'lib-directions-record': { file: 'libs/record/planted.ts', text: `import '#bus';`, to: 'libs/bus/index.ts' },
  'lib-directions-agent': { file: 'libs/agent/planted.ts', text: `import '#segment';`, to: 'libs/segment/index.ts' },
  'lib-directions-segment': { file: 'libs/segment/planted.ts', text: `import '#record';`, to: 'libs/record/index.ts' },
  'lib-directions-authority': {
    file: 'libs/authority/planted.ts',
    text: `import '#record';`,
    to: 'libs/record/index.ts',
  },
  'lib-directions-service': { file: 'libs/service/planted.ts', text: `import '#agent';`, to: 'libs/agent/index.ts' },
  'lib-directions-stories': {
    file: 'libs/stories/planted.ts',
    text: `import '#segment';`,
    to: 'libs/segment/index.ts',
  },
  'lib-directions-unlisted': {
    file: 'libs/unlisted/planted.ts',
    text: `import '#domain';`,
    to: 'libs/domain/index.ts',
  },
  'domain-is-pure': { file: 'libs/domain/reads-files.ts', text: `import 'node:fs';`, to: 'fs' },
  'domain-uses-pure-packages': {
    file: 'libs/domain/uses-express.ts',
    text: `import 'express';`,
    to: 'node_modules/express/index.js',
  },
  'libs-do-not-know-apps': {
    file: 'libs/segment/knows-app.ts',
    text: `import '../../apps/audit/main.js';`,
    to: 'apps/audit/main.ts',
  },
  'apps-do-not-know-apps': {
    file: 'apps/policy/planted.ts',
    text: `import '../audit/main.js';`,
    to: 'apps/audit/main.ts',
  },
  'product-does-not-know-its-tests': {
    file: 'apps/audit/planted.ts',
    text: `import '#testing';`,
    to: 'libs/testing/index.ts',
  },
  'product-has-no-development-packages': {
    file: 'apps/audit/uses-fast-check.ts',
    text: `import 'fast-check';`,
    to: 'node_modules/fast-check/index.js',
  },
  'one-door-from-libs': {
    file: 'libs/contracts/side-door.ts',
    text: `import '../domain/inner.js';`,
    to: 'libs/domain/inner.ts',
  },
  'one-door-from-outside': {
    file: 'apps/audit/side-door.ts',
    text: `import '../../libs/bus/inner.js';`,
    to: 'libs/bus/inner.ts',
  },
  'door-by-name': { file: 'apps/audit/by-path.ts', text: `import '../../libs/bus/index.js';`, to: 'libs/bus/index.ts' },
  'kafkajs-behind-the-bus': {
    file: 'apps/audit/uses-kafkajs.ts',
    text: `import 'kafkajs';`,
    to: 'node_modules/kafkajs/index.js',
  },
  'database-behind-its-libs': {
    file: 'apps/audit/uses-typeorm.ts',
    text: `import type {} from 'typeorm';`,
    to: 'node_modules/typeorm/index.js',
  },
  'opentelemetry-behind-its-lib': {
    file: 'apps/audit/uses-opentelemetry.ts',
    text: `import '@opentelemetry/api';`,
    to: 'node_modules/@opentelemetry/api/index.js',
  },
  'audit-beside-the-judge': {
    file: 'apps/standalone/main.ts',
    text: `import '../audit/lost.js';`,
    to: 'apps/audit/lost.ts',
  },
  'no-cycles': { file: 'apps/audit/ring-a.ts', text: `import './ring-b.js';`, to: 'apps/audit/ring-b.ts' },
  'imports-resolve': { file: 'apps/audit/lost.ts', text: `import './nowhere.js';`, to: './nowhere.js' },
};

/** The other half of the ring, which is one violation. */
const RING = { 'apps/audit/ring-b.ts': `import './ring-a.js';` };

describe('the import rules', () => {
  let lawful: PlantedTree;
  let planted: PlantedTree;
  let violations: string[];

  beforeAll(async () => {
    lawful = new PlantedTree(LAWFUL);
    planted = new PlantedTree({
      ...LAWFUL,
      ...RING,
      ...Object.fromEntries(Object.values(PLANTED).map(({ file, text }) => [file, text])),
    });
    violations = await importViolations(planted.folder);
  });

  afterAll(() => {
    lawful.remove();
    planted.remove();
  });

  it('have a planted violation each', () => {
    expect(Object.keys(PLANTED).sort()).toEqual(rules.forbidden.map(({ name }) => name).sort());
  });

  it.each(Object.entries(PLANTED))('%s is caught where it is broken', (rule, { file, to }) => {
    expect(violations).toContain(`${rule}: ${file} → ${to}`);
  });

  it('find nothing besides what was planted', () => {
    const expected = Object.entries(PLANTED).map(([rule, { file, to }]) => `${rule}: ${file} → ${to}`);
    expect(violations).toEqual(expected.sort());
  });

  it('allow what the design allows', async () => {
    expect(await importViolations(lawful.folder)).toEqual([]);
  });

  it('are kept by all of Remit', async () => {
    expect(await importViolations(ROOT)).toEqual([]);
  });
});
