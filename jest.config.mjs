import { readFileSync } from 'node:fs';

// packages have # names of their own
const { imports } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
const ours = Object.keys(imports).map((name) => name.slice(1));

/** @type {import('jest').Config} */
const shared = {
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest'] },
  moduleNameMapper: {
    [`^#(${ours.join('|')})$`]: '<rootDir>/libs/$1/index.ts',
    '^(\\.{1,2}/.*)(?<!\\.json)\\.js$': '$1',
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.remit/'],
};

export default {
  // A busy machine is slow; it is not wrong. Only what hangs fails.
  testTimeout: 300_000,
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['<rootDir>/{apps,libs,tools}/**/*.spec.ts', '<rootDir>/test/{cases,architecture}/**/*.spec.ts'],
    },
    { ...shared, displayName: 'integration', testMatch: ['<rootDir>/test/integration/**/*.spec.ts'] },
    { ...shared, displayName: 'e2e', testMatch: ['<rootDir>/test/e2e/**/*.spec.ts'] },
    {
      ...shared,
      displayName: 'clients',
      testMatch: ['<rootDir>/test/clients/**/*.spec.ts'],
      // made by tools/commands/test.mjs
      globals: { python: process.env.CLIENTS_PYTHON },
    },
    ...['jaeger', 'collector', 'dashboards'].map((name) => ({
      ...shared,
      displayName: name,
      testMatch: [`<rootDir>/test/${name}/**/*.spec.ts`],
      // what is none of Remit's own configuration, given by tools/commands/test-observability.mjs
      globals: { prometheusUrl: process.env.PROMETHEUS_URL, collectorEndpoint: process.env.COLLECTOR_OTLP_ENDPOINT },
    })),
  ],
};
