import type { Command } from 'commander';
import { loadConfig } from '#config';
import { foldChain, inertText, renderChain, type ChainTree } from '#domain';
import { EVENTS_OF_CHAIN, readChainEvidence, type History } from '#record';
import { recordedTrace, sendRecordedTrace, TraceDeliveryError } from '#telemetry';
import { readChainTraces, traceLines, traceUrl, type ChainTrace } from './chain-traces.js';
import { fail } from './command-failure.js';
import { withHistory } from './open-record.js';
import { printJson } from './printing.js';
import { lagNote, messagesNotRecorded } from './record-lag.js';

const TRACE_ID = /^[0-9a-f]{32}$/i;
const ENTRIES_OF_TRACE = 1000;

/** `remit chain`: the record's answer to "who was responsible?". */
export function addChainCommand(program: Command): void {
  program
    .command('chain')
    .summary('Who did what, because of whom, under whose authority.')
    .description(
      'Show a decision chain from the record: agents, the authority each had and who approved it, causes (proven or ' +
        'only claimed), verdicts, outcomes, and the traces it is part of. Of a trace, every chain it ran through.',
    )
    .argument('<chain>', 'chain id, the id of the first intent, or a trace id (32 hex digits)')
    .option('--json', 'each tree as one JSON object on its own line, with its traces')
    .option(
      '--to-otlp [url]',
      'send the chain from the record to an OTLP/HTTP collector, as one trace with the original times, for when its\n' +
        'spans are lost or older than the trace store; without a url, to OTEL_EXPORTER_OTLP_ENDPOINT',
    )
    .addHelpText('after', EXAMPLES)
    .action(show);
}

interface ChainOptions {
  readonly json?: boolean;
  readonly toOtlp?: string | true;
}

/** `leftOut`: events beyond the most that are read of a chain. */
interface ShownChain {
  readonly tree: ChainTree;
  readonly leftOut: number;
}

function leftOutLine(leftOut: number): string {
  if (leftOut === 0) return '';
  const most = EVENTS_OF_CHAIN.toLocaleString('en');
  return (
    `… NOT ALL OF IT: ${leftOut.toLocaleString('en')} more events are left out, because a chain is read up to ${most}; ` +
    'decisions and reports of what is shown may be among them. remit audit search --chain has them all\n'
  );
}

const EXAMPLES = `
Needs no span: it reads the record. With REMIT_JAEGER_URL, such as http://127.0.0.1:16686, each trace is a link.

Examples:
  remit chain incident-42
  remit chain 4bf92f3577b34da6a3ce929d0e0e4736
  remit chain incident-42 --to-otlp http://127.0.0.1:4318
  remit chain incident-42 --json | jq '.actions[] | {agentId, outcome}'`;

async function show(id: string, { json = false, toOtlp }: ChainOptions): Promise<void> {
  const { jaegerUrl, tracing } = loadConfig();
  const collector = toOtlp === true ? tracing?.endpoint : toOtlp;
  if (toOtlp !== undefined && (collector === undefined || !URL.canParse(collector))) {
    fail('REMIT_CHAIN_NO_COLLECTOR: give --to-otlp an address such as http://127.0.0.1:4318');
  }
  const { chains, note } = await withHistory({ how: 'chain', selection: { chainOrTrace: id } }, async (history) => {
    const trees = await treesOf(history, id);
    const found: (ShownChain & { readonly traces: readonly ChainTrace[] })[] = [];
    for (const one of trees) found.push({ ...one, traces: await readChainTraces(history, one.tree, jaegerUrl) });
    const isWhole =
      trees.length > 0 && trees.every(({ tree }) => tree.actions.every(({ outcome }) => outcome !== 'undecided'));
    return { chains: found, note: isWhole ? '' : lagNote(await messagesNotRecorded(history)) };
  });
  if (chains.length === 0)
    fail(`REMIT_CHAIN_UNKNOWN: the record holds no chain ${JSON.stringify(id)}\n${note}`.trimEnd());
  if (collector !== undefined) return send(chains, collector, jaegerUrl);
  for (const { tree, leftOut, traces } of chains) {
    if (json) printJson({ ...tree, leftOut, traces });
    else process.stdout.write(`${renderChain(tree)}\n${leftOutLine(leftOut)}${traceLines(traces)}`);
  }
  const unlinked = chains.some(({ traces }) => traces.some(({ url }) => url === null));
  if (unlinked && !json)
    process.stderr.write('(set REMIT_JAEGER_URL, such as http://127.0.0.1:16686, for links to traces)\n');
  process.stderr.write(note);
}

/** Says in one line a chain what was sent, where it can be looked at, and that it is a trace of its own. */
async function send(chains: readonly ShownChain[], collector: string, jaegerUrl: string | undefined): Promise<void> {
  for (const { tree, leftOut } of chains) {
    const trace = recordedTrace(tree);
    await sendRecordedTrace(trace, collector).catch((error: unknown) => {
      if (error instanceof TraceDeliveryError) fail(`${error.code}: ${error.message}`);
      throw error;
    });
    const where = jaegerUrl === undefined ? `trace ${trace.traceId}` : `Jaeger: ${traceUrl(jaegerUrl, trace.traceId)}`;
    process.stdout.write(
      `${String(trace.spans.length)} spans of ${inertText(tree.chainId)}, from the record  ${where}\n${leftOutLine(leftOut)}`,
    );
  }
}

async function treesOf(history: History, id: string): Promise<ShownChain[]> {
  const named = await treeOf(history, id);
  if (named !== undefined) return [named];
  if (!TRACE_ID.test(id)) return [];
  const trees: ShownChain[] = [];
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

async function treeOf(history: History, chainId: string): Promise<ShownChain | undefined> {
  const { events, leftOut } = await history.chain(chainId);
  if (events.length === 0) return undefined;
  return { tree: foldChain(chainId, events, await readChainEvidence(history, events)), leftOut };
}
