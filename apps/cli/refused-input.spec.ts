import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { addAtCommand } from './at-command.js';
import { addRecordKeepingCommands } from './record-keeping-commands.js';
import { addRecordProofCommands } from './record-proof-commands.js';
import { addRecordSearchCommands } from './record-search-commands.js';
import { addReplayCommand } from './replay-command.js';

/** What a command says when it refuses what it is given; it must not get as far as to look for a database. */
async function refusalOf(...args: string[]): Promise<string> {
  const said: string[] = [];
  const program = new Command('audit').exitOverride().configureOutput({ writeErr: (text) => said.push(text) });
  for (const add of [
    addRecordSearchCommands,
    addRecordProofCommands,
    addRecordKeepingCommands,
    addReplayCommand,
    addAtCommand,
  ]) {
    add(program);
  }
  for (const command of program.commands) command.copyInheritedSettings(program);
  await program.parseAsync(args, { from: 'user' }).catch((error: unknown) => said.push(String(error)));
  return said.join('');
}

describe('a slip on the command line is refused, not taken for an empty record', () => {
  let stderr: { mockRestore(): void };
  beforeEach(() => {
    stderr = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  });
  afterEach(() => stderr.mockRestore());

  it.each([
    ['an outcome that there is not', ['search', '--outcome', 'denied'], 'Allowed choices are allow, deny'],
    ['times the wrong way round', ['search', '--from', '2026-12-01', '--to', '2026-11-01'], 'REMIT_CLI_TIME'],
    ['what will be in force', ['at', '2126-01-01', 'permissions'], 'REMIT_CLI_TIME: 2126-01-01 lies ahead'],
    ['a replay of no time at all', ['replay', '--from', '2026-12-01', '--to', '2026-12-01'], 'REMIT_CLI_TIME'],
    [
      'a cursor beyond every offset',
      ['search', '--after', `1795524093536/agent.actions/3/${'9'.repeat(20)}`],
      'REMIT_CLI_OPTIONS',
    ],
    ['an erasure that does not say why', ['erase', '--agent', 'payer', '--reason', ' '], '--reason must say why'],
    ['a drop that does not say why', ['drop', '--before', '2026-01', '--reason', ''], '--reason must say why'],
    ['a cursor file that is a folder', ['replay', '--cursor', '/'], 'REMIT_REPLAY_CURSOR'],
  ])('%s', async (_what, args, refusal) => {
    expect(await refusalOf(...args)).toContain(refusal);
  });
});
