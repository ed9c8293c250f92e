import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { prepareActionlint } from '../backends/actionlint.mjs';
import { startBackends } from '../backends/backends.mjs';
import { preparePython } from '../backends/python.mjs';
import { build } from '../setup/build.mjs';
import { Checks, jest, parseGroups } from './checks.mjs';
import { built } from './foreground.mjs';

const GROUPS = ['static', 'unit', 'integration', 'e2e', 'clients'];
const NO_GO = ['REMIT_SETUP_NO_GO', 'REMIT_SETUP_GO_NOT_FETCHED'];
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
    await checkWorkflows(run, checks);
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

/** Unknown to GitHub, and so to whatever checks workflows. */
const WRONG_WORKFLOW = 'on: push\njobs: { a: { runs-on: ubuntu-24.04, step: [{ run: "true" }] } }\n';

/** Workflows as GitHub would read them. Where there is no Go to build actionlint with, that is said. */
async function checkWorkflows(run, checks) {
  const title = 'workflows';
  let actionlint;
  try {
    actionlint = await prepareActionlint(run);
  } catch (error) {
    if (!NO_GO.includes(error.code)) throw error;
    checks.notChecked(title, `${error.code}: ${error.message}`);
    return;
  }
  // neither of these is there on every machine
  const without = ['-shellcheck=', '-pyflakes='];
  const folder = join(run.root, '.github', 'workflows');
  const files = readdirSync(folder).map((name) => join(folder, name));
  await checks.program(run, title, { command: actionlint, args: [...without, ...files] });
  await checks.check('a workflow that is wrong is refused', () => {
    const { status } = spawnSync(actionlint, [...without, '-'], { input: WRONG_WORKFLOW });
    return status === 1 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  });
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
