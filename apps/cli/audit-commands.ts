import type { Command } from 'commander';
import { addGapsCommand } from './gaps-command.js';
import { addRecordKeepingCommands } from './record-keeping-commands.js';
import { addRecordProofCommands } from './record-proof-commands.js';
import { addRecordSearchCommands } from './record-search-commands.js';

/** `remit audit`: questions to the record. */
export function addAuditCommands(program: Command): void {
  const audit = program
    .command('audit')
    .description('The record: what does not add up, who did what, and whether anyone has touched it.')
    .addHelpText(
      'after',
      `
Whoever reads the record is on record: what is asked, and by whom, goes to the topic audit.access before anything is
read, and where that cannot be said, nothing is. So these commands need KAFKA_BROKERS beside DATABASE_URL; verifying an
export or a proof needs neither.`,
    );
  addGapsCommand(audit);
  addRecordSearchCommands(audit);
  addRecordProofCommands(audit);
  addRecordKeepingCommands(audit);
}
