import type { Command } from 'commander';
import { loadConfig } from '#config';
import { sha256 } from '#contracts';
import { checkCharter, inertText, type Charter, type CharterProblem } from '#domain';
import { addCharterTestCommand } from './charter-test-command.js';
import { CommandFailure, fail } from './command-failure.js';
import { openDoorClient } from './door-client.js';
import { textOf } from './input-file.js';
import { jsonText, printJson } from './printing.js';

/** `remit charter …`: the governing document. */
export function addCharterCommands(program: Command): void {
  const charter = program
    .command('charter')
    .description('The governing document: check it, try it on cases, put it in force, see what is.');
  addCharterTestCommand(charter);

  charter
    .command('check')
    .description('Report every problem of a charter, each with its line and a hint. Exits with 1 if there is any.')
    .argument('<file>', 'the charter, YAML')
    .option('--json', 'one JSON object: ok, digest, problems, warnings')
    .action(async (file: string, options: { json?: boolean }) => {
      const checked = checkCharter(await textOf(file), sha256);
      if (options.json === true) {
        const report = checked.ok
          ? { ok: true, name: checked.charter.name, digest: checked.charter.digest, warnings: checked.warnings }
          : { ok: false, problems: checked.problems };
        process.stdout.write(`${jsonText(report)}\n`);
        if (!checked.ok) throw new CommandFailure();
        return;
      }
      printCharter(file, accepted(file, checked));
    });

  charter
    .command('activate')
    .summary('Put a charter in force.')
    .description(
      'Put a charter in force, through the door: every intent appended from now on is judged by it, whole and at once. ' +
        'One with problems is refused, and the one before stays. Administrators only. ' +
        '`remit replay --charter FILE` shows before what it would change.',
    )
    .argument('<file>', 'the charter, YAML')
    .option('--json', 'one JSON object')
    .action(async (file: string, options: { json?: boolean }) => {
      const text = await textOf(file);
      const charterToActivate = accepted(file, checkCharter(text, sha256));
      const door = await openDoorClient(loadConfig());
      const answer = await door('activateCharter', { body: { text } });
      if (options.json === true) {
        printJson(answer);
        return;
      }
      printCharter(file, charterToActivate);
      process.stdout.write('In force for every intent appended from now on.\n');
    });

  charter
    .command('show')
    .description('The charter in force: its name, digest, who activated it, and its source.')
    .option('--json', 'one JSON object')
    .action(async (options: { json?: boolean }) => {
      const view = await (await openDoorClient(loadConfig()))('currentCharter');
      if (options.json === true) {
        printJson(view);
        return;
      }
      const about = `${view.name}, stage ${view.stage}, digest ${view.digest}, activated by ${view.activatedBy}`;
      process.stdout.write(`# ${inertText(about)}\n`);
      for (const line of view.text.split('\n')) process.stdout.write(`${inertText(line)}\n`);
    });
}

function accepted(file: string, checked: ReturnType<typeof checkCharter>): Charter {
  if (checked.ok) {
    for (const warning of checked.warnings) printProblem(file, warning, 'warning');
    return checked.charter;
  }
  for (const problem of checked.problems) printProblem(file, problem, 'refused');
  fail(`${file}: refused, ${String(checked.problems.length)} problem${checked.problems.length === 1 ? '' : 's'}`);
}

function printProblem(file: string, problem: CharterProblem, kind: 'warning' | 'refused'): void {
  const hint = problem.hint === undefined ? '' : ` (${problem.hint})`;
  process.stderr.write(
    `${file}:${String(problem.line)}:${String(problem.column)}  ${kind}  ${problem.code}  ${problem.message}${hint}\n`,
  );
}

function printCharter(file: string, charter: Charter): void {
  process.stdout.write(`${file}: charter ${charter.name}, stage ${charter.stage}, digest ${charter.digest}\n`);
}
