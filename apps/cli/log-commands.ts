import type { Command } from 'commander';
import { loadConfig } from '#config';
import type { DiscrepancyView } from '#contracts';
import { inertText, logDiscrepancySchema } from '#domain';
import { fail } from './command-failure.js';
import { openDoorClient } from './door-client.js';
import { printJson, tableOf } from './printing.js';

const JSON_OPTION = ['--json', 'one JSON object'] as const;
const ID = ['<id>', 'as `remit log discrepancies` shows it'] as const;

/** `remit log …`: where the log and those who read it do not agree. */
export function addLogCommands(program: Command): void {
  const log = program
    .command('log')
    .description('Where the log, the databases and the consumer groups do not agree.')
    .addHelpText(
      'after',
      '\nThe usual way:\n  remit log discrepancies\n  remit log show 3f…                                         says what to do\n' +
        '  remit log acknowledge 3f… --reason "retention was set to an hour, ticket 4711"',
    );

  log
    .command('discrepancies')
    .description('What nobody has acknowledged yet. While there is any, no process is ready.')
    .option('--all', 'also what was acknowledged')
    .option(...JSON_OPTION)
    .action(async ({ all, json }: { all?: boolean; json?: boolean }) => {
      const door = await openDoorClient(loadConfig());
      const answer = await door('discrepancies', { query: { status: all === true ? 'all' : 'open' } });
      if (json === true) printJson(answer);
      else process.stdout.write(listText(answer.discrepancies));
    });

  log
    .command('show')
    .description('One discrepancy, what to do about it, and what an acknowledgement does.')
    .argument(...ID)
    .option(...JSON_OPTION)
    .action(async (id: string, { json }: { json?: boolean }) => {
      const door = await openDoorClient(loadConfig());
      const { discrepancies } = await door('discrepancies', { query: { status: 'all' } });
      const found = discrepancies.find((one) => one.id === id);
      if (found === undefined) return fail('REMIT_CLI_DISCREPANCY_UNKNOWN: there is no such discrepancy');
      if (json === true) printJson(found);
      else process.stdout.write(detailText(found));
    });

  log
    .command('acknowledge')
    .description(
      'Take note of exactly these discrepancies, so that Remit goes on. Your name and reason are kept for good.',
    )
    .argument('<id...>', 'as `remit log discrepancies` shows them')
    .requiredOption('--reason <text>', 'why it is so, for the audit log; must be given')
    .option(...JSON_OPTION)
    .action(async (ids: string[], { reason, json }: { reason: string; json?: boolean }) => {
      for (const id of ids) {
        if (logDiscrepancySchema.shape.id.safeParse(id).success) continue;
        fail(
          `REMIT_CLI_DISCREPANCY_ID: ${inertText(id)} is no whole id of a discrepancy: remit log discrepancies shows them`,
        );
      }
      const door = await openDoorClient(loadConfig());
      for (const discrepancy of ids) {
        const view = await door('acknowledgeDiscrepancy', { params: { discrepancy }, body: { reason } });
        if (json === true) printJson(view);
        else
          process.stdout.write(
            `${view.id} acknowledged by ${inertText(view.acknowledgedBy ?? '')}: ${inertText(view.says)}\n`,
          );
      }
    });
}

function listText(discrepancies: readonly DiscrepancyView[]): string {
  if (discrepancies.length === 0) return 'The log and everybody who reads it agree.\n';
  return tableOf(
    ['id', 'found', 'status', 'what'],
    discrepancies.map(({ id, foundAt, status, says }) => [id, foundAt, status, inertText(says)]),
  );
}

function detailText({
  id,
  kind,
  foundAt,
  says,
  todo,
  acknowledgedBy,
  acknowledgedAt,
  reason,
}: DiscrepancyView): string {
  const lines = [
    `discrepancy  ${id}, ${kind}, found ${foundAt}`,
    `what         ${says}`,
    `what to do   ${todo}`,
    ...(acknowledgedBy === undefined
      ? [`acknowledge  remit log acknowledge ${id} --reason …`]
      : [`acknowledged ${acknowledgedAt ?? ''} by ${acknowledgedBy}: ${reason ?? ''}`]),
  ];
  return `${lines.map(inertText).join('\n')}\n`;
}
