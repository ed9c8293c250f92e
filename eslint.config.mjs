import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const ENVIRONMENT = [
  {
    selector: 'MemberExpression[object.name="process"][property.name="env"]',
    message: 'Only libs/config reads the environment: take what you need as a parameter.',
  },
  {
    selector: 'ImportDeclaration[source.value=/^(node:)?process$/]',
    message: 'Only libs/config reads the environment, and process is a global.',
  },
];

const CLOCKS_AND_CHANCE = [
  {
    selector: 'MemberExpression[object.name="Date"][property.name="now"]',
    message: 'The domain reads no clock: time comes with the command.',
  },
  {
    selector: ':matches(NewExpression, CallExpression)[callee.name="Date"][arguments.length=0]',
    message: 'The domain reads no clock: time comes with the command.',
  },
  {
    selector: 'MemberExpression[object.name="Temporal"][property.name="Now"]',
    message: 'The domain reads no clock: time comes with the command.',
  },
  {
    selector: 'CallExpression[callee.property.name=/^format(ToParts)?$/][arguments.length=0]',
    message: 'Without an argument this formats the present: the domain reads no clock.',
  },
  {
    selector: 'MemberExpression[object.name="Math"][property.name="random"]',
    message: 'The domain leaves nothing to chance: replay must give the same answer.',
  },
];

const IMPURE_GLOBALS = [
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'performance',
  'process',
  'crypto',
  'fetch',
  'console',
  'globalThis',
  'Buffer',
].map((name) => ({ name, message: 'The domain is pure: no clock, no timer, no chance, no input or output, no Node.' }));

const SCRIPT_GLOBALS = ['AbortSignal', 'Buffer', 'URL', 'console', 'fetch', 'performance', 'process', 'setTimeout'];

export default defineConfig(
  { ignores: ['dist/', '.remit/', 'coverage/', 'docs/reference/'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked, tseslint.configs.stylistic],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/prefer-readonly': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-restricted-syntax': ['error', ...ENVIRONMENT],
    },
  },
  { files: ['apps/**/*.ts', 'libs/**/*.ts'], rules: { 'no-console': 'error' } },
  { files: ['libs/config/**/*.ts'], rules: { 'no-restricted-syntax': 'off' } },
  {
    files: ['libs/domain/**/*.ts'],
    ignores: ['**/*.spec.ts'],
    rules: {
      'no-restricted-globals': ['error', ...IMPURE_GLOBALS],
      'no-restricted-syntax': ['error', ...ENVIRONMENT, ...CLOCKS_AND_CHANCE],
    },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: { globals: Object.fromEntries(SCRIPT_GLOBALS.map((name) => [name, 'readonly'])) },
    rules: { eqeqeq: 'error' },
  },
);
