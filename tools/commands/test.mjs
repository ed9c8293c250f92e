import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { startBackends } from '../backends/backends.mjs';
import { SetupFailure } from '../failure.mjs';
import { build } from '../setup/build.mjs';
import { built, runProgram } from './foreground.mjs';

const GROUPS = ['static', 'unit', 'integration', 'e2e'];

/** `test`: every check there is, each with a heading and its time; goes on after a failure, and sums up at the end. */
export async function test({ root, args, openRun }) {
  const { groups, summary, jestArgs } = parse(args);
  await build(root);
  const run = await openRun({ name: 'test', fresh: true });
  const total = { passed: 0, failed: 0 };
  const check = async (title, body) => {
    process.stdout.write(`\n── ${title}\n`);
    const started = performance.now();
    const { passed, failed } = await body();
    total.passed += passed;
    total.failed += failed;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`── ${title}: ${failed === 0 ? 'passed' : `${failed} failed`} (${seconds} s)\n`);
  };

  if (groups.includes('static')) {
    for (const { title, program } of staticChecks(root)) {
      await check(title, async () => {
        const code = await runProgram(run, { name: title, args: program });
        return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
      });
    }
  }
  if (groups.includes('unit')) await check('unit and case tests', () => jest(run, 'unit', {}, jestArgs));
  if (groups.includes('integration') || groups.includes('e2e')) {
    process.stdout.write('\n── backends\n');
    const addresses = await startBackends(run);
    if (groups.includes('integration')) {
      await check('integration tests on real Kafka and PostgreSQL', () =>
        jest(run, 'integration', addresses, jestArgs),
      );
    }
    if (groups.includes('e2e')) await check('end-to-end tests', () => jest(run, 'e2e', addresses, jestArgs));
  }

  process.stdout.write(`\n${total.passed} passed, ${total.failed} failed\n`);
  if (summary !== undefined) {
    mkdirSync(dirname(summary), { recursive: true });
    writeFileSync(summary, JSON.stringify(total));
  }
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

function parse(args) {
  const jestArgs = [...args];
  const take = (option) => {
    const at = jestArgs.indexOf(option);
    return at === -1 ? undefined : jestArgs.splice(at, 2)[1];
  };
  const only = take('--only');
  const summary = take('--summary');
  const groups = only?.split(',') ?? GROUPS;
  const unknown = groups.filter((group) => !GROUPS.includes(group));
  if (unknown.length > 0) {
    throw new SetupFailure('REMIT_SETUP_NO_SUCH_TESTS', `--only takes ${GROUPS.join(', ')}; not ${unknown.join(', ')}`);
  }
  return { groups, summary: summary === undefined ? undefined : resolve(summary), jestArgs };
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

/** One jest project. Counts tests, suites that could not run, and a jest that failed without saying which. */
async function jest(run, project, addresses, jestArgs) {
  const results = join(run.folder, `jest-${project}.json`);
  const code = await runProgram(run, {
    name: `jest ${project}`,
    nodeOptions: ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
    args: [
      join(run.root, 'node_modules', 'jest', 'bin', 'jest.js'),
      `--selectProjects=${project}`,
      `--maxWorkers=${project === 'e2e' ? 1 : 2}`,
      '--json',
      `--outputFile=${results}`,
      ...(jestArgs.length > 0 ? ['--passWithNoTests', ...jestArgs] : []),
    ],
    env: addresses,
  });
  const { numPassedTests = 0, numFailedTests = 0, numRuntimeErrorTestSuites = 0 } = readResults(results);
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  return { passed: numPassedTests, failed: failed === 0 && code !== 0 ? 1 : failed };
}

function readResults(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}
