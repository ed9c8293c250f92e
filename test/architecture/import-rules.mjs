// Who may import whom. Each rule has a planted violation in import-rules.spec.ts that proves it bites.

const SPEC = '\\.spec\\.ts$';

/** What each lib may import besides itself. A lib that is not here may import nothing of ours. */
const LIBS = {
  domain: [],
  contracts: ['domain'],
  cases: ['contracts', 'domain'],
  config: [],
  telemetry: ['contracts', 'domain'],
  bus: ['config', 'contracts', 'domain', 'telemetry'],
  postgres: ['config'],
  'event-store': ['contracts', 'domain', 'postgres'],
  record: ['config', 'contracts', 'domain', 'postgres'],
  signing: ['bus', 'contracts', 'domain'],
  agent: ['bus', 'config', 'contracts', 'domain', 'signing', 'telemetry'],
  segment: ['bus', 'config', 'contracts', 'domain', 'telemetry'],
  authority: ['bus', 'contracts', 'domain', 'event-store', 'segment', 'telemetry'],
  service: [
    'authority',
    'bus',
    'config',
    'contracts',
    'domain',
    'event-store',
    'record',
    'segment',
    'signing',
    'telemetry',
  ],
  stories: ['agent', 'bus', 'contracts', 'domain', 'record', 'service'],
};

/** Packages without Node, clock, chance, input or output: all that the domain may use. */
const PURE_PACKAGES = [
  '@marcbachmann/cel-js',
  '@noble/hashes',
  'immutable',
  'libphonenumber-js',
  're2js',
  'yaml',
  'zod',
];

const packages = (names) => `(^|/)node_modules/(${names.join('|')})/`;

const directions = Object.entries(LIBS).map(([lib, allowed]) => ({
  name: `lib-directions-${lib}`,
  comment: `libs/${lib} imports ${allowed.length === 0 ? 'no other lib' : `only ${allowed.join(', ')}`}.`,
  severity: 'error',
  from: { path: `^libs/${lib}/`, pathNot: SPEC },
  to: { path: '^libs/', pathNot: `^libs/(${[lib, ...allowed].join('|')})/` },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...directions,
    {
      name: 'lib-directions-unlisted',
      comment: 'A lib with no entry in import-rules.mjs imports nothing of ours: say first what it may.',
      severity: 'error',
      from: { path: '^libs/([^/]+)/', pathNot: `^libs/(${[...Object.keys(LIBS), 'testing'].join('|')})/` },
      to: { path: '^libs/', pathNot: '^libs/$1/' },
    },
    {
      name: 'domain-is-pure',
      comment: 'libs/domain imports no Node module: no I/O, no clock, no randomness.',
      severity: 'error',
      from: { path: '^libs/domain/', pathNot: SPEC },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'domain-uses-pure-packages',
      comment: `libs/domain imports only ${PURE_PACKAGES.join(', ')}.`,
      severity: 'error',
      from: { path: '^libs/domain/', pathNot: SPEC },
      to: { path: '(^|/)node_modules/', pathNot: packages(PURE_PACKAGES) },
    },
    {
      name: 'libs-do-not-know-apps',
      comment: 'Imports point one way: apps import libs.',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^apps/' },
    },
    {
      name: 'apps-do-not-know-apps',
      comment: 'Apps meet on the bus only; standalone alone composes them.',
      severity: 'error',
      from: { path: '^apps/([^/]+)/', pathNot: '^apps/standalone/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'product-does-not-know-its-tests',
      comment: 'What runs in production imports neither tests nor tools.',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: [SPEC, '^libs/testing/'] },
      to: { path: '^(test|tools|libs/testing)/' },
    },
    {
      name: 'product-has-no-development-packages',
      comment: 'What runs in production imports no dev dependency: the image does not have it.',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: [SPEC, '^libs/testing/'] },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'one-door-from-libs',
      comment: 'A lib is entered by its index.ts only.',
      severity: 'error',
      from: { path: '^libs/([^/]+)/' },
      to: { path: '^libs/', pathNot: ['^libs/$1/', '^libs/[^/]+/index\\.ts$'] },
    },
    {
      name: 'one-door-from-outside',
      comment: 'A lib is entered by its index.ts only.',
      severity: 'error',
      from: { path: '^(apps|test|tools)/' },
      to: { path: '^libs/', pathNot: '^libs/[^/]+/index\\.ts$' },
    },
    {
      name: 'door-by-name',
      comment: 'Libs are imported by name (#domain, #bus), never by path, not even by their own files.',
      severity: 'error',
      from: { path: '^(apps|libs|test|tools)/' },
      to: { path: '^libs/[^/]+/index\\.ts$', dependencyTypesNot: ['aliased-subpath-import'] },
    },
    {
      name: 'kafkajs-behind-the-bus',
      comment: 'kafkajs is imported in libs/bus and libs/agent only, so that it can be replaced.',
      severity: 'error',
      from: { path: '^(apps|libs|tools)/', pathNot: ['^libs/(bus|agent)/', SPEC] },
      to: { path: packages(['kafkajs']) },
    },
    {
      name: 'database-behind-its-libs',
      comment: 'TypeORM and pg are imported in the libs that own tables, and in libs/postgres, which connects them.',
      severity: 'error',
      from: {
        path: '^(apps|libs|tools)/',
        pathNot: ['^libs/(event-store|postgres|record)/', '^tools/backends/', SPEC],
      },
      to: { path: packages(['typeorm', 'pg', '@nestjs/typeorm']) },
    },
    {
      name: 'opentelemetry-behind-its-lib',
      comment:
        'OpenTelemetry is imported in libs/telemetry, where its names are, and in libs/agent, which uses the API.',
      severity: 'error',
      from: { path: '^(apps|libs|tools)/', pathNot: ['^libs/(telemetry|agent)/', '^libs/testing/', SPEC] },
      to: { path: packages(['@opentelemetry/[^/]+']) },
    },
    {
      name: 'audit-beside-the-judge',
      comment: 'The thread that judges loads nothing of audit: what is loaded there can hold up a decision.',
      severity: 'error',
      from: { path: '^apps/standalone/main\\.ts$' },
      to: { path: '^(apps/audit|libs/record)/', reachable: true },
    },
    {
      name: 'no-cycles',
      comment: 'Files that need each other are one story: put it in one file, or turn one of the arrows.',
      severity: 'error',
      from: { path: '^(apps|libs|test|tools)/' },
      to: { circular: true },
    },
    {
      name: 'imports-resolve',
      comment: 'Every import leads somewhere; the #names are in package.json.',
      severity: 'error',
      from: { path: '^(apps|libs|test|tools)/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|\\.remit|coverage)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      conditionNames: ['types', 'import', 'require', 'node', 'default'],
      exportsFields: ['exports'],
      extensions: ['.ts', '.d.ts', '.js', '.mjs', '.cjs', '.json'],
    },
  },
};
