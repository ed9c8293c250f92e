import type { Command } from 'commander';
import { addGapsCommand } from './gaps-command.js';

/** `remit audit`: questions to the record. */
export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('The record: what does not add up.');
  addGapsCommand(audit);
}
