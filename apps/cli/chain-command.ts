import type { Command } from 'commander';
import { foldChain, renderChain, type ChainTree } from '#domain';
import { readChainEvidence, type History } from '#record';
import { fail } from './command-failure.js';
import { withRecord } from './open-record.js';
import { printJson } from './printing.js';

const TRACE_ID = /^[0-9a-f]{32}$/i;
const ENTRIES_OF_TRACE = 1000;

/** `remit chain`: the record's answer to "who was responsible?". */
export function addChainCommand(program: Command): void {
  program
    .command('chain')
    .description(
      'Show a decision chain from the record: agents, the authority each had and who approved it, causes (proven or\n' +
        'only claimed), verdicts, outcomes. Of a trace, every chain it is part of.',
    )
    .argument('<chain>', 'chain id, the id of the first intent, or a trace id (32 hex digits)')
    .option('--json', 'each tree as one JSON object on its own line')
    .action((id: string, options: { json?: boolean }) =>
      withRecord(async (history) => {
        const trees = await treesOf(history, id);
        if (trees.length === 0) fail(`REMIT_CHAIN_UNKNOWN: the record holds no chain ${JSON.stringify(id)}`);
        for (const tree of trees) {
          if (options.json === true) printJson(tree);
          else process.stdout.write(`${renderChain(tree)}\n`);
        }
      }),
    );
}

async function treesOf(history: History, id: string): Promise<ChainTree[]> {
  const named = await treeOf(history, id);
  if (named !== undefined) return [named];
  if (!TRACE_ID.test(id)) return [];
  const trees: ChainTree[] = [];
  for (const chainId of await chainsOfTrace(history, id.toLowerCase())) {
    const tree = await treeOf(history, chainId);
    if (tree !== undefined) trees.push(tree);
  }
  return trees;
}

/** Every chain of which a message carried this trace, in the order of their first messages. */
async function chainsOfTrace(history: History, traceId: string): Promise<Set<string>> {
  const chainIds = new Set<string>();
  let after;
  for (;;) {
    const page = await history.search({ traceId, limit: ENTRIES_OF_TRACE, after });
    for (const { chainId } of page) if (chainId !== null) chainIds.add(chainId);
    after = page.at(-1);
    if (page.length < ENTRIES_OF_TRACE) return chainIds;
  }
}

async function treeOf(history: History, chainId: string): Promise<ChainTree | undefined> {
  const events = await history.chain(chainId);
  if (events.length === 0) return undefined;
  return foldChain(chainId, events, await readChainEvidence(history, events));
}
