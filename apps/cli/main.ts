import { Command } from 'commander';
import { addChainCommand } from './chain-command.js';
import { addCharterCommands } from './charter-commands.js';
import { CommandFailure } from './command-failure.js';

const program = new Command('remit')
  .description('Govern what AI agents do: charters, decisions, chains.')
  .showHelpAfterError('(run `remit --help` for what there is)')
  .addHelpText(
    'after',
    `
Addresses come from KAFKA_BROKERS (host:port, comma separated) and DATABASE_URL; beside a running \`npm start\` both are known.

Examples:
  remit charter check charters/fintech-production.yaml     every problem, with line and hint
  remit charter activate charters/fintech-production.yaml  in force for every later intent
  remit chain incident-42                                  who did what, because of whom, and what was said`,
  );

addCharterCommands(program);
addChainCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommandFailure)) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  }
  process.exitCode = 1;
}
