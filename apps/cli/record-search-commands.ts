import { readdir } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { ocsfEventOf, placeName } from '#domain';
import { exportEverything, exportSelection, type HistoryCursor, type HistoryEntry, type HistorySearch } from '#record';
import { fail } from './command-failure.js';
import { withEvidence, withHistory, withProjections } from './open-record.js';
import { printJson, tableOf } from './printing.js';
import type { Reading } from './record-access.js';
import { isoOf, rangeOf } from './times.js';

interface Selection {
  readonly agent?: string;
  readonly from?: string;
  readonly to?: string;
  readonly outcome?: string;
  readonly action?: string;
  readonly target?: string;
  readonly chain?: string;
  readonly trace?: string;
  readonly rule?: string;
}

interface SearchOptions extends Selection {
  readonly limit: string;
  readonly after?: string;
  readonly json?: boolean;
}

interface ExportOptions extends Selection {
  readonly out?: string;
  readonly all?: boolean;
  readonly sealed?: boolean;
  readonly ocsf?: boolean;
}

const OUTCOMES = ['allow', 'deny', 'hold', 'executed', 'failed', 'rolled-back'];

function selectable(command: Command): Command {
  return command
    .option('--agent <id>', 'of this agent')
    .option('--from <time>', 'appended from then on: 2026-11-03, 2026-11-03T12:00:00Z or now')
    .option('--to <time>', 'appended before then')
    .addOption(new Option('--outcome <outcome>', 'decided or reported so').choices(OUTCOMES))
    .option('--action <verb>', 'with this action type')
    .option('--target <system>', 'on this system')
    .option('--chain <id>', 'of this chain')
    .option('--trace <id>', 'of this trace')
    .option('--rule <id>', 'decisions that this rule found something against');
}

/** `remit audit search`, `export` and `agents`. */
export function addRecordSearchCommands(audit: Command): void {
  selectable(audit.command('search'))
    .summary('Find events, a page at a time.')
    .description(
      'Find events in the record, oldest first, a page at a time. All conditions must hold; without any: everything.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  remit audit search --agent payer --outcome deny --from 2026-11-01\n' +
        '  remit audit search --rule data-privacy --from 2026-11-01 --json',
    )
    .option('--limit <n>', 'events a page', '50')
    .option('--after <cursor>', 'the page behind this place, as printed at the end of a page')
    .option('--json', 'one JSON object per event; the last line has the cursor of the next page')
    .action(search);

  selectable(audit.command('export'))
    .summary('Evidence for somebody else.')
    .description(
      'Write an evidence pack: what was asked for, each event with its proof, and how to verify it without us. ' +
        'With --all: everything, sealed as it is stored. With --ocsf: JSON lines for a SIEM instead, on stdout.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  remit audit export --chain incident-42 --out evidence/\n  remit audit export --all --out everything/\n' +
        '  remit audit export --from 2026-11-24 --ocsf >> siem.jsonl',
    )
    .option('--out <folder>', 'a new or empty folder')
    .option('--all', 'all of the record, so that completeness can be verified too')
    .option('--sealed', 'leave out keys and readable texts: proofs only')
    .option('--ocsf', 'JSON lines instead of a pack: OCSF 1.5.0, class API Activity')
    .action(exportPack);

  audit
    .command('agents')
    .description('What each agent did, day by day (UTC): intents, decisions, outcomes, counted.')
    .argument('[agent]', 'this one only')
    .option('--json', 'one JSON object per agent and day')
    .action(async (agent: string | undefined, options: { json?: boolean }) => {
      const reading: Reading = { how: 'agents', selection: { agentId: agent } };
      const days = await withProjections(reading, async (projections) => {
        await projections.advance();
        return projections.agentDays(agent);
      });
      if (options.json === true) return days.forEach(printJson);
      process.stdout.write(
        tableOf(
          ['day', 'agent', 'intents', 'allowed', 'denied', 'held', 'executed', 'failed', 'rolled back'],
          days.map((day) => [
            day.day,
            day.agentId,
            ...[day.intents, day.allowed, day.denied, day.held, day.executed, day.failed, day.rolledBack].map(String),
          ]),
        ),
      );
    });
}

function searchOf(options: Selection): Omit<HistorySearch, 'limit' | 'after'> {
  const now = Date.now();
  return {
    agentId: options.agent,
    ...rangeOf(options, now),
    outcome: options.outcome,
    actionType: options.action,
    target: options.target,
    chainId: options.chain,
    traceId: options.trace,
    rule: options.rule,
  };
}

