import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { lintFindings, PlantedTree } from './planted-tree.js';

/** What must be caught: the title says the ban, the path where it holds. */
const PLANTED: Record<string, { file: string; text: string; rule: string }> = {
  'the type any': {
    file: 'libs/bus/any.ts',
    text: 'export const anything = (value: any): unknown => value;',
    rule: '@typescript-eslint/no-explicit-any',
  },
  'a promise nobody waits for': {
    file: 'libs/bus/floating.ts',
    text: 'export function start(): void { Promise.reject(new Error()); }',
    rule: '@typescript-eslint/no-floating-promises',
  },
  'a promise where a plain function is expected': {
    file: 'libs/bus/misused.ts',
    text: 'export function run(): void { [1].forEach(async () => { await Promise.resolve(); }); }',
    rule: '@typescript-eslint/no-misused-promises',
  },
  'a variable nobody uses': {
    file: 'apps/audit/unused.ts',
    text: 'export function start(): void { const forgotten = 1; }',
    rule: '@typescript-eslint/no-unused-vars',
  },
  'the console in a lib': { file: 'libs/record/console.ts', text: `console.log('hello');`, rule: 'no-console' },
  'the environment outside libs/config': {
    file: 'libs/bus/environment.ts',
    text: 'export const broker = process.env;',
    rule: 'no-restricted-syntax',
  },
  'the environment by import': {
    file: 'apps/audit/environment.ts',
    text: `import { env } from 'node:process'; export const broker = env;`,
    rule: 'no-restricted-syntax',
  },
  'the clock in the domain, by Date.now': {
    file: 'libs/domain/now.ts',
    text: 'export const now = (): number => Date.now();',
    rule: 'no-restricted-syntax',
  },
  'the clock in the domain, by new Date()': {
    file: 'libs/domain/new-date.ts',
    text: 'export const now = (): Date => new Date();',
    rule: 'no-restricted-syntax',
  },
  'the clock in the domain, by Date()': {
    file: 'libs/domain/date-call.ts',
    text: 'export const now = (): string => Date();',
    rule: 'no-restricted-syntax',
  },
  'the clock in the domain, by formatting nothing': {
    file: 'libs/domain/format.ts',
    text: `export const now = (): string => new Intl.DateTimeFormat('en').format();`,
    rule: 'no-restricted-syntax',
  },
  'the monotonic clock in the domain': {
    file: 'libs/domain/performance.ts',
    text: 'export const now = (): number => performance.now();',
    rule: 'no-restricted-globals',
  },
  'chance in the domain': {
    file: 'libs/domain/random.ts',
    text: 'export const chance = (): number => Math.random();',
    rule: 'no-restricted-syntax',
  },
  'a random id in the domain': {
    file: 'libs/domain/uuid.ts',
    text: 'export const id = (): string => crypto.randomUUID();',
    rule: 'no-restricted-globals',
  },
  'a timer in the domain': {
    file: 'libs/domain/timer.ts',
    text: 'export function later(what: () => void): void { setTimeout(what, 1); }',
    rule: 'no-restricted-globals',
  },
  'the way round by globalThis in the domain': {
    file: 'libs/domain/global.ts',
    text: 'export const all: unknown = globalThis;',
    rule: 'no-restricted-globals',
  },
};

const LAWFUL: Record<string, string> = {
  'package.json': JSON.stringify({ type: 'module' }),
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      strict: true,
      module: 'nodenext',
      target: 'es2023',
      lib: ['es2023', 'dom'],
      types: [],
      noEmit: true,
    },
    include: ['apps', 'libs', 'globals.d.ts'],
  }),
  'globals.d.ts':
    'declare const process: { env: Record<string, string | undefined> }; declare module "node:process" { export const env: Record<string, string | undefined>; }',
  'libs/config/environment.ts': 'export const broker = process.env;',
  'libs/domain/given-time.ts': `export const hour = (at: number): string => new Intl.DateTimeFormat('en').format(new Date(at));`,
  'libs/bus/clock.ts': 'export const now = (): number => Date.now();',
};

describe('the linter', () => {
  let tree: PlantedTree;
  let findings: string[];

  beforeAll(async () => {
    tree = new PlantedTree({
      ...LAWFUL,
      ...Object.fromEntries(Object.values(PLANTED).map(({ file, text }) => [file, `${text}\n`])),
    });
    findings = await lintFindings(tree.folder);
  });

  afterAll(() => {
    tree.remove();
  });

  it.each(Object.entries(PLANTED))('catches %s', (_, { file, rule }) => {
    expect(findings).toContain(`${file}: ${rule}`);
  });

  it('finds nothing besides what was planted', () => {
    expect(findings).toEqual(
      Object.values(PLANTED)
        .map(({ file, rule }) => `${file}: ${rule}`)
        .sort(),
    );
  });
});
