import type { Command } from 'commander';
import { addAtCommand } from './at-command.js';
import { addAuditCommands } from './audit-commands.js';
import { addChainCommand } from './chain-command.js';
import { addReplayCommand } from './replay-command.js';

/** What reads the record. */
export function addRecordCommands(program: Command): void {
  addChainCommand(program);
  addAuditCommands(program);
  addAtCommand(program);
  addReplayCommand(program);
}
