import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { startBackends } from '../backends/backends.mjs';
import { preparePython } from '../backends/python.mjs';
import { build } from '../setup/build.mjs';
import { Checks, jest, parseGroups } from './checks.mjs';
import { built } from './foreground.mjs';

const GROUPS = ['static', 'unit', 'integration', 'e2e', 'clients'];
const NO_PYTHON = ['REMIT_SETUP_NO_PYTHON', 'REMIT_SETUP_PYTHON_NOT_FETCHED'];
const ON_BACKENDS = ['integration', 'e2e', 'clients'];

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
  if (groups.some((group) => ON_BACKENDS.includes(group))) {
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
    if (groups.includes('clients')) await checkClients(run, checks, addresses, jestArgs);
  }
  return checks.close(summary);
}

/** Clients of other languages, with their own defaults. Where there is no such language, that is said. */
async function checkClients(run, checks, addresses, args) {
  const title = 'clients of other languages';
  let python;
  try {
    python = preparePython(run.root);
  } catch (error) {
    if (!NO_PYTHON.includes(error.code)) throw error;
    checks.notChecked(title, `${error.code}: ${error.message}`);
    return;
  }
  await checks.check(title, () => jest(run, 'clients', { addresses: { ...addresses, CLIENTS_PYTHON: python }, args }));
}

function staticChecks(root) {
  const packaged = (...path) => join(root, 'node_modules', ...path);
  return [
    { title: 'format', program: [packaged('prettier', 'bin', 'prettier.cjs'), '--check', '--log-level=warn', '.'] },
    { title: 'lint', program: [packaged('eslint', 'bin', 'eslint.js'), '.'] },
    { title: 'dead code', program: [packaged('knip', 'bin', 'knip.js'), '--no-progress'] },
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
