import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { SetupFailure } from '../failure.mjs';
import { runProgram } from './foreground.mjs';

/** Runs checks one after the other, each with a heading and its time; goes on after a failure, and sums up at the end. */
export class Checks {
  #total = { passed: 0, failed: 0 };
  #notChecked = [];

  /** @param {() => Promise<{ passed: number, failed: number }>} body */
  async check(title, body) {
    process.stdout.write(`\n── ${title}\n`);
    const started = performance.now();
    const { passed, failed } = await body();
    this.#total.passed += passed;
    this.#total.failed += failed;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`── ${title}: ${failed === 0 ? 'passed' : `${failed} failed`} (${seconds} s)\n`);
  }

  /** A check that is one program: it passes when that exits with 0. */
  program(run, title, program) {
    return this.check(title, async () => {
      const code = await runProgram(run, { name: title, ...program });
      return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
    });
  }

  /** Says what could not be checked here, and why; the sum says it again. */
  notChecked(title, why) {
    process.stdout.write(`\n── ${title}\nNOT CHECKED: ${why}\n`);
    this.#notChecked.push(`${title}. ${why}`);
  }

  /**
   * Prints the sum, and writes it to a file if there is one to write to.
   *
   * @param {string | undefined} summary
   * @returns {number} the exit code
   */
  close(summary) {
    process.stdout.write('\n');
    for (const what of this.#notChecked) process.stdout.write(`NOT CHECKED: ${what}\n`);
    process.stdout.write(`${this.#total.passed} passed, ${this.#total.failed} failed\n`);
    if (summary !== undefined) {
      mkdirSync(dirname(summary), { recursive: true });
      writeFileSync(summary, JSON.stringify({ ...this.#total, notChecked: this.#notChecked }));
    }
    return this.#total.failed === 0 && this.#total.passed > 0 ? 0 : 1;
  }
}

/**
 * What to check, and where to write the sum: `--only GROUP,GROUP` and `--summary FILE`; all else is for others.
 *
 * Throws `REMIT_SETUP_NO_SUCH_TESTS`.
 */
export function parseGroups(args, known) {
  const rest = [...args];
  const take = (option) => {
    const at = rest.indexOf(option);
    return at === -1 ? undefined : rest.splice(at, 2)[1];
  };
  const only = take('--only');
  const summary = take('--summary');
  const groups = only?.split(',') ?? known;
  const unknown = groups.filter((group) => !known.includes(group));
  if (unknown.length > 0) {
    throw new SetupFailure('REMIT_SETUP_NO_SUCH_TESTS', `--only takes ${known.join(', ')}; not ${unknown.join(', ')}`);
  }
  return { groups, summary: summary === undefined ? undefined : resolve(summary), rest };
}

/** One jest project. Counts tests, suites that could not run, and a jest that failed without saying which. */
export async function jest(run, project, { addresses = {}, workers = 1, args = [] }) {
  const results = join(run.folder, `jest-${project}.json`);
  const code = await runProgram(run, {
    name: `jest ${project}`,
    nodeOptions: ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
    args: [
      join(run.root, 'node_modules', 'jest', 'bin', 'jest.js'),
      `--selectProjects=${project}`,
      `--maxWorkers=${workers}`,
      '--json',
      `--outputFile=${results}`,
      // what a failed test left open must not keep the run from its end
      '--forceExit',
      ...(args.length > 0 ? ['--passWithNoTests', ...args] : []),
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
