import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Command } from 'commander';
import Table from 'cli-table3';
import { loadDecisionCases, runCases, type CaseRun } from '#cases';
import { sha256 } from '#contracts';
import { checkCharter } from '#domain';
import { CommandFailure } from './command-failure.js';
import { junitOf } from './junit.js';
import { jsonText } from './printing.js';

/** `remit charter test`: the cases beside a charter, and which of its rules no case has ever broken. */
export function addCharterTestCommand(charter: Command): void {
  charter
    .command('test')
    .summary('Judge the cases beside a charter.')
    .description(
      'Judge every case beside a charter (NAME.cases.yaml, NAME.*.cases.yaml) and list the rules that no case has ' +
        'broken. Exits with 1 if a decision is not as its case says. Needs no running system.',
    )
    .argument('<file>', 'the charter, YAML')
    .option('--json', 'one JSON object: results, rules')
    .option('--junit <path>', 'write the results as JUnit XML, for CI')
    .option('--strict', 'exit with 1 as well when a rule was never broken')
    .action(async (file: string, options: { json?: boolean; junit?: string; strict?: boolean }) => {
      const checked = checkCharter(await readFile(file, 'utf8'), sha256);
      if (!checked.ok) fail(`${file} is refused: run \`remit charter check ${file}\``);
      const files = await casesBeside(file);
      if (files.length === 0) {
        fail(`REMIT_CASES_NONE: no ${stem(file)}.cases.yaml beside ${file}; charters/starter.cases.yaml is an example`);
      }
      const run = runCases(
        checked.charter,
        files.map((cases) => loadDecisionCases(cases)),
      );
      if (options.junit !== undefined) {
        await mkdir(dirname(options.junit), { recursive: true });
        await writeFile(options.junit, junitOf(checked.charter.name, run.results));
      }
      process.stdout.write(options.json === true ? `${jsonText(reportOf(run))}\n` : tableOf(run));
      const untested = [...run.hits.values()].some((count) => count === 0);
      const wrong = run.results.some(({ differences }) => differences.length > 0);
      if (wrong || (options.strict === true && untested)) throw new CommandFailure();
    });
}

function stem(file: string): string {
  return basename(file).replace(/\.ya?ml$/, '');
}

async function casesBeside(file: string): Promise<string[]> {
  const folder = dirname(file);
  const mine = (name: string): boolean => name.startsWith(`${stem(file)}.`) && name.endsWith('.cases.yaml');
  return (await readdir(folder)).filter(mine).map((name) => join(folder, name));
}

function reportOf(run: CaseRun): object {
  return { results: run.results, rules: [...run.hits].map(([rule, broken]) => ({ rule, broken })) };
}

function tableOf(run: CaseRun): string {
  const table = new Table({
    head: ['', 'case', 'outcome\n(would be)', 'rules'],
    colWidths: [4, 58, 13, 48],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const { name, outcome, wouldBe, rules, differences } of run.results) {
    const said = wouldBe === outcome ? outcome : `${outcome}\n(${wouldBe})`;
    table.push([differences.length === 0 ? 'ok' : 'no', [name, ...differences].join('\n'), said, rules.join('\n')]);
  }
  const right = run.results.filter(({ differences }) => differences.length === 0).length;
  const untested = [...run.hits].filter(([, count]) => count === 0).map(([rule]) => rule);
  const coverage =
    untested.length === 0
      ? `Every rule was broken by a case (${String(run.hits.size)} of ${String(run.hits.size)}).`
      : `No case has broken: ${untested.join(', ')} (${String(run.hits.size - untested.length)} of ${String(run.hits.size)} rules tested).`;
  return `${table.toString()}\n${String(right)} of ${String(run.results.length)} cases as expected. ${coverage}\n`;
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  throw new CommandFailure(message);
}
