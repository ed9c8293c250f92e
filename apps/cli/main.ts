import { Command } from 'commander';
import { addApprovalCommands } from './approval-commands.js';
import { addCharterCommands } from './charter-commands.js';
import { CommandFailure, sayingOf } from './command-failure.js';
import { addLogCommands } from './log-commands.js';
import { addLoginCommands } from './login-command.js';
import { addAgentCommands, addPermissionCommands } from './permission-commands.js';

const program = new Command('remit')
  .description('Govern what AI agents do: charters, permissions, approvals, chains.')
  .showHelpAfterError('(run `remit --help` for what there is)')
  .addHelpText(
    'after',
    `
The door for people is at REMIT_DOOR_URL, the record at DATABASE_URL, the log at KAFKA_BROKERS; beside a running
\`npm start\` all are known. Whoever reads the record (chain, at, replay, audit) is on record themselves.

The first time: remit login --as YOUR-NAME --role YOUR-ROLE, then remit charter show.
Each command explains itself: remit approvals --help, remit audit search --help

Examples:
  remit charter check charters/fintech-production.yaml     every problem, with line and hint
  remit charter activate charters/fintech-production.yaml  in force for every later intent
  remit permissions grant customer-service admin_access --for 15m --reason "ticket 4711"
  remit approvals list                                     what waits for a person
  remit agent suspend --all --reason "incident 42"         the kill switch
  remit chain incident-42                                  who did what, because of whom, and what was said
  remit at 2026-11-03T12:00:00Z permissions                what was in force then, and who put it there
  remit replay --charter new.yaml --fail-on deny-to-allow  what another charter would have decided`,
  );

addLoginCommands(program);
addCharterCommands(program);
addPermissionCommands(program);
addApprovalCommands(program);
addAgentCommands(program);
addLogCommands(program);
// what the record needs takes a second to load: an order at the door, the kill switch above all, does not wait for it
const isAtTheDoor = program.commands.some((command) => command.name() === process.argv[2]);
if (!isAtTheDoor) {
  (await import('./record-commands.js')).addRecordCommands(program);
  (await import('./security-commands.js')).addSecurityCommands(program);
}

// `remit … | head` has read enough: that is no error
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommandFailure)) process.stderr.write(`${sayingOf(error)}\n`);
  process.exitCode = 1;
}
