import { Option, type Command } from 'commander';
import { sha256 } from '#contracts';
import {
  CHANGES,
  checkCharter,
  comparedIn,
  emptyReport,
  inertText,
  placeOf,
  reportFromJson,
  reportToJson,
  type ChangeKind,
  type Charter,
  type ReplayReport,
} from '#domain';
import { replayRecord } from '#record';
import { ENGINE } from '#service';
import { CommandFailure, fail } from './command-failure.js';
import { textOf } from './input-file.js';
import { withHistory } from './open-record.js';
import { printJson } from './printing.js';
import { readCursor, writeCursor } from './replay-cursor.js';
import { replayTable } from './replay-table.js';
import { isoOf, rangeOf } from './times.js';

interface ReplayCommandOptions {
  readonly from?: string;
  readonly to?: string;
  readonly agent?: string;
  readonly charter?: string;
  readonly cursor?: string;
  readonly failOn?: readonly ChangeKind[];
  readonly json?: boolean;
}

const PROGRESS_EVERY_MS = 1000;

const EXAMPLES = `
Times are 2026-11-03, 2026-11-03T12:00:00Z or now.

Examples:
  remit replay --from 2026-11-01 --to 2026-11-08
  remit replay --charter next.yaml --from 2026-11-01 --fail-on deny-to-allow hold-to-allow
  remit replay --cursor replay.json --json > report.json`;

/** `remit replay`: decides history again. */
export function addReplayCommand(program: Command): void {
  program
    .command('replay')
    .summary('Decide history again, as it was or by another charter.')
    .description(
      'Decide history again, from the recorded facts. Without a candidate every decision of this engine must come out ' +
        'as recorded: any difference is a bug or a forgery, and exits with 1. With a candidate: what it would change, ' +
        'DENY→ALLOW first. Decisions whose facts were not kept are counted, never guessed. With --fail-on it is a gate: ' +
        'it also exits with 1 where nothing was compared.',
    )
    .addHelpText('after', EXAMPLES)
    .option('--from <time>', 'decisions appended from then on')
    .option('--to <time>', 'decisions appended before then')
    .option('--agent <id>', 'of this agent only')
    .option('--charter <file>', 'a candidate, instead of the charters that were in force')
    .addOption(
      new Option('--fail-on <change...>', 'exit with 1 when a decision changes so, and when none was compared').choices(
        CHANGES,
      ),
    )
    .option('--cursor <file>', 'keep here how far it has come; an interrupted replay goes on from there')
    .option('--json', 'the report as one JSON object')
    .action(replay);
}

async function replay(options: ReplayCommandOptions): Promise<void> {
  const now = Date.now();
  const { from, to } = rangeOf(options, now);
  const candidate = options.charter === undefined ? undefined : await candidateOf(options.charter);
  const question = JSON.stringify({
    engine: ENGINE,
    from: from ?? null,
    to: to ?? null,
    agent: options.agent ?? null,
    candidate: candidate?.digest ?? null,
  });
  const cursor = options.cursor === undefined ? undefined : await readCursor(options.cursor, question);
  const report = cursor === undefined ? emptyReport() : reportFromJson(cursor.report);
  const progress = new Progress(report, { from, to: to ?? now });
  let saving = Promise.resolve();
  const { agent: agentId, cursor: file } = options;
  const selection = { from: isoOf(from), to: isoOf(to), agentId, candidate: candidate?.digest };
  await withHistory({ how: 'replay', selection }, (history) =>
    replayRecord(
      history,
      { from, to, agentId, after: cursor?.after },
      { engine: ENGINE, candidate, sha256 },
      report,
      (last) => {
        progress.show(last.appendTime);
        if (file === undefined) return;
        const after = placeOf(last);
        const state = { question, after, report: reportToJson(report) };
        saving = saving.then(() => writeCursor(file, state));
        // heard when it is awaited: until then it must not end the process with a stack
        saving.catch(() => undefined);
      },
    ),
  );
  await saving;
  progress.end();

  if (options.json === true) printJson({ candidate: candidate?.digest ?? null, ...reportToJson(report) });
  else process.stdout.write(replayTable(report));
  const compared = comparedIn(report);
  if (compared === 0) process.stderr.write(nothingCompared(report.decisions, options));
  const unwanted = (options.failOn ?? []).filter((change) => report.changes.has(change));
  for (const change of unwanted) {
    process.stderr.write(`${change}: ${String(report.changes.get(change)?.count ?? 0)} decisions\n`);
  }
  const passesUnseen = options.failOn !== undefined && compared === 0;
  if (report.differing > 0 || unwanted.length > 0 || passesUnseen) throw new CommandFailure();
}

/** A gate that has seen nothing must not pass; whoever only looks is told that there was nothing to see. */
function nothingCompared(decisions: number, { agent, from, to, failOn }: ReplayCommandOptions): string {
  const asked = Object.entries({ agent, from, to }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name} ${inertText(value)}`],
  );
  const why =
    decisions === 0
      ? `the record holds no decision${asked.length === 0 ? '' : ` for ${asked.join(' ')}`}`
      : `of ${decisions.toLocaleString('en')} decided then, none can be replayed`;
  if (failOn === undefined) return `Nothing was compared: ${why}.\n`;
  return (
    `REMIT_REPLAY_NOTHING_COMPARED: ${why}, so --fail-on has nothing to go by. Check the agent's name and the time ` +
    '(remit audit agents lists who did what, day by day), or give a time of which the facts are kept.\n'
  );
}

async function candidateOf(file: string): Promise<Charter> {
  const checked = checkCharter(await textOf(file), sha256);
  return checked.ok ? checked.charter : fail(`${file} is refused: run \`remit charter check ${file}\``);
}

/** A line on stderr now and then: how far, by the time of what is replayed. */
class Progress {
  readonly #began = performance.now();
  readonly #decisionsBefore: number;
  #from: number | undefined;
  #shownAt = 0;

  constructor(
    private readonly report: ReplayReport,
    private readonly range: { readonly from: number | undefined; readonly to: number },
  ) {
    this.#decisionsBefore = report.decisions;
    this.#from = range.from;
  }

  show(time: number): void {
    this.#from ??= time;
    const elapsed = performance.now() - this.#began;
    if (elapsed - this.#shownAt < PROGRESS_EVERY_MS) return;
    this.#shownAt = elapsed;
    const share = Math.min(1, (time - this.#from) / Math.max(1, this.range.to - this.#from));
    this.#print(`${String(Math.floor(share * 100)).padStart(3)} %, to ${new Date(time).toISOString()}`);
  }

  end(): void {
    this.#print('done');
  }

  #print(how: string): void {
    const { decisions } = this.report;
    const perSecond = ((decisions - this.#decisionsBefore) / (performance.now() - this.#began)) * 1000;
    const count = decisions.toLocaleString('en');
    process.stderr.write(`replayed ${count} decisions, ${Math.round(perSecond).toLocaleString('en')}/s, ${how}\n`);
  }
}