/** What was asked for, in the words of the event that says so. */
function selectionOf(wanted: Omit<HistorySearch, 'limit' | 'after'>): Reading['selection'] {
  return { ...wanted, from: isoOf(wanted.from), to: isoOf(wanted.to) };
}

async function search(options: SearchOptions): Promise<void> {
  const limit = Number(options.limit);
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) fail('REMIT_CLI_OPTIONS: --limit is 1 to 10000');
  const after = options.after === undefined ? undefined : cursorOf(options.after);
  const wanted = searchOf(options);
  const page = await withHistory(
    { how: 'search', selection: { ...selectionOf(wanted), limit, after: options.after } },
    (history) => history.search({ ...wanted, limit, after }),
  );
  const last = page.length === limit ? page.at(-1) : undefined;
  if (options.json === true) {
    for (const entry of page) printJson(shown(entry));
    if (last !== undefined) printJson({ after: cursorText(last) });
    return;
  }
  process.stdout.write(
    tableOf(
      ['appended', 'agent', 'action', 'target', 'outcome', 'chain', 'place'],
      page.map((entry) => [
        new Date(entry.appendTime).toISOString(),
        entry.agentId ?? '',
        entry.actionType ?? entry.eventType ?? '(unreadable)',
        entry.target ?? '',
        entry.erased === true ? `${entry.outcome ?? ''} (erased)` : (entry.outcome ?? ''),
        entry.chainId ?? '',
        placeName(entry),
      ]),
    ),
  );
  if (last !== undefined) process.stdout.write(`next page: --after ${cursorText(last)}\n`);
}

function shown(entry: HistoryEntry): object {
  const { key: _key, headers: _headers, value, appendTime, ...rest } = entry;
  return { ...rest, appendTime: new Date(appendTime).toISOString(), value: value?.toString('utf8') ?? null };
}

function cursorText(entry: HistoryCursor): string {
  return `${String(entry.appendTime)}/${placeName(entry)}`;
}

function cursorOf(text: string): HistoryCursor {
  const [, appendTime, topic, partition, offset] = /^(\d{1,15})\/(.+)\/(\d{1,9})\/(\d{1,15})$/.exec(text) ?? [];
  if (topic === undefined) return fail(`REMIT_CLI_OPTIONS: ${JSON.stringify(text)} is no cursor, as a page ends with`);
  return { appendTime: Number(appendTime), topic, partition: Number(partition), offset: Number(offset) };
}

async function exportPack(options: ExportOptions): Promise<void> {
  const wanted = searchOf(options);
  const isSelected = Object.values(wanted).some((value) => value !== undefined);
  if (options.all === true && (isSelected || options.ocsf === true)) {
    fail('REMIT_CLI_OPTIONS: --all is everything, as an evidence pack: leave the other options out');
  }
  if (options.ocsf === true) return exportOcsf(wanted);
  if (options.all !== true && !isSelected) fail('REMIT_CLI_OPTIONS: say what to export, or --all');
  const folder = options.out ?? fail('REMIT_CLI_OPTIONS: --out FOLDER is needed');
  if ((await readdir(folder).catch(() => [])).length > 0) fail(`REMIT_CLI_FILE: ${folder} is not empty`);
  const selection = options.all === true ? { everything: true } : { ...selectionOf(wanted), sealed: options.sealed };
  const manifest = await withEvidence({ how: 'export', selection }, async (record, history) => {
    const now = Date.now();
    await record.checkpoints.signNow({ now });
    return options.all === true
      ? exportEverything(record, { folder, now })
      : exportSelection(record, history, wanted, { folder, now, opened: options.sealed !== true });
  });
  process.stdout.write(`${folder}: ${String(manifest.entries)} entries. How to verify them is in README.md there.\n`);
}

function exportOcsf(wanted: Omit<HistorySearch, 'limit' | 'after'>): Promise<void> {
  const PAGE = 500;
  const selection = { ...selectionOf(wanted), ocsf: true };
  return withHistory({ how: 'export', selection }, async (history) => {
    for (let after: HistoryEntry | undefined; ;) {
      const page = await history.search({ ...wanted, limit: PAGE, after });
      for (const entry of page) printJson(ocsfEventOf(entry));
      after = page.at(-1);
      if (page.length < PAGE) return;
    }
  });
}
