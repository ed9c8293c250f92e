import type { Command } from 'commander';
import { loadConfig } from '#config';
import { foldChain, renderChain } from '#domain';
import { PostgresHistory } from '#record';
import { CommandFailure } from './command-failure.js';

/** `remit chain`: the record's answer to "who was responsible?". */
export function addChainCommand(program: Command): void {
  program
    .command('chain')
    .description(
      'Show a decision chain from the record: agents, actions, causes (proven or only claimed), verdicts, outcomes.',
    )
    .argument('<chain>', 'chain id, as the initiator called it, or the id of the first intent')
    .option('--json', 'the tree as one JSON object')
    .action(async (chainId: string, options: { json?: boolean }) => {
      const history = await PostgresHistory.open(loadConfig().databaseUrl);
      try {
        const events = await history.chain(chainId);
        if (events.length === 0) {
          process.stderr.write(`REMIT_CHAIN_UNKNOWN: the record holds no chain ${JSON.stringify(chainId)}\n`);
          throw new CommandFailure();
        }
        const tree = foldChain(chainId, events);
        process.stdout.write(options.json === true ? `${JSON.stringify(tree)}\n` : `${renderChain(tree)}\n`);
      } finally {
        await history.close();
      }
    });
}
