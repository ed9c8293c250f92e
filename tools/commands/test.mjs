import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { startBackends } from '../backends/backends.mjs';
import { build } from '../setup/build.mjs';
import { Checks, jest, parseGroups } from './checks.mjs';
import { built } from './foreground.mjs';

const GROUPS = ['static', 'unit', 'integration', 'e2e'];

/** `test`: every check there is; goes on after a failure, and sums up at the end. */
export async function test({ root, args, openRun }) {
  const { groups, summary, rest: jestArgs } = parseGroups(args, GROUPS);
  await build(root);
  const run = await openRun({ name: 'test', fresh: true });
  const checks = new Checks();

  if (groups.includes('static')) {
    for (const { title, program } of staticChecks(root)) await checks.program(run, title, { args: program });
  }
  if (groups.includes('unit')) {
    await checks.check('unit and case tests', () => jest(run, 'unit', { workers: 2, args: jestArgs }));
  }
  if (groups.includes('integration') || groups.includes('e2e')) {
    process.stdout.write('\n── backends\n');
    const addresses = await startBackends(run);
    if (groups.includes('integration')) {
      await checks.check('integration tests on real Kafka and PostgreSQL', () =>
        jest(run, 'integration', { addresses, workers: 2, args: jestArgs }),
      );
    }
    if (groups.includes('e2e')) {
      await checks.check('end-to-end tests', () => jest(run, 'e2e', { addresses, args: jestArgs }));
    }
  }
  return checks.close(summary);
}

function staticChecks(root) {
  const packaged = (...path) => join(root, 'node_modules', ...path);
  return [
    { title: 'format', program: [packaged('prettier', 'bin', 'prettier.cjs'), '--check', '--log-level=warn', '.'] },
    { title: 'lint', program: [packaged('eslint', 'bin', 'eslint.js'), '.'] },
    { title: 'types', program: [packaged('typescript', 'bin', 'tsc'), '--noEmit', '-p', '.'] },
    ...(existsSync(built(root, 'tools', 'generate-reference.js'))
      ? [{ title: 'generated docs are fresh', program: [built(root, 'tools', 'generate-reference.js'), '--check'] }]
      : []),
    {
      title: 'architecture',
      program: [
        packaged('dependency-cruiser', 'bin', 'dependency-cruise.mjs'),
        '--config',
        join('test', 'architecture', 'import-rules.mjs'),
        'apps',
        'libs',
        'test',
        'tools',
      ],
    },
  ];
}
