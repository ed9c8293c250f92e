import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { isLoopback, KafkaBus } from '#bus';
import { loadConfig } from '#config';
import { sha256, TOPICS } from '#contracts';
import { checkCharter, type Charter, type CharterProblem } from '#domain';
import { activateCharter } from '#service';
import { addCharterTestCommand } from './charter-test-command.js';
import { CommandFailure } from './command-failure.js';

/** `remit charter check` and `remit charter activate`. */
export function addCharterCommands(program: Command): void {
  const charter = program.command('charter').description('The governing document: check it, put it in force.');
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
        process.stdout.write(`${JSON.stringify(report)}\n`);
        if (!checked.ok) throw new CommandFailure();
        return;
      }
      printCharter(file, accepted(file, checked));
    });

  charter
    .command('activate')
    .description(
      'Put a charter in force: every intent appended from now on is judged by it, without a restart.\n' +
        'There is no authenticated door yet, so this works against brokers on loopback only.',
    )
    .argument('<file>', 'the charter, YAML')
    .action(async (file: string) => {
      const text = await textOf(file);
      const charterToActivate = accepted(file, checkCharter(text, sha256));
      const { kafkaBrokers, replicationFactor } = loadConfig();
      const distant = kafkaBrokers.filter((broker) => !isLoopback(broker));
      if (distant.length > 0) {
        fail(
          `REMIT_CLI_NOT_LOOPBACK: ${distant.join(', ')} is not on this machine. Activation is not authenticated yet and ` +
            'therefore works against brokers on 127.0.0.1, ::1 or localhost only.',
        );
      }
      const bus = new KafkaBus({ brokers: kafkaBrokers, topics: Object.values(TOPICS), replicationFactor });
      try {
        await bus.ensureTopics([TOPICS.charterEvents]);
        await activateCharter(bus, { text, charter: charterToActivate, activatedBy: 'remit charter activate' });
      } finally {
        await bus.close();
      }
      printCharter(file, charterToActivate);
      process.stdout.write('In force for every intent appended from now on. (Unauthenticated: loopback only.)\n');
    });
}

async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) =>
    fail(`REMIT_CLI_FILE: cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`),
  );
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

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  throw new CommandFailure(message);
}
